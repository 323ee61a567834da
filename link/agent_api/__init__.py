"""The doors agents knock at: parse and check, call one function of ``link.store``, answer. No ORM on the event loop."""
