"""The loads of ``bench cluster`` and the objects they are made of; every scheduler gets the same nodes and pods."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from agent.kube.client import KubeClient
from agent.kube.resources import CRD, NODE, POD
from agent.wire.install import crd_text
from bench._cluster_machine import NAMES, OURS, Ground, Usage, api_ms, peak_mib, spent, usage
from bench._cluster_watch import Bindings
from bench._main_figures import percentile

Obj = dict[str, Any]
SPACE = "bench"
GPUS = 8
GANG = 8
AT_ONCE = 32
WITHIN_S = 300.0
QUIET_S = 3.0
EVENTS = f"/api/v1/namespaces/{SPACE}/events"


def node(number: int, gpus: int = GPUS) -> Obj:
    capacity = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    name = f"node-{number:05d}"
    meta = {"name": name, "labels": {"type": "kwok", "kubernetes.io/hostname": name}}
    status = {"capacity": capacity, "allocatable": capacity}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}


def queue(name: str, parent: str = "", gpus: int = -1) -> Obj:
    free = {"quota": -1, "overQuotaWeight": 1, "limit": -1}
    spec: Obj = {"resources": {"cpu": free, "memory": free, "gpu": {**free, "quota": gpus}}}
    spec |= {"parentQueue": parent} if parent else {}
    return {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": name}, "spec": spec}


def group(name: str, in_queue: str, members: int = 1) -> Obj:
    spec = {"minMember": members, "queue": in_queue, "preemptibility": "preemptible"}
    meta = {"name": name, "namespace": SPACE}
    return {"apiVersion": "scheduling.run.ai/v2alpha2", "kind": "PodGroup", "metadata": meta, "spec": spec}


def pod(name: str, scheduler: str, in_group: str, in_queue: str, *, gpus: int = 1, on: str = "") -> Obj:
    amount = {"nvidia.com/gpu": str(gpus)} if gpus else {"cpu": "10m"}
    container = {"name": "main", "image": "bench/none:1", "resources": {"requests": amount, "limits": amount}}
    spec: Obj = {"schedulerName": scheduler, "automountServiceAccountToken": False, "containers": [container]}
    spec |= {"nodeName": on} if on else {}
    meta: Obj = {"name": name, "namespace": SPACE, "labels": {"kai.scheduler/queue": in_queue}}
    meta["annotations"] = {"pod-group-name": in_group}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


async def each(kube: KubeClient, objects: Iterable[Obj], sent: dict[str, float] | None = None) -> None:
    """Create all, many at once; ``sent`` gets the moment just before each request."""
    left = iter(objects)

    async def work() -> None:
        for obj in left:
            if sent is not None:
                sent[obj["metadata"]["name"]] = time.monotonic()
            await kube.create(obj)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


@dataclass
class World:
    """One control plane with nodes, queues and a scheduler at work."""

    ground: Ground
    kube: KubeClient
    bindings: Bindings
    which: str
    nodes: int

    def pod(self, name: str, in_group: str, in_queue: str = "bench", **more: Any) -> Obj:
        return pod(name, NAMES[self.which], in_group, in_queue, **more)

    async def furnish(self, queues: Iterable[Obj], *, filled: int = 0, owner: str = "bench") -> list[str]:
        """Nodes, definitions and queues; ``filled`` pods of ``owner`` stand on each node already. Their names."""
        await self._definitions()
        await self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        await each(self.kube, map(node, range(self.nodes)))
        for obj in (queue("root"), *queues):
            await self.kube.create(obj)
        standing = [(f"fill-{i:05d}-{k}", f"node-{i:05d}") for k in range(filled) for i in range(self.nodes)]
        if self.which == OURS:
            await each(self.kube, (group(name, owner) for name, _ in standing))
        await each(self.kube, (self.pod(name, name, owner, on=where) for name, where in standing))
        await self._ready(len(standing))
        return [name for name, _ in standing]

    async def _definitions(self) -> None:
        names = []
        for obj in yaml.safe_load_all(crd_text()):
            names.append((await self.kube.create(obj))["metadata"]["name"])
        for name in names:
            while not _established(await self.kube.get(CRD, name)):
                await asyncio.sleep(0.2)

    async def _ready(self, standing: int) -> None:
        """Nodes are Ready and standing pods run."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            nodes = (await self.kube.list(NODE)).items
            pods = (await self.kube.list(POD, SPACE, fields="status.phase=Running")).items
            if sum(map(_is_ready, nodes)) >= self.nodes and len(pods) >= standing:
                return
            await asyncio.sleep(1.0)
        raise RuntimeError("the nodes or their standing pods are not ready")

    async def begin(self, host: str = "") -> subprocess.Popen[bytes]:
        """Start the scheduler (``host``: see ``Ground.start``); it is at work once it has bound a pod that asks for no
        device."""
        started = self.ground.start(self.which, host=host)
        await self.groups(["canary"])
        await self.kube.create(self.pod("canary", "canary", gpus=0))
        if not await self.bindings.all_bound(["canary"], 60):
            raise RuntimeError(f"{self.which} bound nothing within 60 s:\n{self.ground.last_words()}")
        await self.kube.delete(POD, "canary", SPACE, grace_s=0)
        return started

    async def groups(self, names: Iterable[str], in_queue: str = "bench", members: int = 1) -> None:
        if self.which == OURS:
            await each(self.kube, (group(name, in_queue, members) for name in names))


def _is_ready(obj: Obj) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _established(obj: Obj) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


