"""Two OIDC providers on real sockets: a whole one in a process of its own, and one that lies as it is told to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

PERSON = {
    "sub": "u-1",
    "email": "erin@example.test",
    "email_verified": True,
    "name": "Erin Example",
    "GROUPS": ["ml", "Platform"],
    "UID": "4242",
    "GID": 100,
    "SUPPLEMENTARYGROUPS": ["7", "9", "x"],
}
"""With the claims that an untouched provider row maps."""


@contextmanager
def whole_provider(*people: dict[str, Any]) -> Iterator[str]:
    """``oidc-provider-mock`` in its own process; the base address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word for person in people for word in ("--user-claims", json.dumps(person))]
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _await(base)
        yield base
    finally:
        child.terminate()
        child.wait(10)


def _await(base: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{base}/.well-known/openid-configuration").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the provider did not start")


class LyingProvider:
    """Answers with what ``claims``, ``key``, ``algorithm``, ``kid``, ``document`` and ``info`` say at that moment."""

    def __init__(self) -> None:
        self.key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.published = self.key.public_key()
        self.algorithm, self.kid = "RS256", "k1"
        self.claims: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.info: dict[str, Any] = {}
        self.token_answer: tuple[int, dict[str, Any]] | None = None
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.base = ""

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.base, "aud": "console", "iat": now, "exp": now + 60, **PERSON, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.kid})

    def answer(
        self, method: str, path: str, form: dict[str, str], headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        if path.startswith("/.well-known"):
            return 200, {
                "issuer": self.base,
                "authorization_endpoint": f"{self.base}/authorize",
                "token_endpoint": f"{self.base}/token",
                "jwks_uri": f"{self.base}/keys",
                "userinfo_endpoint": f"{self.base}/me",
                **self.document,
            }
        if path == "/keys":
            return 200, {"keys": [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.published)) | {"kid": "k1"}]}
        if path == "/me":
            return 200, {"sub": PERSON["sub"], **self.info}
        self.forms.append(form)
        self.headers.append(headers)
        return self.token_answer or (200, {"access_token": "opaque", "id_token": self.id_token()})


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    world = LyingProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(length).decode()))
            status, body = world.answer(self.command, self.path, form, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    world.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
