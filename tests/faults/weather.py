"""An HTTP proxy before a real API server that fails as servers and networks do: refuses, cuts, goes away, kills.

``Proxy(server, ca)`` runs in a thread. Rules are asked in order for each call; the first that answers with a ``Fault``
counts. Everything else goes through unchanged. ``calls`` counts what was asked, by method and kind of thing.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

_HOP = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}
_REASONS = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}

CUT, PASS = 0, -1


@dataclass(frozen=True, slots=True)
class Call:
    """One request: ``what`` is such as ``POST pods/binding``, ``WATCH nodes``, ``LIST queues`` or ``GET jobs``."""

    method: str
    path: str
    body: bytes
    what: str


@dataclass(frozen=True, slots=True)
class Fault:
    """``status`` is answered (``CUT``: the connection is cut; ``PASS``: the server answers after all).

    ``done``: the server does it first, only its answer is lost. ``act`` is called in between. ``lasts``: an answer that
    streams is cut after so many seconds, with nothing else.
    """

    status: int = CUT
    done: bool = False
    act: Callable[[], None] = lambda: None
    lasts: float = 0.0


Rule = Callable[[Call], Fault | None]


def what_of(method: str, path: str, query: str) -> str:
    """Verb and resource of a request, as ``Call.what`` says them."""
    parts = re.sub(r"^/(api/[^/]+|apis/[^/]+/[^/]+)/?", "", path).split("/")
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    if method == "GET":
        method = "WATCH" if "watch=" in query else "GET" if len(parts) > 1 else "LIST"
    return f"{method} {parts[0]}" + (f"/{parts[2]}" if len(parts) > 2 else "")


class Proxy:
    """``with Proxy(url, ca_pem) as proxy``: ``proxy.url`` takes the place of the server's address."""

    def __init__(self, server: str, ca_pem: str) -> None:
        self.server, self.url, self.port = server, "", 0
        self.rules: list[Rule] = []
        self.calls: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        """Requests by path."""
        self._tls = ssl.create_default_context(cadata=ca_pem)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Proxy:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._do(self._rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def up(self) -> None:
        """Listen, on the same port as before."""
        self._do(self._open())

    def down(self) -> None:
        """As if the server had died: nobody listens, open connections are cut."""
        self._do(self._close())

    def _do(self, work: Any) -> None:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.result(30)

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        silent = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(connector=connector, timeout=silent, auto_decompress=False)
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{self.port}"

    async def _close(self) -> None:
        if self._runner is not None and self._session is not None:
            for connection in list(self._runner.server.connections):  # type: ignore[union-attr]
                if connection.transport is not None:
                    connection.transport.abort()
            await self._runner.cleanup()
            await self._session.close()
        self._runner = None

    async def _rest(self) -> None:
        """Nothing of a request that was cut goes on."""
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        what = what_of(request.method, request.path, request.query_string)
        call = Call(request.method, request.path, await request.read(), what)
        self.calls[what] += 1
        self.asked[call.path] += 1
        fault = next((found for rule in list(self.rules) if (found := rule(call)) is not None), None)
        if fault is None or fault.lasts:
            return await self._forward(request, call, fault.lasts if fault else 0.0)
        if fault.done:
            async with self._ask(request, call) as answer:
                await answer.read()
        fault.act()
        if fault.status == PASS:
            return await self._forward(request, call, 0.0)
        return _refusal(fault.status) if fault.status else self._cut(request)

    def _ask(self, request: web.Request, call: Call) -> Any:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = self.server + request.raw_path
        return self._session.request(
            call.method, URL(url, encoded=True), data=call.body or None, headers=headers, allow_redirects=False
        )

    async def _forward(self, request: web.Request, call: Call, lasts: float) -> web.StreamResponse:
        try:
            async with self._ask(request, call) as answer:
                headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
                reply = web.StreamResponse(status=answer.status, headers=headers)
                await reply.prepare(request)
                async with asyncio.timeout(lasts or None):
                    async for chunk in answer.content.iter_any():
                        await reply.write(chunk)
                await reply.write_eof()
                return reply
        except (TimeoutError, aiohttp.ClientError, OSError):
            return self._cut(request)

    def _cut(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


def _refusal(code: int) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "code": code, "message": f"the storm answers {code}"}
    return web.json_response(status | {"reason": _REASONS.get(code, "InternalError")}, status=code)


def once(what: str, act: Callable[[], None], *, done: bool, nth: int = 1, where: str = "", words: bytes = b"") -> Rule:
    """The ``nth`` call that ``what`` (a regular expression on ``Call.what``) matches, with ``where`` in its path and
    ``words`` in its body: act, and cut the connection."""
    pattern, seen = re.compile(what), Counter[str]()

    def rule(call: Call) -> Fault | None:
        if pattern.fullmatch(call.what) and where in call.path and words in call.body:
            seen["calls"] += 1
            if seen["calls"] == nth:
                return Fault(CUT, done, act)
        return None

    return rule
