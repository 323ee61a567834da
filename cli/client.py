"""The one door to the control plane: REST with a token, a key on every POST, and retries that are therefore safe.

httpx is imported with the first request: it takes most of a command's start, and kubectl asks for a kept token often.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cli.config import Config, has_ended
from cli.errors import BadUsage, Refused

if TYPE_CHECKING:
    import httpx

PAGE = 500
ATTEMPTS = 4


class Client:
    def __init__(self, config: Config, token: str | None = None) -> None:
        self.config = config
        self._token = token

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx  # noqa: PLC0415 - see the head of this file

        return httpx.Client(timeout=30, headers={"User-Agent": "runai-cli"})

    def get(self, path: str, **params: Any) -> Any:
        return self._send("GET", path, params={key: value for key, value in params.items() if value is not None})

    def post(self, path: str, body: Any = None) -> Any:
        return self._send("POST", path, json=body or {}, headers={"Idempotency-Key": str(uuid.uuid4())})

    def form(self, path: str, **fields: str) -> tuple[int, dict[str, Any]]:
        """A form of OAuth 2, whose errors are part of the conversation: (status, answer). Not retried."""
        import httpx  # noqa: PLC0415 - see the head of this file

        try:
            answer = self._http.post(self.config.url + path, data=fields)
        except httpx.HTTPError as error:
            raise Refused(f"cannot reach {self.config.url}: {error}") from error
        try:
            told = answer.json()
        except ValueError:
            told = {}
        return answer.status_code, told if isinstance(told, dict) else {}

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path)

    def pages(self, path: str, key: str, limit: int | None = None, **params: Any) -> Iterator[dict[str, Any]]:
        """Rows of a list, page by page, at most ``limit``."""
        offset, sent = 0, 0
        while True:
            size = PAGE if limit is None else min(PAGE, limit - sent)
            answer = self.get(path, offset=offset, limit=size, **params)
            yield from answer[key]
            sent += len(answer[key])
            offset = answer.get("next")
            if not offset or (limit is not None and sent >= limit):
                return

    def _send(self, method: str, path: str, **options: Any) -> Any:
        import httpx  # noqa: PLC0415 - see the head of this file

        headers = {**options.pop("headers", {}), **self._authorization(path)}
        for attempt in range(ATTEMPTS):
            try:
                answer = self._http.request(method, self.config.url + path, headers=headers, **options)
            except httpx.HTTPError as error:
                if attempt + 1 == ATTEMPTS:
                    raise Refused(f"cannot reach {self.config.url}: {error}") from error
            else:
                if answer.status_code not in (429, 502, 503, 504) or attempt + 1 == ATTEMPTS:
                    return _read(answer)
            time.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    def _authorization(self, path: str) -> dict[str, str]:
        if path == "/api/v1/token":
            return {}
        token = self._token or self.token()
        if not token:
            raise Refused("not signed in; run: runai login")
        return {"Authorization": f"Bearer {token}"}

    def token(self) -> str | None:
        """The access token, renewed where it has ended and the sign-in has not. Raises ``Refused``."""
        token = self.config.token
        if not token or not has_ended(token) or not self.config.refresh_token:
            return token
        with self.config.refreshing():
            token, refresh = self.config.token, self.config.refresh_token
            if not token or not refresh or not has_ended(token):
                return token  # another process was faster
            status, answer = self.form("/api/v2/token", grant_type="refresh_token", refresh_token=refresh)
            if status in (400, 401):
                self.config.forget_tokens()
                raise Refused("the sign-in has ended; run: runai login")
            if status != 200:
                raise Refused(f"cannot renew the sign-in: the server answered {status}")
            self.config.save_tokens(answer["access_token"], answer.get("refresh_token"))
            return str(answer["access_token"])


def _read(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises ``Refused`` with the server's own sentence."""
    if answer.is_success:
        if not answer.content:
            return None
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if answer.status_code == 401:
        raise Refused(problem.get("message", "not signed in") + " Run: runai login")
    details = [f"{item['field']}: {item['message']}" + _given(item) for item in problem.get("errors", [])]
    message = "; ".join(details) or problem.get("message") or f"the server answered {answer.status_code}"
    raise (BadUsage if answer.status_code in (400, 422) else Refused)(message)


def _given(item: dict[str, Any]) -> str:
    return "" if item.get("given") in (None, "") else f" (given: {item['given']})"
