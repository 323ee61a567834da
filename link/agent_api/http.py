"""Just enough HTTP on raw ASGI: bounded bodies, gzip, JSON messages, problem answers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from agent.wire import limits
from agent.wire.codec import from_dict, to_json
from agent.wire.messages import Problem
from link.refusal import Refused

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The caller went away; nobody reads an answer."""


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    client: str
    receive: Receive = field(repr=False)

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        client = (scope.get("client") or ("",))[0]
        return cls(scope["method"], scope["path"], query, headers, str(client), receive)

    async def body(self, limit: int = limits.MAX_BODY, inflated: int = limits.MAX_INFLATED) -> bytes:
        """The body, inflated. Raises ``Refused`` 413 above the limits, 415 for an encoding we do not read."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise Refused(413, "too_large", f"a body of at most {limit} bytes is allowed", permanent=True)
            chunks.append(chunk)
            if not message.get("more_body"):
                break
        return _inflate(b"".join(chunks), self.headers.get("content-encoding", ""), inflated)

    async def message(self, cls: type[T]) -> T:
        """The body as a message. Raises ``Refused`` 422 naming the field that is wrong."""
        return parse(cls, await self.body())

    def bearer(self) -> str:
        """Raises ``Refused`` 401 when there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "unauthenticated", "a Bearer token is needed")
        return token.strip()

    def number(self, name: str) -> int:
        """A whole number of the query. Raises ``Refused`` 422."""
        text = self.query.get(name, "")
        if not text.isdigit() or len(text) > 18:
            raise Refused(422, "bad_query", f"{name}: {text[:20]!r} given, a whole number is needed", permanent=True)
        return int(text)


def parse(cls: type[T], raw: bytes) -> T:
    """Raises ``Refused`` 422 naming the field that is wrong."""
    try:
        return from_dict(cls, msgspec.json.decode(raw))
    except (ValueError, RecursionError) as error:
        raise Refused(422, "bad_message", str(error)[:300], permanent=True) from error


def _inflate(raw: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity"):
        return raw
    if encoding != "gzip":
        raise Refused(415, "bad_encoding", f"{encoding[:20]!r} given, allowed are gzip and identity", permanent=True)
    limit = min(limit, max(limits.RATIO_ABOVE, len(raw) * limits.MAX_RATIO))
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Refused(422, "bad_gzip", str(error), permanent=True) from error
    if len(data) > limit or inflater.unconsumed_tail:
        raise Refused(413, "too_large", f"it inflates to more than {limit} bytes", permanent=True)
    if not inflater.eof:
        raise Refused(422, "bad_gzip", "the gzip stream ends early", permanent=True)
    return data


@dataclass(frozen=True, slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def answer(message: Any, status: int = 200) -> Response:
    return Response(status, to_json(message))


def problem(found: Problem) -> Response:
    """``application/problem+json`` with ``Retry-After`` where waiting helps."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if found.retry_after_ms is not None:
        headers = ((b"retry-after", str(-(-found.retry_after_ms // 1000)).encode()),)
    return Response(found.status, to_json(found), "application/problem+json", headers)


async def send_response(send: Send, response: Response, accepts: str) -> None:
    body, headers = response.body, list(response.headers)
    if body:
        headers.append((b"content-type", response.content_type.encode()))
    if len(body) >= limits.PLAIN_BELOW and "gzip" in accepts:
        body = gzip.compress(body, compresslevel=3, mtime=0)
        headers.append((b"content-encoding", b"gzip"))
    if response.status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_header(response: Response, name: bytes, value: bytes) -> Response:
    return replace(response, headers=(*response.headers, (name, value)))
