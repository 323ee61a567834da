"""The operator and the webhook in figures, on a fresh API server with simulated nodes: no control plane takes part.

Operator, webhook and scheduler run as processes of their own beside the API server, etcd and KWOK, as in a cluster.
Workloads are made as kubectl would make them; pods are seen by a watch of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from agent import install
from agent.kube.cache import Change
from agent.kube.client import KubeClient
from agent.kube.errors import Invalid, NotFound
from agent.kube.resources import NAMESPACE, POD, QUEUE, WORKLOAD
from agent.kube.watch import Informer
from agent.operator.desired import read_project
from agent.operator.lifecycle import decide
from agent.operator.workload import read_workload
from agent.wire.install import crd_text, render_manifest
from agent.wire.labels import WORKLOAD_NAME
from bench import _main_webhook
from bench._cluster_loads import AT_ONCE, each, node
from bench._cluster_machine import Ground, Usage, ground, spent, usage
from bench._main_figures import Line, line, spread
from bench._main_memory import cpu_seconds, pss_mib

Obj = dict[str, Any]
T = TypeVar("T")
SPACE = "runai-bench"
NODES, GPUS = 80, 16
ROLES = ("operator", "webhook", "scheduler")
WRITING = ("POST ", "PUT ", "PATCH ", "DELETE ")
WITHIN_S = 180.0
QUIET_S = 10.0
CREATED = {"p50": 50.0, "p99": 250.0}
IDLE = {"core_percent": 2.0, "pss_mib": 200.0}
BURST_PER_S = 80.0
ROOT = Path(__file__).resolve().parents[1]


def workload(name: str, **compute: int) -> Obj:
    """A training of one pod that runs until it is deleted."""
    spec = {"type": "training", "image": "example.local/busybox:1", "compute": {"cpuMilli": 10, **compute}}
    meta = {"name": name, "namespace": SPACE}
    return {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": meta, "spec": spec}


def wrong() -> Obj:
    """What only the webhook refuses."""
    obj = workload("probe")
    obj["spec"]["framework"] = "none"
    return obj


def manifest() -> str:
    return render_manifest(
        cluster_id="c",
        cluster_name="bench",
        link_url="https://none",
        ca_pem="",
        enrolment_token="none",
        crd_yaml=crd_text(),
    )


def project() -> Obj:
    free = {"deserved": -1, "limit": -1, "overQuotaWeight": 1000}
    quota = {"nodePool": "default", "gpu": free, "cpu": free, "memory": free}
    spec = {"id": "1", "displayName": "bench", "namespace": SPACE, "department": "", "quotas": [quota]}
    return {"apiVersion": "run.ai/v1", "kind": "Project", "metadata": {"name": "bench"}, "spec": spec}


@dataclass
class Plant:
    """A control plane with nodes, a project and the three roles at work."""

    ground: Ground
    kube: KubeClient
    account: str = ""
    """Kubeconfig of the agent's service account: its rights and its name are those of a real installation."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    created: dict[str, float] = field(default_factory=dict)
    """Workload → monotonic second in which its first pod was seen."""
    pods: Counter[str] = field(default_factory=Counter)
    """Workload → pods ever seen."""

    async def furnish(self) -> None:
        await install.install(self.kube, install.parse(manifest()))
        self.account = str(self.ground.cluster.service_account_kubeconfig("runai", "runai-agent"))
        await each(self.kube, (node(number, GPUS) for number in range(NODES)))
        for role in ROLES:
            self._start(role)
        await self.kube.create(project())
        await self._until(self._ready)

    def _start(self, role: str) -> None:
        argv = [sys.executable, "-m", "agent", role, "--no-leader-election"]
        env = {**os.environ, "KUBECONFIG": self.account}
        with (self.ground.cluster.dir / "logs" / f"{role}.log").open("wb") as log:
            self.processes[role] = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log)
        self.ground.pids[role] = self.processes[role].pid

    async def _until(self, question: Any) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not await question():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not ready within {WITHIN_S:.0f} s: {question}")
            await asyncio.sleep(0.2)

    async def _ready(self) -> bool:
        """Namespace and queue are there, and the webhook answers: only it knows what is refused here."""
        try:
            await self.kube.get(NAMESPACE, SPACE)
            await self.kube.get(QUEUE, "bench")
            await self.kube.create(wrong())
        except NotFound:
            return False
        except Invalid:
            return True
        await self.kube.delete(WORKLOAD, "probe", SPACE)
        return False

    def see(self, change: Change) -> None:
        if change.old is None:
            name = change.current["metadata"]["labels"].get(WORKLOAD_NAME, "")
            self.created.setdefault(name, time.monotonic())
            self.pods[name] += 1

    async def all_created(self, names: list[str]) -> bool:
        deadline = time.monotonic() + WITHIN_S
        while not all(name in self.created for name in names) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return all(name in self.created for name in names)

    async def all_running(self, count: int) -> None:
        async def settled() -> bool:
            found = (await self.kube.list(WORKLOAD, SPACE)).items
            phases = [(obj.get("status") or {}).get("phase") for obj in found]
            return phases.count("Running") >= count

        await self._until(settled)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def plant() -> AsyncIterator[Plant]:
    with ground(NODES) as made:
        async with KubeClient.connect(made.kubeconfig, user_agent="bench", in_flight=64) as kube:
            found = Plant(made, kube)
            try:
                await found.furnish()
                informer = Informer(kube, POD, SPACE)
                informer.store.on_change(found.see)
                watching = asyncio.create_task(informer.run())
                await informer.synced()
                yield found
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            finally:
                found.stop()


