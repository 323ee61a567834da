"""The raw ASGI application: lifespan, routes, one shape of refusal, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import psycopg
from django.conf import settings
from psycopg_pool import PoolTimeout, TooManyRequests

from agent.wire.messages import PATH_PREFIX, Problem
from link.agent_api import identity, issuer, polling, reports
from link.agent_api.desk import Desk
from link.agent_api.http import Disconnected, Receive, Request, Response, Scope, Send, problem, send_response
from link.hub import listen
from link.refusal import Refused
from link.store.liveness import flush_for_ever

log = logging.getLogger(__name__)
Handler = Callable[..., Awaitable[Response]]

ROUTES: tuple[tuple[str, re.Pattern[str], Handler], ...] = tuple(
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", r"version", identity.version),
        ("POST", r"enroll", identity.enroll),
        ("POST", r"token", identity.token),
        ("POST", r"session", identity.session),
        ("POST", r"credential/rotate", identity.rotate),
        ("POST", r"poll", polling.poll),
        ("POST", r"results", reports.results),
        ("POST", r"state/delta", reports.delta),
        ("POST", r"state/snapshot", reports.snapshot),
        ("POST", r"events", reports.events),
        ("POST", r"logs/([^/]+)", reports.log_append),
        ("POST", r"logs/([^/]+)/end", reports.log_end),
        ("POST", r"metrics", reports.metrics),
        ("GET", r"blobs/([^/]+)", reports.blob_get),
        ("PUT", r"blobs/([^/]+)", reports.blob_put),
        ("PUT", r"scheduler", reports.scheduler_put),
    )
)
PUBLIC_ROUTES: tuple[tuple[re.Pattern[str], Handler], ...] = (
    (re.compile(r"/oidc/([a-z0-9_]{1,63})/\.well-known/openid-configuration"), issuer.discovery),
    (re.compile(r"/oidc/([a-z0-9_]{1,63})/keys"), issuer.keys),
)
"""What anybody may GET: no agent asks for these, but the API servers of clusters."""


class LinkApp:
    """``uvicorn link.asgi:app``. State exists between the lifespan's start and end."""

    def __init__(self) -> None:
        self.desk: Desk | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    # ---- life

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except Exception as error:
                    log.exception("the link cannot start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def start(self) -> None:
        self.desk = Desk.make()
        await self.desk.pool.open()
        self._keep(listen(self.desk.hub, settings.REDIS_URL), "wake listener")
        self._keep(flush_for_ever(self.desk.pool, self.desk.hub), "liveness")
        self._answer_polls_on_signal()

    def _keep(self, work: Any, name: str) -> None:
        """Run for ever, with a reference kept. A task that ends takes the process with it: it is then restarted."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            log.error("task %s ended: %r", task.get_name(), task.exception())
            signal.raise_signal(signal.SIGTERM)

    def drain(self) -> None:
        """Answer every held poll now and every new one at once. Call from the event loop."""
        if self.desk is not None:
            self.desk.hub.drain()

    def _answer_polls_on_signal(self) -> None:
        """The server would wait for held polls or cut them; on SIGTERM they are answered first."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)

            def handle(signum: int, frame: FrameType | None, before: Any = before) -> None:
                loop.call_soon_threadsafe(self.drain)
                if callable(before):
                    before(signum, frame)

            signal.signal(number, handle)

    async def stop(self) -> None:
        self.drain()
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.desk is not None:
            await self.desk.close()
            self.desk = None

    # ---- requests

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope, receive)
        try:
            response = await self._answer(request)
        except Disconnected:
            return
        await send_response(send, response, request.headers.get("accept-encoding", ""))

    async def _answer(self, request: Request) -> Response:
        assert self.desk is not None
        try:
            handler, arguments = find(request.method, request.path)
            return await handler(self.desk, request, *arguments)
        except Refused as refused:
            if refused.problem.status in (401, 403, 409) and refused.problem.code != "superseded":
                log.info("refused %s %s: %s", request.method, request.path, refused.problem.code)
            return problem(refused.problem)
        except psycopg.DataError as error:
            log.warning("bad data in %s: %s", request.path, error)
            return problem(Problem("bad_data", "a value cannot be stored", 422, permanent=True))
        except (PoolTimeout, TooManyRequests, psycopg.OperationalError) as error:
            log.warning("database: %s: %s", request.path, type(error).__name__)
            return problem(Desk.no_database().problem)
        except (Disconnected, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return problem(Problem("internal", "", 500, retry_after_ms=2_000))


def find(method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
    """The handler of a path and its arguments. Raises ``Refused`` 404 or 405."""
    for pattern, handler in PUBLIC_ROUTES:
        match = pattern.fullmatch(path)
        if match is not None and method != "GET":
            raise Refused(405, "bad_method", permanent=True)
        if match is not None:
            return handler, match.groups()
    if not path.startswith(PATH_PREFIX):
        raise Refused(404, "not_found", permanent=True)
    tail, known = path.removeprefix(PATH_PREFIX), False
    for wanted, pattern, handler in ROUTES:
        match = pattern.fullmatch(tail)
        if match is not None and wanted == method:
            return handler, match.groups()
        known = known or match is not None
    raise Refused(405 if known else 404, "bad_method" if known else "not_found", permanent=True)
