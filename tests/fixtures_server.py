"""A real HTTP server over the test's own transaction: unmodified clients talk to rows that are rolled back again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection, connections

from tenants.models import Domain


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest shows what matters."""


def _serve(server: WSGIServer, shared: Any) -> None:
    connections["default"] = shared
    server.serve_forever(poll_interval=0.05)


@pytest.fixture
def served(acme: Any) -> Iterator[str]:
    """Base URL of acme on 127.0.0.1. One request at a time, on the test's connection: never query while one runs."""
    Domain.objects.update_or_create(domain="127.0.0.1", defaults={"tenant": acme.tenant, "is_primary": False})
    server = WSGIServer(("127.0.0.1", 0), _Quiet)
    application = get_wsgi_application()

    def keeping(environ: dict[str, Any], start_response: Any) -> Any:
        """Inside a transaction the signals of a request would close its connection; a test client connects them."""
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        return application(environ, start_response)

    server.set_app(keeping)
    connection.inc_thread_sharing()
    shared = connections["default"]
    thread = threading.Thread(target=_serve, args=(server, shared), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        connection.dec_thread_sharing()
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
