"""The REST interface as the local stack uses it: log in with an application, repeat what is safe to repeat.

Every POST carries an Idempotency-Key, so a lost answer can be asked for again without doing the work twice.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx

RETRIED = frozenset({502, 503, 504})


class RestError(Exception):
    """An answer that is an error; carries the status and what the server said."""

    def __init__(self, method: str, path: str, status: int, text: str) -> None:
        super().__init__(f"{method} {path}: {status} {text[:2000]}")
        self.status = status
        self.text = text


class Rest:
    """One tenant's API, as the application ``client_id``. Paths are below ``/api/v1`` unless they begin with ``/api/``.
    Not for several threads at once."""

    def __init__(self, base: str, client_id: str, secret: str, timeout: float = 30, *, host: str = "") -> None:
        """``host``: the tenant's host name, where ``base`` is an address that does not say it."""
        named = {"Host": host} if host else None
        self._http = httpx.Client(base_url=base, timeout=timeout, trust_env=False, headers=named)
        self._credentials = {"grantType": "client_credentials", "clientID": client_id, "clientSecret": secret}
        self._token = ""

    def __enter__(self) -> Rest:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        return self._call("GET", path, params=params).json()

    def response(self, path: str, **params: Any) -> httpx.Response:
        """A GET with its headers."""
        return self._call("GET", path, params=params)

    def token(self) -> str:
        """The access token, for a client of another kind."""
        return self._login()

    def text(self, path: str, **params: Any) -> str:
        return self._call("GET", path, params=params).text

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """``key`` is the Idempotency-Key; give the same one again to repeat the same wish."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self._call("POST", path, json=body, headers=headers)

    def delete(self, path: str) -> httpx.Response:
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Repeats on a refused connection and on a server that is restarting, for up to 20 seconds."""
        deadline = time.monotonic() + 20
        headers = options.pop("headers", {})
        while True:
            try:
                response = self._http.request(
                    method,
                    path if path.startswith("/api/") else f"/api/v1{path}",
                    headers={**headers, "Authorization": f"Bearer {self._login()}"},
                    **options,
                )
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise RestError(method, path, 0, str(error)) from error
            else:
                if response.status_code == 401 and self._token:
                    self._token = ""
                    deadline = min(deadline, time.monotonic() + 2)
                elif response.status_code not in RETRIED or time.monotonic() > deadline:
                    return self._checked(response, method, path)
            if time.monotonic() > deadline:
                raise RestError(method, path, 401, "the token is refused")
            time.sleep(0.3)

    def _checked(self, response: httpx.Response, method: str, path: str) -> httpx.Response:
        if response.status_code >= 400:
            raise RestError(method, path, response.status_code, response.text)
        return response

    def _login(self) -> str:
        if not self._token:
            response = self._http.post("/api/v1/token", json=self._credentials)
            if response.status_code in RETRIED:
                raise httpx.ConnectError(f"token: {response.status_code}")
            self._token = self._checked(response, "POST", "/token").json()["accessToken"]
        return self._token
