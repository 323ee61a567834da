"""The link's rules as pure functions over frozen values: what the ASGI app and the simulator both obey. No I/O here."""
