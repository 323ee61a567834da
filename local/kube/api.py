"""A very small client of the Kubernetes API for ``local/kube``: standard library only, so that helpers stay light.

One connection a call; certificates or token come from a kubeconfig written by ``certs``.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from local.kube.errors import KubeError

MERGE_PATCH = "application/merge-patch+json"


class ApiError(KubeError):
    """The API server refused; ``status`` is the HTTP status and the message its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Calls with the identity of one kubeconfig. Connection trouble raises ``OSError``."""

    def __init__(self, kubeconfig: Path, timeout_s: float = 10) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        url = urlsplit(cluster["server"])
        self._host, self._port, self._timeout = url.hostname or "", url.port or 443, timeout_s
        self._context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        self._headers = {"Accept": "application/json"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        else:
            _load_certificate(self._context, user)

    def call(self, verb: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The answer's JSON (a string where the answer is text). Raises ApiError, OSError."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(verb, path, data, self._headers | {"Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{verb} {path}: {error!r}") from error
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        value = json.loads(text) if is_json and text else text
        if answer.status >= 400:
            raise ApiError(answer.status, value.get("message", text) if isinstance(value, dict) else text)
        return value

    def stream(self, path: str) -> Iterator[Any]:
        """JSON lines of a watch, as they come, until the server ends it. Raises ApiError, OSError, HTTPException."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=600, context=self._context)
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, answer.read().decode(errors="replace"))
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def ready(self) -> bool:
        """True once ``/readyz`` says ok."""
        try:
            return bool(self.call("GET", "/readyz") == "ok")
        except ApiError:
            return False

    def find(self, path: str) -> Any:
        """The object, or None where there is none."""
        try:
            return self.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Any) -> bool:
        """Create; False where it exists already."""
        try:
            self.call("POST", path, body)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body, MERGE_PATCH)


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()


def _load_certificate(context: ssl.SSLContext, user: dict[str, str]) -> None:
    """``ssl`` reads certificates from files only: a private one that lives for a moment."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        file.flush()
        context.load_cert_chain(file.name)
