"""Which address of this machine the API server can answer to."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult


def source_address(server: SplitResult) -> str:
    """The local end of a line to ``server``; loopback where none is known. Nothing is sent."""
    host = server.hostname or "127.0.0.1"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, server.port or 443, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect(address)
            return str(line.getsockname()[0])
    except OSError:
        return "127.0.0.1"
