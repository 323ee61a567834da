"""Scenes for the live scheduler on a real API server: short steps that submit, change and expect, in a table."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from agent.kube.client import KubeClient
from agent.kube.errors import AlreadyExists, NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import CONFIG_MAP, NODE, POD, POD_GROUP, QUEUE

SPACE, NAME = "d-scenes", "d-scenes-scheduler"
Step = Callable[["Scene"], Awaitable[None]]
STABLE_S = 0.8
TAINT = {"key": "kwok.x-k8s.io/node", "operator": "Exists"}


class Scene:
    """One case: its queues, groups and pods; ``clear`` removes them."""

    def __init__(self, kube: KubeClient) -> None:
        self.kube = kube
        self.made: list[str] = []

    async def queue(self, name: str, gpu: float = -1, parent: str = "d-scenes-root", **gpu_more: Any) -> None:
        free = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
        spec: Obj = {"resources": {"gpu": {**free, "quota": gpu, **gpu_more}, "cpu": free, "memory": free}}
        spec |= {"parentQueue": parent} if parent else {}
        obj = {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": name}, "spec": spec}
        await self.kube.apply(obj, manager="test")
        self.made.append(name)

    async def submit(
        self,
        name: str,
        pods: int = 1,
        gpu: int = 1,
        minimum: int = 1,
        queue: str = "d-scenes-q",
        priority: str = "train",
        notes: dict[str, str] | None = None,
        scheduler: str = NAME,
        cpu: str = "",
        missing_only: bool = False,
        group: Obj | None = None,
        owners: list[Obj] | None = None,
        **spec: Any,
    ) -> None:
        """A PodGroup of that name and its pods. ``missing_only``: those pods that there are not. ``group``: more of the
        PodGroup's spec; ``owners``: references of the pods."""
        body = {"queue": queue, "minMember": minimum, "priorityClassName": priority, **(group or {})}
        meta: Obj = {"name": name, "namespace": SPACE}
        made = {"apiVersion": "scheduling.run.ai/v2alpha2", "kind": "PodGroup", "metadata": meta, "spec": body}
        with contextlib.suppress(AlreadyExists):
            await self.kube.create(made)
        limits = {"nvidia.com/gpu": str(gpu)} if gpu else {"cpu": cpu or "100m"}
        for index in range(pods):
            labels = {"workload": name, "kai.scheduler/node-pool": "simulated", "kai.scheduler/queue": queue}
            annotations = {"pod-group-name": name, **(notes or {})}
            container = {"name": "c", "image": "example.local/none:1", "resources": {"limits": limits}}
            pod: Obj = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{name}-{index}", **_placed(labels, annotations)},
                "spec": {"schedulerName": scheduler, "tolerations": [TAINT], "containers": [container], **spec},
            }
            if owners:
                pod["metadata"]["ownerReferences"] = owners
            with contextlib.suppress(*((AlreadyExists,) if missing_only else ())):
                await self.kube.create(pod)

    async def pods(self, workload: str = "") -> list[Obj]:
        labels = f"workload={workload}" if workload else ""
        return (await self.kube.list(POD, SPACE, labels=labels)).items

    async def counts(self) -> Counter[str]:
        """Workload → pods that have a node and stay."""
        held = [pod for pod in await self.pods() if pod["spec"].get("nodeName")]
        return Counter(
            pod["metadata"]["labels"]["workload"] for pod in held if not pod["metadata"].get("deletionTimestamp")
        )

    async def texts(self, workload: str) -> str:
        """All that is said about a workload: conditions of its pods and of its group."""
        said = [
            condition.get("message") or ""
            for pod in await self.pods(workload)
            for condition in (pod.get("status") or {}).get("conditions") or ()
        ]
        group = await self.kube.get(POD_GROUP, workload, SPACE)
        conditions = (group.get("status") or {}).get("schedulingConditions") or ()
        return "\n".join([*said, *(condition.get("message") or "" for condition in conditions)])

    async def remove(self, workload: str) -> None:
        """Its pods are gone when this returns."""
        for pod in await self.pods(workload):
            await self._gone(POD, pod["metadata"]["name"], grace_s=0)

    async def clear(self) -> None:
        for pod in await self.pods():
            await self._gone(POD, pod["metadata"]["name"], grace_s=0)
        for group in (await self.kube.list(POD_GROUP, SPACE)).items:
            await self._gone(POD_GROUP, group["metadata"]["name"])
        for name in self.made:
            with contextlib.suppress(NotFound):
                await self.kube.delete(QUEUE, name)
        for node in (await self.kube.list(NODE)).items:
            if node["spec"].get("unschedulable"):
                await self.kube.patch(NODE, node["metadata"]["name"], body={"spec": {"unschedulable": None}})

    async def _gone(self, resource: Any, name: str, **more: Any) -> None:
        with contextlib.suppress(NotFound):
            await self.kube.delete(resource, name, SPACE, **more)


def _placed(labels: dict[str, str], annotations: dict[str, str]) -> Obj:
    return {"namespace": SPACE, "labels": labels, "annotations": annotations}


def submit(name: str, pods: int = 1, **more: Any) -> Step:
    return lambda scene: scene.submit(name, pods, **more)


def queue(name: str, gpu: float = -1, **more: Any) -> Step:
    return lambda scene: scene.queue(name, gpu, **more)


def bound(**wanted: int) -> Step:
    """Exactly so many pods of each workload have a node, and it stays so."""

    async def check(scene: Scene) -> None:
        deadline = time.monotonic() + 20
        while True:
            found = await scene.counts()
            if all(found[name] == count for name, count in wanted.items()):
                await asyncio.sleep(STABLE_S)
                found = await scene.counts()
                if all(found[name] == count for name, count in wanted.items()):
                    return
            if time.monotonic() > deadline:
                said = [await scene.texts(name) for name in wanted]
                raise AssertionError(f"bound {dict(found)}, must be {wanted}; they say {said}")
            await asyncio.sleep(0.1)

    return check


def told(workload: str, *words: str) -> Step:
    """Some text about the workload holds all the words."""

    async def check(scene: Scene) -> None:
        deadline = time.monotonic() + 15
        text = await scene.texts(workload)
        while not all(word in text for word in words):
            assert time.monotonic() < deadline, f"{workload} says {text!r}, must hold {words}"
            await asyncio.sleep(0.2)
            text = await scene.texts(workload)

    return check


def at(workload: str, *nodes: str | None) -> Step:
    """The nodes of its pods, None for one that waits."""

    async def check(scene: Scene) -> None:
        found = {pod["spec"].get("nodeName") for pod in await scene.pods(workload)}
        assert found == set(nodes)

    return check


def delete(workload: str) -> Step:
    async def do(scene: Scene) -> None:
        for pod in await scene.pods(workload):
            await scene.kube.delete(POD, pod["metadata"]["name"], SPACE, grace_s=0)

    return do


def ungate(workload: str) -> Step:
    async def do(scene: Scene) -> None:
        for pod in await scene.pods(workload):
            await scene.kube.patch(POD, pod["metadata"]["name"], SPACE, body={"spec": {"schedulingGates": None}})

    return do


def cordon(node: str, value: bool = True) -> Step:
    async def do(scene: Scene) -> None:
        await scene.kube.patch(NODE, node, body={"spec": {"unschedulable": value or None}})

    return do


def config_map(name: str) -> Step:
    async def do(scene: Scene) -> None:
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": SPACE}}
        await scene.kube.apply(obj, manager="test")
        assert await scene.kube.get(CONFIG_MAP, name, SPACE)

    return do