class Run:
    """Measures one load: from the first submit to the last binding; what is written late counts too."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: dict[str, float] = {}

    async def __aenter__(self) -> Run:
        await asyncio.sleep(QUIET_S)
        self.before: Usage = await asyncio.to_thread(usage, self.world.ground)
        self.started = time.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def finish(self) -> dict[str, Any]:
        """The figures all loads share. Raises where a pod was not bound."""
        if not await self.world.bindings.all_bound(self.sent, WITHIN_S):
            missing = len(self.sent.keys() - self.world.bindings.bound.keys())
            raise RuntimeError(f"{missing} of {len(self.sent)} pods are not bound after {WITHIN_S:.0f} s")
        at_bind = await asyncio.to_thread(usage, self.world.ground)
        bound = [self.world.bindings.bound[name] for name in self.sent]
        latencies = [self.world.bindings.bound[name] - at for name, at in self.sent.items()]
        late = await self._events_told()
        after = await asyncio.to_thread(usage, self.world.ground)
        figures = spent(self.before, after, len(self.sent))
        await self._running()
        end, count = await asyncio.to_thread(usage, self.world.ground), len(self.sent)
        wall = max(bound) - self.started
        return {
            "pods": len(self.sent),
            "last_bind_s": round(wall, 2),
            "pods_per_s": round(len(bound) / wall, 1),
            "bound_p50_ms": round(1000 * percentile(latencies, 0.5), 1),
            "bound_p99_ms": round(1000 * percentile(latencies, 0.99), 1),
            "events_told_after_s": round(late, 1),
            "scheduler_peak_mib": peak_mib(self.world.ground.pids["scheduler"]),
            **figures,
            "api_cpu_ms_per_pod_last_bind": api_ms(self.before, at_bind, count),
            "api_cpu_ms_per_pod_all_running": api_ms(self.before, end, count),
        }

    async def _running(self) -> None:
        """Wait until KWOK too has done its part: then every scheduler has had the same work done around it."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            left = (await self.world.kube.list(POD, SPACE, fields="status.phase=Pending")).items
            if not left:
                return
            await asyncio.sleep(1.0)

    async def _events_told(self) -> float:
        """Wait until no Event has come for a quiet moment. Seconds until the last one."""
        began = changed = time.monotonic()
        count = -1
        while time.monotonic() - changed < QUIET_S and time.monotonic() - began < WITHIN_S:
            page = json.loads(await self.world.kube.raw_get(EVENTS, {"limit": "1"}))
            found = len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)
            if found != count:
                count, changed = found, time.monotonic()
            await asyncio.sleep(0.25)
        return changed - began


async def fill(world: World, pods: int) -> dict[str, Any]:
    """Single-GPU pods at full speed until every device is taken."""
    await world.furnish([queue("bench", "root")])
    await world.begin()
    names = [f"pod-{number:05d}" for number in range(pods)]
    await world.groups(names)
    async with Run(world) as run:
        await each(world.kube, (world.pod(name, name) for name in names), run.sent)
        return await run.finish()


async def gangs(world: World, count: int, in_queue: str = "bench", filled: int = 0) -> dict[str, Any]:
    """Gangs of eight one-GPU pods at full speed; ``filled``: every device is another queue's, twice its quota."""
    half = world.nodes * GPUS // 2
    queues = [queue("bench", "root")]
    queues += [queue("team-a", "root", half), queue("team-b", "root", half)] if filled else []
    standing = await world.furnish(queues, filled=filled, owner="team-a" if filled else "bench")
    await world.begin()
    names = {f"gang-{g:04d}": [f"gang-{g:04d}-{m}" for m in range(GANG)] for g in range(count)}
    await world.groups(names, in_queue, GANG)
    async with Run(world) as run:
        made = (world.pod(name, gang, in_queue) for gang, members in names.items() for name in members)
        await each(world.kube, made, run.sent)
        figures = await run.finish()
    evicted = sum(name in world.bindings.deleted for name in standing)
    needed = {"evictions": evicted, "evictions_missing": max(0, count * GANG - evicted)}
    return figures | (needed if filled else {})


async def steady(world: World, pods: int, every_s: float = 0.05) -> dict[str, Any]:
    """A cluster half full; one pod at a time."""
    await world.furnish([queue("bench", "root")], filled=GPUS // 2)
    await world.begin()
    names = [f"pod-{number:05d}" for number in range(pods)]
    await world.groups(names)
    async with Run(world) as run, asyncio.TaskGroup() as tasks:
        for index, name in enumerate(names):
            await asyncio.sleep(max(0.0, run.started + index * every_s - time.monotonic()))
            run.sent[name] = time.monotonic()
            tasks.create_task(world.kube.create(world.pod(name, name)))
    return await run.finish()


async def idle(world: World, seconds: float) -> dict[str, Any]:
    """Every device taken and nothing changes: share of one core and memory of the scheduler."""
    await world.furnish([queue("bench", "root")], filled=GPUS)
    await world.begin()
    await asyncio.sleep(5 * QUIET_S)
    before = await asyncio.to_thread(usage, world.ground)
    await asyncio.sleep(seconds)
    after = await asyncio.to_thread(usage, world.ground)
    used = after.cpu["scheduler"] - before.cpu["scheduler"]
    return {
        "pods": world.nodes * GPUS,
        "core_percent": round(100 * used / (after.at - before.at), 2),
        "scheduler_peak_mib": peak_mib(world.ground.pids["scheduler"]),
    }
