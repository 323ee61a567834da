"""HTTP/1.1 to one server for short requests: a pool of kept connections, one request on each at a time.

A general HTTP client spends five times as much processor time on a request as this does, and the scheduler shares its
cores with the API server that it is to keep busy. Only what an API server speaks is understood: answers with a length,
in chunks, or up to the end of the connection; gzip where it says so. Streams do not go this way.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self, cast
from urllib.parse import quote, urlencode, urlsplit

CONNECT_S = 10.0
KEEP_S = 60.0
"""An unused connection is not used again after this; API servers close theirs after 90 s."""
LONGEST_HEAD = 1 << 16
_SAFE = "/:@!$&'()*+,;=-._~"
_BODILESS = (204, 304)


class NotConnected(OSError):
    """No connection came to be: the request was certainly not done."""


class Broken(OSError):
    """The connection ended, or what came was no answer: whether the request was done is not known."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """By name in small letters."""
    body: bytes


class Pool:
    """At most ``limit`` requests at once; more wait their turn. An asynchronous context manager."""

    def __init__(self, server: str, tls: ssl.SSLContext | bool, *, limit: int, timeout_s: float) -> None:
        """``server``: ``https://host:port[/prefix]``. ``timeout_s``: of one request, the wait for its turn included."""
        parts = urlsplit(server)
        secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._tls = (tls if isinstance(tls, ssl.SSLContext) else ssl.create_default_context()) if secure else None
        self._prefix = parts.path.rstrip("/")
        self._common = f"Host: {parts.netloc.rpartition('@')[2]}\r\nAccept-Encoding: gzip\r\n"
        self._turns = asyncio.Semaphore(limit)
        self._timeout = timeout_s
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in list(self._open):
            connection.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        """Send and wait for the whole answer, whatever its status.

        Raises ``NotConnected``, ``Broken`` or ``TimeoutError``."""
        target = self._prefix + quote(path, safe=_SAFE) + (f"?{urlencode(params)}" if params else "")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        head = f"{method} {target} HTTP/1.1\r\n{self._common}{lines}{length}\r\n".encode("latin-1")
        async with asyncio.timeout(self._timeout), self._turns:
            connection = await self._connection()
            try:
                answer = await connection.exchange(head + body if body else head)
            except BaseException:  # cancelled too: the answer that may still come must not meet the next request
                connection.close()
                raise
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()
        return answer

    async def _connection(self) -> Connection:
        """The connection that was used last (those not needed fall idle and go), or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and time.monotonic() - connection.used_at < KEEP_S:
                return connection
            connection.close()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, made = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._open), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            raise NotConnected(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
        return made


class Connection(asyncio.Protocol):
    """One connection; ``exchange`` one request after another."""

    def __init__(self, registry: set[Connection]) -> None:
        self.used_at = time.monotonic()
        self._registry = registry
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._reader = Reader()
        self._closed = False

    @property
    def reusable(self) -> bool:
        return not self._closed and self._reader.fresh

    async def exchange(self, request: bytes) -> Answer:
        if self._transport is None or self._closed:
            raise Broken("the server closed the connection")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter, self.used_at = None, time.monotonic()

    def close(self) -> None:
        self._closed = True
        self._registry.discard(self)
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._registry.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._reader.feed(data)
        except ValueError as error:
            self._end(Broken(f"not an HTTP answer: {error}"))
            return
        if answer is not None:
            self._answer(answer)

    def eof_received(self) -> None:
        self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        """The server sends no more: that ends an answer without a length, and breaks any other."""
        answer = self._reader.end()
        if answer is not None:
            self._answer(answer)
        self._end(Broken("the server closed the connection"))

    def _answer(self, answer: Answer) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)
        else:  # nobody asked
            self.close()

    def _end(self, error: Broken) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


class Reader:
    """Bytes in, answers out, however they are cut. Raises ``ValueError`` on what is no HTTP/1.1 answer."""

    def __init__(self) -> None:
        self._keep_alive = True
        self._buffer = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._left: int | None = None
        """Bytes still to come, of the body or of the chunk; None: not known."""
        self._chunked = False
        self._trailer = False
        self._at = 0
        self._body: list[bytes] = []

    @property
    def fresh(self) -> bool:
        """Whether another answer may follow on this connection."""
        return self._keep_alive and not self._status and not self._buffer

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once its last byte has come."""
        self._buffer += data
        if not self._status and not self._head():
            return None
        if self._chunked:
            return self._done() if self._chunks() else None
        if self._left is None or len(self._buffer) < self._left:
            return None
        self._body.append(bytes(self._buffer[: self._left]))
        del self._buffer[: self._left]
        return self._done()

    def end(self) -> Answer | None:
        """The connection has ended: the answer, if that is how it says that it is whole."""
        self._keep_alive = False
        if not self._status or self._chunked or self._left is not None:
            return None
        self._body.append(bytes(self._buffer))
        self._buffer.clear()
        return self._done()

    def _head(self) -> bool:
        """Read status line and headers; interim answers (1xx) are skipped."""
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > LONGEST_HEAD:
                    raise ValueError("headers without an end")
                return False
            first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            del self._buffer[: end + 4]
            version, _, rest = first.partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
                raise ValueError(f"status line {first[:80]!r}")
            status = int(rest[:3])
            if status >= 200:
                break
        pairs = (line.partition(":") for line in lines)
        self._headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self._status = status
        self._keep_alive = version != "HTTP/1.0" and self._headers.get("connection", "").lower() != "close"
        self._chunked = "chunked" in self._headers.get("transfer-encoding", "").lower()
        length = self._headers.get("content-length")
        if status in _BODILESS:
            self._left, self._chunked = 0, False
        elif not self._chunked and length is not None:
            if not length.isdecimal():
                raise ValueError(f"Content-Length {length[:40]!r}")
            self._left = int(length)
        return True

    def _chunks(self) -> bool:
        """Take whole chunks off the buffer. True at the end of the body."""
        buffer, at, done = self._buffer, 0, False
        while not done:
            if self._left is None:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    break
                line = bytes(buffer[at:end]).partition(b";")[0].strip()
                at = end + 2
                if self._trailer:
                    done = not line
                    continue
                size = _chunk_size(line)
                self._left, self._trailer = size or None, size == 0
            elif len(buffer) - at >= self._left + 2:
                self._body.append(bytes(buffer[at : at + self._left]))
                at += self._left + 2
                self._left = None
            else:
                break
        del buffer[:at]
        return done

    def _done(self) -> Answer:
        body = b"".join(self._body)
        if self._headers.get("content-encoding", "").lower() == "gzip":
            body = _unzipped(body)
        answer = Answer(self._status, self._headers, body)
        self._reset()
        return answer


def _chunk_size(line: bytes) -> int:
    if not line or line.strip(b"0123456789abcdefABCDEF"):
        raise ValueError(f"chunk size {line[:40]!r}")
    return int(line, 16)


def _unzipped(body: bytes) -> bytes:
    try:
        return zlib.decompress(body, 16 + zlib.MAX_WBITS)
    except zlib.error as error:
        raise ValueError(f"gzip: {error}") from error
