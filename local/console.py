"""The console as a program reads it: sign in as a person, fetch pages. For the benchmark and the stack's tests."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial", "X-Live": "1"}


class Console:
    """One signed-in session with the console of a tenant (an entry of ``tenants`` in the ``up --json`` document)."""

    def __init__(self, tenant: dict[str, Any], user: dict[str, str], timeout: float = 30) -> None:
        self._http = httpx.Client(
            base_url=tenant["api"],
            headers={"Host": urlsplit(tenant["console"]).netloc},
            timeout=timeout,
            trust_env=False,
        )
        self._login(user)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **headers: str) -> httpx.Response:
        """The page. Raises ``httpx.HTTPStatusError`` for an error and for a way to the login page."""
        answer = self._http.get(path, headers=headers)
        answer.raise_for_status()
        return answer

    def fragment(self, path: str, tag: str = "") -> httpx.Response:
        """What a live page asks of itself: its parts that change, or 304 where they are as ``tag`` says."""
        answer = self._http.get(path, headers=_FRAGMENT | ({"If-None-Match": tag} if tag else {}))
        if answer.status_code != 304:
            answer.raise_for_status()
        return answer

    def _login(self, user: dict[str, str]) -> None:
        token = _TOKEN.search(self.get("/login/").text)
        if token is None:
            raise ValueError("the login page has no form")
        body = {"csrfmiddlewaretoken": token.group(1), "email": user["email"], "password": user["password"]}
        answer = self._http.post("/login/", data=body)
        if answer.status_code != 302:
            raise PermissionError(f"{user['email']} may not sign in: {answer.status_code}")
