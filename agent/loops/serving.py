"""``/healthz`` and ``/metrics`` of one agent process, on a port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from agent.config import Settings
from agent.kube.client import KubeClient
from agent.loops.context import Health

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Requests(Collector):
    """Counts of API requests and their bytes, read from the client when somebody asks."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    def collect(self):  # type: ignore[no-untyped-def]
        family = CounterMetricFamily("runai_api_requests", "Kubernetes API requests.", labels=["method", "code"])
        for (method, code), count in sorted(self._kube.requests.items()):
            family.add_metric([method, str(code)], count)
        yield family
        volume = CounterMetricFamily("runai_api_bytes", "Bytes of Kubernetes API bodies.", labels=["direction"])
        for direction, count in sorted(self._kube.bytes.items()):
            volume.add_metric([direction], count)
        yield volume


async def serve(settings: Settings, health: Health, kube: KubeClient) -> None:
    """Serve until cancelled; without a port, only wait."""
    if settings.port:
        REGISTRY.register(_Requests(kube))
        app = web.Application()
        app.router.add_get("/healthz", _healthz(health))
        app.router.add_get("/metrics", _metrics)
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


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
