"""A scheduler on a Kubernetes in memory, and the objects that tests put there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agent.config import Settings
from agent.kube.protocol import Obj
from agent.kube.resources import POD
from agent.kube.watch import Informers
from agent.loops.context import Context, RoleState
from agent.loops.scheduler import Scheduler
from tests.agent.fake_kube import FakeKube

FREE = {"quota": -1, "limit": -1, "overQuotaWeight": 1}


@asynccontextmanager
async def scheduling(kube: FakeKube, **settings: Any) -> AsyncIterator[Scheduler]:
    """A running scheduler; another one may run on the same ``kube`` afterwards, as after a kill."""
    settings.setdefault("gpu_reservations", False)  # no kubelet here that would run a reservation pod
    informers = Informers(kube)
    scheduler = Scheduler(Context("scheduler", kube, informers, Settings(**settings), RoleState("scheduler")))
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await informers.close()


async def until(condition: Callable[[], object], within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def node(name: str = "n1", gpus: int = 4, **labels: str) -> Obj:
    room = {"cpu": "32", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    status = {"allocatable": room, "capacity": room, "conditions": [{"type": "Ready", "status": "True"}]}
    meta = {"name": name, "labels": {"nvidia.com/gpu.memory": "16000", **labels}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": status}


def queue(name: str = "q", gpus: float = -1, parent: str = "", **spec: Any) -> Obj:
    resources = {"gpu": {**FREE, "quota": gpus}, "cpu": FREE, "memory": FREE}
    body = {"resources": resources, **({"parentQueue": parent} if parent else {}), **spec}
    return {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": name}, "spec": body}


def group(name: str, minimum: int = 1, queue_name: str = "q", **spec: Any) -> Obj:
    body = {"queue": queue_name, "minMember": minimum, **spec}
    meta = {"name": name, "namespace": "ns"}
    return {"apiVersion": "scheduling.run.ai/v2alpha2", "kind": "PodGroup", "metadata": meta, "spec": body}


def pod(
    name: str, gpus: int = 1, *, in_group: str | None = None, scheduler: str = "runai-scheduler", **more: Any
) -> Obj:
    notes = {"pod-group-name": in_group} if in_group else {}
    meta: Obj = {"name": name, "namespace": "ns", "labels": {"kai.scheduler/queue": "q"}, "annotations": notes}
    meta["annotations"] |= more.pop("annotations", {})
    meta["labels"] |= more.pop("labels", {})
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {"cpu": "1"}
    spec = {"schedulerName": scheduler, "containers": [{"name": "c", "resources": {"limits": limits}}], **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def placed(kube: FakeKube) -> dict[str, str]:
    """Pod name → node of the pods that are bound."""
    return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in kube.all(POD) if p["spec"].get("nodeName")}


def told(kube: FakeKube, name: str) -> str:
    """The sentence on a pod that waits, or ""."""
    found = next(p for p in kube.all(POD) if p["metadata"]["name"] == name)
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((c["message"] for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), "")
