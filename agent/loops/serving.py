"""``/healthz``, ``/metrics`` and ``/snapshot`` of one agent process, on a port of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from agent.config import Settings
from agent.kube.client import KubeClient
from agent.kube.watch import Informers
from agent.loops.context import Health
from agent.loops.snapshots import Board, document

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Facts(Collector):
    """API requests and their bytes, watches and roles, read when somebody asks."""

    def __init__(self, kube: KubeClient, informers: Informers, health: Health) -> None:
        self._kube = kube
        self._informers = informers
        self._health = health

    def collect(self):  # type: ignore[no-untyped-def]
        family = CounterMetricFamily("runai_api_requests", "Kubernetes API requests.", labels=["method", "code"])
        for (method, code), count in sorted(self._kube.requests.items()):
            family.add_metric([method, str(code)], count)
        yield family
        volume = CounterMetricFamily("runai_api_bytes", "Bytes of Kubernetes API bodies.", labels=["direction"])
        for direction, count in sorted(self._kube.bytes.items()):
            volume.add_metric([direction], count)
        yield volume
        lists = CounterMetricFamily("runai_lists", "Full lists of a kind that a watch began with.", labels=["kind"])
        for kind, count in sorted(self._informers.lists.items()):
            lists.add_metric([kind], count)
        yield lists
        well = GaugeMetricFamily("runai_role_ok", "Whether a role of this process is well.", labels=["role"])
        for role in self._health.roles.values():
            well.add_metric([role.name], float(role.ok))
        yield well


async def serve(settings: Settings, health: Health, kube: KubeClient, informers: Informers, board: Board) -> None:
    """Serve until cancelled; without a port, only wait."""
    if settings.port:
        REGISTRY.register(_Facts(kube, informers, health))
        app = web.Application()
        app.router.add_get("/healthz", _healthz(health))
        app.router.add_get("/metrics", _metrics)
        app.router.add_get("/snapshot", _snapshot(board))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, settings.address, settings.port).start()
    await asyncio.Event().wait()


def _healthz(health: Health) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        """200 while every role is well, else 503; either way one line a role."""
        lines = [f"{role.name}: {'ok' if role.ok else 'not ok'} {role.message}" for role in health.roles.values()]
        well = all(role.ok for role in health.roles.values())
        return web.Response(text="\n".join(lines) + "\n", status=200 if well else 503)

    return answer


def _snapshot(board: Board) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        """What the scheduler of this process sees, for ``python -m agent.scheduler.replay``; 404 without one."""
        snapshot = board.read()
        if snapshot is None:
            return web.Response(text="no scheduler is at work in this process\n", status=404)
        body = await asyncio.to_thread(document, snapshot, time.time_ns())
        return web.Response(body=body, content_type="application/gzip")

    return answer


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
