"""HTTPS to the link: one connection pool, access tokens, messages in and out. Honours proxies and the cluster's CA.

Every failure is a ``LinkError`` with the status (0: no answer, or one that is none of ours) and the problem; what to do
about it is decided by ``pace.react``.
"""

from __future__ import annotations

import email.utils
import gzip
import ssl
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from agent.link.identity import Identity
from agent.wire import limits
from agent.wire.codec import from_json, to_json
from agent.wire.enrolment import EnrolAnswer, EnrolRequest, TokenAnswer, TokenRequest
from agent.wire.messages import PATH_PREFIX, Problem

T = TypeVar("T")
REFRESH_AT = 0.7
"""Fetch a new token after this share of its life."""


class LinkError(Exception):
    def __init__(self, status: int, problem: Problem | None, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.problem = problem

    @property
    def code(self) -> str:
        return self.problem.code if self.problem else ""


@dataclass(frozen=True, slots=True)
class Reply:
    """``body`` is empty for 204."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Token:
    text: str
    renew_at: float


class LinkClient:
    """``async with LinkClient(url, ca_pem) as link``. ``identity`` is set after enrolment."""

    def __init__(self, url: str, ca_pem: str = "", *, user_agent: str = "runai-agent") -> None:
        self.url = url.rstrip("/")
        self.identity: Identity | None = None
        self.last_success = time.monotonic()
        self._ca = ca_pem
        self._agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[str, _Token] = {}
        self._offset_s = 0.0
        """The server's clock minus ours, as far as it mattered."""

    async def __aenter__(self) -> Self:
        tls: ssl.SSLContext | bool = True
        if self.url.startswith("https:"):
            tls = ssl.create_default_context(cadata=self._ca or None)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32, ssl=tls, keepalive_timeout=55),
            headers={"User-Agent": self._agent, "Accept-Encoding": "gzip"},
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # ---- messages

    async def post(self, path: str, message: Any, answer: type[T], *, timeout_s: float = 30.0) -> T:
        """Raises ``LinkError``; also for a 2xx whose body is none of ours (a proxy's page)."""
        reply = await self.send("POST", path, to_json(message), timeout_s=timeout_s)
        return self.read(answer, reply)

    @staticmethod
    def read(answer: type[T], reply: Reply) -> T:
        try:
            return from_json(answer, reply.body)
        except ValueError as error:
            raise LinkError(0, None, f"an answer that cannot be read: {error}") from error

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeout_s: float = 30.0,
        content_type: str = "application/json",
    ) -> Reply:
        """With an access token; an expired one is renewed once. Raises ``LinkError``."""
        for attempt in (1, 2):
            token = await self.token()
            try:
                return await self._request(method, path, body, timeout_s, content_type, token)
            except LinkError as error:
                if error.status != 401 or error.code == "revoked" or attempt == 2:
                    raise
                self._tokens.clear()
        raise AssertionError("unreachable")

    async def enrol(self, token: str, request: EnrolRequest) -> EnrolAnswer:
        """Raises ``LinkError``. The one-time token goes in a header, never into a URL or a log."""
        reply = await self._request("POST", "enroll", to_json(request), 30.0, "application/json", token)
        return self.read(EnrolAnswer, reply)

    async def token(self, scope: str = "") -> str:
        """An access token for these scopes, from the store or fresh. Raises ``LinkError``."""
        known = self._tokens.get(scope)
        if known is not None and time.monotonic() < known.renew_at:
            return known.text
        made = await self._fetch_token(scope)
        self._tokens[scope] = _Token(made.access_token, time.monotonic() + made.expires_in_ms / 1000 * REFRESH_AT)
        return made.access_token

    async def _fetch_token(self, scope: str) -> TokenAnswer:
        identity = self.identity
        if identity is None:
            raise LinkError(401, Problem("not_enrolled", status=401), "this cluster is not enrolled yet")
        for attempt in (1, 2):
            request = TokenRequest(identity.assertion(self.url, time.time() + self._offset_s), scope)
            try:
                reply = await self._request("POST", "token", to_json(request), 30.0, "application/json", "")
                return self.read(TokenAnswer, reply)
            except LinkError as error:
                # Our clock is off: the server's Date was noted, so once more with its time.
                if error.code not in ("token_expired", "not_yet_valid") or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    # ---- the wire

    async def _request(
        self, method: str, path: str, body: bytes, timeout_s: float, content_type: str, token: str
    ) -> Reply:
        assert self._session is not None
        headers = {"Content-Type": content_type} if body else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if len(body) >= limits.PLAIN_BELOW:
            body = gzip.compress(body, 3)
            headers["Content-Encoding"] = "gzip"
        try:
            async with self._session.request(
                method,
                f"{self.url}{PATH_PREFIX}{path}",
                data=body or None,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=10),
                allow_redirects=False,
            ) as answer:
                raw = await answer.read()
                reply = Reply(answer.status, dict(answer.headers), raw)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise LinkError(0, None, f"the link does not answer: {type(error).__name__}: {error}") from error
        if 200 <= reply.status < 300:
            self.last_success = time.monotonic()
            return reply
        raise self._refusal(reply)

    def _refusal(self, reply: Reply) -> LinkError:
        problem = None
        if reply.headers.get("Content-Type", "").startswith("application/problem+json"):
            try:
                problem = from_json(Problem, reply.body)
            except ValueError:
                problem = None
        if problem is None and reply.status < 500 and reply.status not in (401, 408, 425, 429):
            return LinkError(0, None, f"somebody else answered {reply.status}")
        if problem is not None and problem.code in ("token_expired", "not_yet_valid"):
            self._note_clock(reply.headers.get("Date", ""))
        text = (
            f"the link refused ({reply.status} {problem.code if problem else ''}): {problem.detail if problem else ''}"
        )
        return LinkError(reply.status, problem, text)

    def _note_clock(self, date: str) -> None:
        parsed = email.utils.parsedate_to_datetime(date) if date else None
        if parsed is not None:
            self._offset_s = parsed.timestamp() - time.time()
