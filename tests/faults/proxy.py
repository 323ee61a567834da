"""A door before the API server at which a process is killed: at a named request, before or after it is done.

What dies so has sent its request and never learns what became of it: the worst moment there is, and the same one in
every run. Everything else goes through unchanged, watches too.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from agent.kube import auth

BEFORE, AFTER = "before", "after"
_HOP = {"host", "connection", "transfer-encoding", "content-length", "accept-encoding"}


@dataclass(frozen=True)
class Point:
    """The first request of ``method`` whose path matches: ``when`` it is done or before."""

    when: str
    method: str
    path: str
    """Regular expression, searched in the path without its query."""

    def meets(self, method: str, path: str) -> bool:
        return self.method == method and re.search(self.path, path) is not None


@dataclass
class Door:
    """``arm`` it with a point and a process; ``struck`` is set once the process is dead."""

    kubeconfig: Path
    _server: str
    _session: aiohttp.ClientSession
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    _point: Point | None = None
    _victim: subprocess.Popen[bytes] | None = None

    def arm(self, point: Point) -> None:
        self._point = point

    def aim(self, victim: subprocess.Popen[bytes]) -> None:
        self._victim = victim

    def _strike(self) -> None:
        assert self._victim is not None
        os.kill(self._victim.pid, signal.SIGKILL)
        self._victim.wait()
        self._point = None
        self.struck.set()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        point = self._point if self._point and self._point.meets(request.method, request.path) else None
        if point and point.when == BEFORE:
            self._strike()
            raise web.HTTPServiceUnavailable
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        url = f"{self._server}{request.raw_path}"
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            if point and answer.status < 400:
                await answer.read()
                self._strike()
                raise web.HTTPServiceUnavailable
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP}
            kept.pop("Content-Encoding", None)
            passed = web.StreamResponse(status=answer.status, headers=kept)
            await passed.prepare(request)
            async for chunk in answer.content.iter_any():
                await passed.write(chunk)
            await passed.write_eof()
            return passed


@asynccontextmanager
async def door(kubeconfig: str, folder: Path) -> AsyncIterator[Door]:
    """A door for the account of ``kubeconfig``; its own kubeconfig lies in ``folder``."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    credentials = auth.from_kubeconfig(Path(kubeconfig))
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(ssl=credentials.tls, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        made = Door(folder / "door.kubeconfig", credentials.server, session)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", made._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        made.kubeconfig.write_text(yaml.safe_dump(config))
        try:
            yield made
        finally:
            await runner.cleanup()