async def steady(plant: Plant, count: int, rate: float) -> Line:
    """Open loop: each Workload leaves at its time, whatever came before. Milliseconds from sending it to its pod."""
    sent: dict[str, float] = {}
    begun, before = time.monotonic() + 0.2, await asyncio.to_thread(usage, plant.ground)

    async def create(name: str) -> None:
        sent[name] = time.monotonic()
        await plant.kube.create(workload(name, gpuDevices=1))

    async with asyncio.TaskGroup() as tasks:
        for index in range(count):
            await asyncio.sleep(max(0.0, begun + index / rate - time.monotonic()))
            tasks.create_task(create(f"steady-{index:04d}"))
    await plant.all_created(list(sent))
    await plant.all_running(count)
    taken = [1000 * (plant.created[name] - at) for name, at in sent.items() if name in plant.created]
    facts = _cost(before, await asyncio.to_thread(usage, plant.ground), count)
    return line(
        "workload_to_pod", {**spread(taken), "lost": count - len(taken)}, CREATED, unit="ms", per_s=rate, **facts
    )


async def floor(count: int) -> Line:
    """What the machine does when nobody thinks: the load itself makes ``count`` Workloads, each with its pod at once,
    on a fresh API server without operator, webhook and scheduler. Workloads a second."""
    with ground(NODES) as made:
        async with KubeClient.connect(made.kubeconfig, user_agent="bench", in_flight=64) as kube:
            await install.install(kube, install.parse(manifest()))
            await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
            view = read_project(project())
            left = iter(workload(f"floor-{index:05d}", gpuDevices=1) for index in range(count))

            async def work() -> None:
                for obj in left:
                    stored = await kube.create(obj)
                    for pod in decide(read_workload(stored, view), [], datetime.now(UTC)).create:
                        await kube.create(pod)

            before, begun = await asyncio.to_thread(usage, made), time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(work())
            wall = time.monotonic() - begun
            facts = _cost(before, await asyncio.to_thread(usage, made), count)
    return line("workload_floor", {"pods_per_s": round(count / wall, 1)}, {}, workloads=count, **facts)


async def burst(plant: Plant, count: int) -> Line:
    """``count`` Workloads at once: pods a second from the first request sent to the last pod seen."""
    sent: dict[str, float] = {}
    before = await asyncio.to_thread(usage, plant.ground)
    await each(plant.kube, (workload(f"burst-{index:05d}", gpuDevices=1) for index in range(count)), sent)
    submitted = time.monotonic() - min(sent.values())
    await plant.all_created(list(sent))
    seen = [plant.created[name] for name in sent if name in plant.created]
    wall = max(seen) - min(sent.values())
    after = await asyncio.to_thread(usage, plant.ground)
    figures = {
        "pods_per_s": round(len(seen) / wall, 1),
        "last_pod_s": round(wall, 2),
        "submitted_s": round(submitted, 2),
        "lost": count - len(seen),
        "extra": sum(plant.pods[name] > 1 for name in sent),
    }
    # A target is what a figure may be at most: so many pods a second are at least one each 1/80 s.
    figures["ms_per_pod"] = round(1000 * wall / max(1, len(seen)), 2)
    targets = {"ms_per_pod": 1000 / BURST_PER_S, "lost": 0, "extra": 0}
    return line("workload_burst", figures, targets, workloads=count, **_cost(before, after, count))


