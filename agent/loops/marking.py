"""Writes what measurements mean onto pods and workloads, where the operator reads it: annotations, on change only.

A process that dies loses nothing: since when a pod is idle is on the pod, and the next tick measures again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import Gauge

from agent.kube.errors import KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import POD, WORKLOAD, Resource
from agent.kube.watch import Informers
from agent.metrics.aggregate import PodFact, Tick
from agent.metrics.judging import SETTLED, Excess, excesses, gpu_use, idle_pods, idle_since
from agent.operator import load
from agent.operator.facts import moment
from agent.wire import labels

log = structlog.get_logger(__name__)

AT_ONCE = 8
CHANGE = 0.1
"""An excess is written again when it is another by so much."""
EXCESS = Gauge("runai_pod_gpu_memory_excess_bytes", "GPU memory used beyond what was asked for.", ["namespace", "pod"])
_MIB = 1 << 20


class Marker:
    """``mark`` after every tick."""

    def __init__(
        self, kube: Kube, informers: Informers, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._kube, self._now = kube, now
        self._pods = informers.store(POD)
        self._workloads = informers.store(WORKLOAD, optional=True)
        self._idle: dict[str, datetime] = {}
        self._told: dict[str, Excess] = {}

    async def mark(self, tick: Tick) -> None:
        """Trouble with one object is logged: the next tick tries again."""
        now = self._now()
        facts = {fact.uid: fact for fact in tick.pods}
        idle = idle_pods(tick.devices, tick.pods)
        self._idle = idle_since(self._idle, idle, now, self._written(idle))
        found = excesses(tick.devices, tick.pods)
        self._measure(found, facts)
        work = [self._pod(fact, now, found.get(fact.uid)) for fact in tick.pods if fact.gpu_milli]
        work += [self._load(obj, use) for obj, use in self._scaled(gpu_use(tick.devices, tick.pods))]
        for start in range(0, len(work), AT_ONCE):
            await asyncio.gather(*work[start : start + AT_ONCE])

    def _written(self, idle: dict[str, bool]) -> dict[str, datetime]:
        """Since when pods are idle, as they say themselves."""
        found = {}
        for uid in idle.keys() - self._idle.keys():
            at = moment(_notes(self._pods.by_uid(uid)).get(labels.GPU_IDLE_SINCE))
            if at is not None:
                found[uid] = at
        return found

    def _measure(self, found: dict[str, Excess], facts: dict[str, PodFact]) -> None:
        EXCESS.clear()
        for uid, excess in found.items():
            fact = facts[uid]
            EXCESS.labels(fact.namespace, fact.name).set((excess.used_mib - excess.asked_mib) * _MIB)

    async def _pod(self, fact: PodFact, now: datetime, excess: Excess | None) -> None:
        obj = self._pods.by_uid(fact.uid)
        if obj is None:
            return
        have, wanted = _notes(obj), dict[str, str | None]()
        since = self._idle.get(fact.uid)
        settled = since is not None and now - since >= SETTLED
        wanted[labels.GPU_IDLE_SINCE] = _stamp(since) if since is not None and settled else None
        fresh = excess is not None and self._news(fact.uid, excess, have.get(labels.GPU_MEMORY_EXCESS))
        if excess is None:
            self._told.pop(fact.uid, None)
            wanted[labels.GPU_MEMORY_EXCESS] = None
        elif fresh:
            wanted[labels.GPU_MEMORY_EXCESS] = excess.text
        change = {key: value for key, value in wanted.items() if have.get(key) != value}
        if change and await self._patch(POD, obj, change) and excess is not None and fresh:
            if labels.GPU_MEMORY_EXCESS not in have:
                await self._event(obj, excess)
            self._told[fact.uid] = excess

    def _news(self, uid: str, excess: Excess, written: str | None) -> bool:
        told = self._told.get(uid)
        if told is None or not written:
            return written != excess.text
        return abs(excess.used_mib - told.used_mib) > CHANGE * told.used_mib

    def _scaled(self, use: dict[str, float]) -> list[tuple[Obj, float]]:
        """Workloads that scale by the use of their GPUs."""
        found = []
        for obj in self._workloads:
            scaling = (obj.get("spec") or {}).get("autoscaling") or {}
            if scaling.get("metric") != "gpu-utilization":
                continue
            key = (obj["metadata"].get("labels") or {}).get(labels.WORKLOAD_ID) or obj["metadata"]["uid"]
            if key in use:
                found.append((obj, use[key]))
        return found

    async def _load(self, obj: Obj, use: float) -> None:
        text = f"{use:.0f}"
        if _notes(obj).get(load.GPU_USE) != text:
            await self._patch(WORKLOAD, obj, {load.GPU_USE: text})

    async def _patch(self, resource: Resource, obj: Obj, notes: dict[str, Any]) -> bool:
        meta = obj["metadata"]
        try:
            body = {"metadata": {"annotations": notes, "uid": meta["uid"]}}
            await self._kube.patch(resource, meta["name"], meta["namespace"], body=body)
            return True
        except NotFound:
            return False
        except KubeError as error:
            log.warning("mark_not_written", kind=resource.kind, name=meta["name"], error=error.message)
            return False

    async def _event(self, pod: Obj, excess: Excess) -> None:
        """For people, once an excess begins. It may be lost."""
        meta, stamp = pod["metadata"], _stamp(self._now())
        about = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "namespace": meta["namespace"]}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name'][:200]}.gpu-memory.{meta['uid'][:8]}", "namespace": meta["namespace"]},
            "involvedObject": about | {"uid": meta["uid"]},
            "type": "Warning",
            "reason": "GpuMemoryExceeded",
            "message": excess.text,
            "source": {"component": "runai-metrics"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        try:
            await self._kube.create(event)
        except KubeError as error:
            log.info("event_lost", pod=meta["name"], error=error.message)


def _notes(obj: Obj | None) -> dict[str, str]:
    return ((obj or {}).get("metadata") or {}).get("annotations") or {}


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
