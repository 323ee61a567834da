"""The activator role: requests to inference workloads that scale come through here, are counted, and passed on.

A request to a workload without a ready pod waits until there is one: so it comes back from zero. What it counts goes
onto the Workload as annotations, where the operator reads it. It may die at any line: requests in progress fail,
and the next start takes its place in the Services.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, defaultdict
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp import web
from yarl import URL

from agent.kube.cache import Change
from agent.kube.client import KubeClient
from agent.kube.errors import KubeError, NotFound
from agent.kube.protocol import Obj
from agent.kube.reach import source_address
from agent.kube.resources import ENDPOINT_SLICE, POD, SERVICE, WORKLOAD
from agent.loops.context import Context
from agent.operator import load
from agent.operator.names import port_service_name
from agent.operator.reconcile import contains
from agent.operator.traffic import Traffic, endpoint_slice, workload_of_host
from agent.wire import labels

log = structlog.get_logger(__name__)

MANAGER = "runai-activator"
WAIT_S = 120.0
"""A request waits so long for the first pod."""
TELL_S = 1.0
CHECK_S = 10.0
LARGEST_BODY = 256 << 20
_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade", "host", "content-length"}
)
Key = tuple[str, str]
"""(namespace, workload)."""


async def run(context: Context) -> None:
    """The role; ends only by an error."""
    await Activator(context).run()


class Activator:
    def __init__(self, context: Context) -> None:
        self._context, self._kube = context, context.kube
        informers = context.informers
        mine = f"{labels.MANAGED_BY}={labels.MANAGED_BY_OPERATOR}"
        self._services = informers.of(SERVICE, labels=mine).store
        self._workloads = informers.store(WORKLOAD)
        self._slices = informers.of(ENDPOINT_SLICE, labels=f"endpointslice.kubernetes.io/managed-by={MANAGER}").store
        self._ready: dict[Key, dict[str, Obj]] = defaultdict(dict)
        """Ready pods by name."""
        self._news = asyncio.Event()
        self._traffic: dict[Key, Traffic] = defaultdict(Traffic)
        self._busy: Counter[str] = Counter()
        self._last: dict[Key, datetime] = {}
        self._direct = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
        self._session: aiohttp.ClientSession | None = None
        self.port = 0
        informers.store(POD).on_change(self._pod_changed)
        self._changed = asyncio.Event()
        self._services.on_change(lambda change: self._changed.set())

    def _pod_changed(self, change: Change) -> None:
        pod = change.current
        marks = pod["metadata"].get("labels") or {}
        owner = next(
            (ref["name"] for ref in pod["metadata"].get("ownerReferences") or () if ref["kind"] == "Workload"), ""
        )
        if marks.get(labels.WORKLOAD_TYPE) != "inference" or not owner:
            return
        key = (pod["metadata"]["namespace"], owner)
        if change.new is None or not _is_ready(pod):
            self._ready[key].pop(pod["metadata"]["name"], None)
        else:
            self._ready[key][pod["metadata"]["name"]] = pod
            self._news.set()

    # -- requests ----------------------------------------------------------------------------------------------------

    def _find(self, request: web.Request) -> Obj | None:
        """The workload a request is for, by its Host."""
        name, namespace = workload_of_host(request.headers.get("X-Runai-Workload") or request.host)
        found = [
            obj
            for obj in ([self._workloads.get(name, namespace)] if namespace else self._workloads)
            if obj is not None and obj["metadata"]["name"] == name and _scales(obj)
        ]
        return found[0] if len(found) == 1 else None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        workload = self._find(request)
        if workload is None:
            return web.Response(status=404, text=f"no inference workload answers to host {request.host!r}\n")
        key = (workload["metadata"]["namespace"], workload["metadata"]["name"])
        traffic = self._traffic[key]
        traffic.begin(time.monotonic())
        self._last[key] = datetime.now(UTC)
        try:
            body = await request.read()
            pod = await self._pod(key)
            if pod is None:
                return web.Response(status=503, text=f"workload {key[1]} has no pod that answers\n")
            return await self._pass_on(request, workload, pod, body)
        finally:
            traffic.end(time.monotonic())

    async def _pod(self, key: Key) -> Obj | None:
        """The ready pod with the fewest requests; waits for one."""
        give_up = time.monotonic() + WAIT_S
        while not self._ready[key]:
            if time.monotonic() > give_up:
                return None
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), 1.0)
            except TimeoutError:
                continue
        return min(self._ready[key].values(), key=lambda pod: self._busy[pod["metadata"]["uid"]])

    async def _pass_on(self, request: web.Request, workload: Obj, pod: Obj, body: bytes) -> web.StreamResponse:
        uid, port = pod["metadata"]["uid"], int(workload["spec"]["ports"][0]["container"])
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        self._busy[uid] += 1
        try:
            async with self._open(request, pod, port, headers, body) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return web.Response(status=502, text=f"pod {pod['metadata']['name']} did not answer: {error}\n")
        finally:
            self._busy[uid] -= 1
            if not self._busy[uid]:
                del self._busy[uid]

    def _open(
        self, request: web.Request, pod: Obj, port: int, headers: dict[str, str], body: bytes
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        meta = pod["metadata"]
        if not self._direct and isinstance(self._kube, KubeClient):
            path = request.raw_path
            return self._kube.through(
                meta["namespace"], meta["name"], port, method=request.method, path=path, headers=headers, body=body
            )
        assert self._session is not None
        headers["Host"] = request.host
        url = URL(f"http://{_bracketed(pod['status']['podIP'])}:{port}{request.raw_path}", encoded=True)
        return self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)

    # -- telling the operator ----------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            for obj in self._workloads:
                if _scales(obj):
                    await self._tell_one(obj)

    async def _tell_one(self, obj: Obj) -> None:
        key, now = (obj["metadata"]["namespace"], obj["metadata"]["name"]), time.monotonic()
        traffic = self._traffic[key]
        notes = {
            load.CONCURRENCY: f"{max(traffic.concurrency(now), 0.0):.1f}",
            load.THROUGHPUT: f"{traffic.throughput(now):.1f}",
        }
        if traffic.active and notes[load.CONCURRENCY] == "0.0":
            notes[load.CONCURRENCY] = "0.1"
        have = obj["metadata"].get("annotations") or {}
        if key in self._last and notes[load.CONCURRENCY] != have.get(load.CONCURRENCY):
            notes[load.LAST_REQUEST] = self._last[key].isoformat(timespec="seconds")
        if all(have.get(name) == value for name, value in notes.items()):
            return
        try:
            await self._kube.patch(WORKLOAD, key[1], key[0], body={"metadata": {"annotations": notes}})
        except NotFound:
            self._traffic.pop(key, None)
        except KubeError as error:
            log.warning("load_not_told", workload="/".join(key), error=error.message)

    # -- being found -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        await self._context.informers.synced()
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        address = self._address()
        site = web.TCPSite(runner, "0.0.0.0" if self._direct else address, self._context.settings.activator_port)  # noqa: S104
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:
            self._session = session
            try:
                await site.start()
                self.port = int(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._tell())
                    group.create_task(self._place(address))
            finally:
                await runner.cleanup()

    def _address(self) -> str:
        if self._context.settings.activator_host:
            return self._context.settings.activator_host
        if self._direct:
            return os.environ.get("POD_IP", "")
        return source_address(urlsplit(str(getattr(self._kube, "server", ""))))

    async def _place(self, address: str) -> None:
        """Be the endpoint of every Service that waits for one."""
        while True:
            self._changed.clear()
            try:
                for service in self._services:
                    await self._place_one(service, address)
                self._context.health.set(True, f"passing on requests on port {self.port}")
            except KubeError as error:
                self._context.health.set(False, error.message)
                log.warning("not_placed", error=error.message)
            try:
                await asyncio.wait_for(self._changed.wait(), CHECK_S)
            except TimeoutError:
                continue

    async def _place_one(self, service: Obj, address: str) -> None:
        meta = service["metadata"]
        owner = next((ref["name"] for ref in meta.get("ownerReferences") or () if ref["kind"] == "Workload"), "")
        workload = self._workloads.get(owner, meta["namespace"]) if owner else None
        if workload is None or not _scales(workload) or meta["name"] != port_service_name(owner, False):
            return
        wanted: dict[str, Any] = endpoint_slice(service, address, self.port)
        have = self._slices.get(wanted["metadata"]["name"], meta["namespace"])
        if have is None or not contains(have, wanted):
            await self._kube.apply(wanted, manager=MANAGER)


def _is_ready(pod: Obj) -> bool:
    status = pod.get("status") or {}
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())
    return ready and bool(status.get("podIP")) and not pod["metadata"].get("deletionTimestamp")


def _scales(workload: Obj) -> bool:
    """Whether its requests come through here."""
    spec = workload.get("spec") or {}
    metric = (spec.get("autoscaling") or {}).get("metric")
    return spec.get("type") == "inference" and metric in ("concurrency", "throughput") and bool(spec.get("ports"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