def _cost(before: Usage, after: Usage, count: int) -> dict[str, Any]:
    """Processor milliseconds by program and writes by kind, each of a workload; what else the machine did meanwhile."""
    cpu = {name: round(1000 * (after.cpu[name] - before.cpu[name]) / count, 1) for name in after.cpu}
    found = spent(before, after, count)
    kept = {name: found[name] for name in ("requests", "foreign_cores")}
    return {"cpu_ms_each": cpu, "writes_each": writes_each(found["requests"], count), **kept}


def writes_each(requests: Any, count: int) -> dict[str, float]:
    """Writes of a workload by verb and resource, of ``requests`` counted so; leases are kept whoever works."""
    written = ((key, n) for key, n in requests.items() if key.startswith(WRITING) and not key.endswith(" leases"))
    return {key: round(n / count, 2) for key, n in written}


async def idle(plant: Plant, count: int, seconds: float) -> Line:
    """``count`` Workloads that run and change no more: share of one core, and memory of the operator."""
    have = len((await plant.kube.list(WORKLOAD, SPACE)).items)
    names = [f"idle-{index:05d}" for index in range(max(0, count - have))]
    await each(plant.kube, (workload(name) for name in names))
    await plant.all_created(names)
    await plant.all_running(count)
    await asyncio.sleep(QUIET_S)
    pid = plant.processes["operator"].pid
    begun, before = time.monotonic(), cpu_seconds([pid])
    await asyncio.sleep(seconds)
    share = 100 * (cpu_seconds([pid]) - before) / (time.monotonic() - begun)
    figures = {"core_percent": round(share, 2), "pss_mib": round(pss_mib([pid]), 1)}
    return line("operator_idle", figures, IDLE, workloads=count)


async def door(plant: Plant, count: int, rate: float) -> Line:
    """``count`` questions to the webhook, half of them about pods and half about Workloads."""
    pairs = ((_main_webhook.pod(f"p{i}", SPACE), workload(f"w{i}", gpuDevices=1)) for i in range(count // 2))
    asked = [obj for pair in pairs for obj in pair]
    before = await asyncio.to_thread(usage, plant.ground)
    found = await _main_webhook.measure(plant.kube, plant.processes["webhook"].pid, asked, rate)
    cost = _cost(before, await asyncio.to_thread(usage, plant.ground), count)
    return found | {"cpu_ms_each": cost["cpu_ms_each"]["webhook"], "foreign_cores": cost["foreign_cores"]}


@dataclass(frozen=True)
class Size:
    steady: int
    burst: int
    asked: int
    idle: int
    idle_s: float


SIZES = {"small": Size(100, 300, 500, 1000, 20.0), "full": Size(200, 1000, 1500, 5000, 30.0)}


async def _work(size: Size) -> list[Line]:
    async with plant() as made:
        lines = [await steady(made, size.steady, 5.0), await burst(made, size.burst)]
        await made.all_running(size.steady + size.burst)
        return [*lines, await door(made, size.asked, 50.0)]


async def _rest(size: Size) -> list[Line]:
    async with plant() as made:
        return [await idle(made, size.idle, size.idle_s)]


def measure(size: str) -> Iterator[Line]:
    """Lines ``workload_floor``, ``workload_to_pod``, ``workload_burst`` and ``webhook``."""
    yield _run(floor(SIZES[size].burst))
    yield from _run(_work(SIZES[size]))


def measure_idle(size: str) -> Iterator[Line]:
    """Line ``operator_idle``, on a control plane of its own."""
    yield from _run(_rest(SIZES[size]))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """With the agent's own event loop: the load shares the cores with what it measures."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
