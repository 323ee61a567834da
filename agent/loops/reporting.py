"""Tells people why pods wait: pod conditions, scheduling conditions of pod groups, and Events (by ``events``).

Level-triggered: each round compares what should be said with what the objects say, so a restart repeats nothing and a
lost write is made up for. Sparing: nothing is written about a pod that is placed within half a second, changed numbers
are written only now and then, and all of it waits while binds are on their way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from agent.domain.pods import PodStatus
from agent.domain.reasons import Reason
from agent.grouping.rules import manifest
from agent.kube.cache import Change, Store, key_of
from agent.kube.convert import groups as read
from agent.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from agent.kube.mirror import Mirror
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import POD, POD_GROUP
from agent.loops import wording
from agent.loops.events import EventWriter
from agent.loops.mistakes import Mistakes
from agent.scheduler.snapshot import Eviction, Plan

log = structlog.get_logger(__name__)

ROUND_S = 0.25
GRACE_S = 0.4
"""A pod that waits no longer than this is not written about."""
STORE_AFTER_S = 1.5
"""A virtual group that waits longer than this is stored, so that its reasons can be read."""
NOMINATED_AFTER_S = 2.0
"""A place that somebody is still leaving is named on the pod that gets it only if that takes longer than this."""
SAME_CODE_S = 10.0
"""How often a sentence is rewritten when only its numbers changed."""
OTHER_CODE_S = 1.0
BUDGET = 60
"""Writes a round, and per round while binds are on their way."""
BUSY_BUDGET = 4
UNREAD_BUDGET = 4
"""Pods a round that are told of an owner which cannot be read: it may have ten thousand, and all say the same."""
_AT_ONCE = 8


class Reporter:
    """``take`` a plan after each cycle; ``run`` writes."""

    def __init__(
        self,
        kube: Kube,
        mirror: Mirror,
        stores: Mapping[str, Store],
        *,
        leading: Callable[[], bool],
        busy: Callable[[], bool],
    ) -> None:
        """``stores``: of kinds "queue", "node", "group" and "pod", to say on each what is wrong with it."""
        self._kube = kube
        self._mirror = mirror
        self._leading = leading
        self._busy = busy
        self._pods: Mapping[str, Reason] = {}
        self._groups: Mapping[str, tuple[Reason, ...]] = {}
        self._since: dict[str, float] = {}
        self._nominated: dict[str, tuple[str, float]] = {}
        self._unread: Mapping[str, Reason] = {}
        self._written: dict[str, tuple[float, str]] = {}
        self._told: set[str] = set()
        self.events = EventWriter(kube, leading=leading, busy=busy)
        self._notes: dict[str, dict[str, str | None]] = {}
        self.mistakes = Mistakes(kube, stores, unstored=self._unstored, tell=self._refused)
        self._wake = asyncio.Event()

    # -- what there is to say ----------------------------------------------------------------------------------------

    def on_group(self, change: Change) -> None:
        """Remember which groups carry scheduling conditions, to clear them when they are over."""
        has = bool(((change.new or {}).get("status") or {}).get("schedulingConditions"))
        (self._told.add if has else self._told.discard)(change.key)

    def take(self, plan: Plan, now: int) -> None:
        """The reasons of a new plan, with the mistakes in manifests that planning did not get to see."""
        pods, groups = dict(plan.pod_reasons), dict(plan.reasons)
        refused = self._mirror.refused()
        for key, reason in refused.items():
            kind, _, name = key.partition("/")
            if kind == "group":
                groups[name] = (reason,)
                pods |= {uid: reason for uid in self._mirror.demand.members.get(name, ())}
            elif kind == "pod":
                pods |= self._pods_named(name, reason)
        demand = self._mirror.demand
        for uid in demand.missing.keys() | demand.volumes.keys():
            obstacles = demand.obstacles(uid)
            entry = self._mirror.entry(uid) if obstacles else None
            if entry is not None and entry.pod.status == PodStatus.GATED:
                pods[uid] = obstacles[0]
                groups[entry.group] = (*obstacles, *groups.get(entry.group, ()))
        self._unread = dict(self._mirror.owners.reasons())
        pods |= self._unread
        wrong = {key: why for key, why in {**plan.refused, **refused}.items() if key.startswith(("queue/", "node/"))}
        self.mistakes.take({**wrong, **self._mirror.mistakes()})
        self._pods, self._groups = pods, groups
        moment = time.monotonic()
        waiting = pods.keys() | groups.keys()
        self._since = {name: self._since.get(name, moment) for name in waiting}
        before, chosen = self._nominated, {one.pod: one.node for one in plan.nominations}
        self._nominated = {
            uid: (node, before[uid][1] if before.get(uid, ("", 0.0))[0] == node else moment)
            for uid, node in chosen.items()
        }
        for key in plan.stale:
            self._annotate(key, read.STALE_SINCE, wording.stamp(now / 1e9))
        for key in plan.no_longer_stale:
            self._annotate(key, read.STALE_SINCE, None)
        self._wake.set()

    def _unstored(self, key: str) -> Obj | None:
        virtual = self._mirror.virtual_group(key)
        return manifest(virtual) if virtual is not None else None

    def _refused(self, obj: Obj, kind: str, reason: Reason) -> None:
        """A mistake of a group that its pods form is told on the first of them too: nobody looks for that group."""
        about = [(obj, kind)]
        if kind == POD_GROUP.kind and (key := key_of(obj)) in self._mirror.demand.virtual:
            first = next(iter(self._mirror.demand.members.get(key, ())), "")
            if (entry := self._mirror.entry(first)) is not None:
                about.append((entry.obj, "Pod"))
        code = "Refused" if reason.code != "Unexpected" else reason.code
        for one, of_kind in about:
            self._event(one, of_kind, code, reason.text, warning=True, key=reason.text)

    def _pods_named(self, key: str, reason: Reason) -> dict[str, Reason]:
        namespace, _, name = key.partition("/")
        found = [uid for uid, entry in self._mirror.demand.entries.items() if entry.pod.key == f"{namespace}/{name}"]
        return {uid: reason for uid in found}

    def bound(self, pod: Obj, node: str) -> None:
        meta = pod["metadata"]
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._event(pod, "Pod", "Scheduled", text, warning=False, key=node)

    def bind_failed(self, pod: Obj, text: str) -> None:
        self._event(pod, "Pod", "FailedBinding", text, warning=True, key=text[:60])

    def evicted(self, pod: Obj, eviction: Eviction) -> None:
        """The victim's Event, and on its group the time that a preemption delay counts from."""
        self._event(pod, "Pod", "Evicted", eviction.reason.text, warning=True, key=eviction.by)
        entry = self._mirror.entry(eviction.pod)
        stored = self._mirror.demand.stored(entry.group) if entry else None
        if entry and stored and (stored.get("spec") or {}).get("preemptionDelay"):
            self._annotate(entry.group, read.LAST_EVICTION, wording.stamp(time.time()))

    def _annotate(self, key: str, name: str, value: str | None) -> None:
        self._notes.setdefault(key, {})[name] = value
        self._wake.set()

    def _event(self, obj: Obj, kind: str, reason: str, message: str, *, warning: bool, key: str) -> None:
        self.events.put(
            wording.event(obj, kind=kind, reason=reason, message=message, warning=warning, key=key, now=time.time())
        )

    # -- saying it ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.events.run())
            group.create_task(self._rounds())

    async def _rounds(self) -> None:
        while True:
            if not (
                self._since or self._nominated or self._notes or self._told - self._groups.keys() or self.mistakes.some
            ):
                await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(ROUND_S)
            if not self._leading():
                continue
            work = self._due()
            for start in range(0, len(work), _AT_ONCE):
                await asyncio.gather(*work[start : start + _AT_ONCE])

    def _due(self) -> list[Coroutine[Any, Any, None]]:
        budget = BUSY_BUDGET if self._busy() else BUDGET
        work: list[Coroutine[Any, Any, None]] = []
        moment = time.monotonic()
        while self._notes and len(work) < budget:
            work.append(self._write_notes(*self._notes.popitem()))
        work += self.mistakes.due(budget - len(work))
        for key in list(self._told):
            if key not in self._groups and len(work) < budget:
                work.append(self._clear_group(key))
        for key, reasons in self._groups.items():
            if len(work) < budget and self._group_due(key, reasons, moment):
                work.append(self._write_group(key, reasons))
        unread = UNREAD_BUDGET
        for uid, reason in self._pods.items():
            if len(work) < budget and (unread or uid not in self._unread) and self._pod_due(uid, reason, moment):
                work.append(self._write_pod(uid, reason))
                unread -= uid in self._unread
        for uid, (node, since) in self._nominated.items():
            if len(work) < budget and moment - since >= NOMINATED_AFTER_S and self._nominates(uid, node):
                work.append(self._write_nomination(uid, node))
        self._forget()
        return work

    def _forget(self) -> None:
        if len(self._written) > 2 * len(self._since) + 1000:
            self._written = {name: value for name, value in self._written.items() if name in self._since}

    def _may_write(self, name: str, code: str, moment: float) -> bool:
        """Whether it has waited long enough, and was not written just now."""
        if moment - self._since.get(name, moment) < GRACE_S:
            return False
        written, old_code = self._written.get(name, (-1e9, ""))
        return moment - written >= (SAME_CODE_S if old_code == code else OTHER_CODE_S)

    def _pod_due(self, uid: str, reason: Reason, moment: float) -> bool:
        obj = self._waiting(uid)
        if obj is None or not self._may_write(uid, reason.code, moment):
            return False
        return wording.told_on_pod(obj) != wording.shorten(reason.text)

    def _waiting(self, uid: str) -> Obj | None:
        """The pod, if it has no node: grouped and not placed, or waiting for its owner."""
        entry = self._mirror.entry(uid)
        if entry is not None:
            return entry.obj if entry.pod.status in (PodStatus.PENDING, PodStatus.GATED) else None
        obj = self._mirror.owners.waiting(uid)
        return obj if obj is not None and not (obj.get("spec") or {}).get("nodeName") else None

    def _group_due(self, key: str, reasons: tuple[Reason, ...], moment: float) -> bool:
        if not reasons or not self._may_write(key, reasons[0].code, moment):
            return False
        stored = self._mirror.demand.stored(key)
        waited = moment - self._since.get(key, moment)
        if stored is None and (self._mirror.virtual_group(key) is None or waited < STORE_AFTER_S):
            return False
        self._written[key] = (moment, reasons[0].code)
        now = ((stored or {}).get("status") or {}).get("schedulingConditions") or ()
        return not wording.same_conditions(now, wording.group_conditions(reasons, self._pool(key), now, time.time()))

    def _pool(self, key: str) -> str:
        group = self._mirror.demand.group(key)
        return group.pool if group is not None else "default"

    async def _write_pod(self, uid: str, reason: Reason) -> None:
        obj = self._waiting(uid)
        if obj is None:
            return
        meta, condition = obj["metadata"], wording.pod_condition(reason, time.time())
        body = {"metadata": {"uid": uid}, "status": {"conditions": [condition]}}
        await self._quietly(
            self._kube.patch(POD, meta["name"], meta["namespace"], body=body, kind="strategic", subresource="status")
        )
        self._event(obj, "Pod", "FailedScheduling", reason.text, warning=True, key=reason.code)

    def _nominates(self, uid: str, node: str) -> bool:
        entry = self._mirror.entry(uid)
        return entry is not None and entry.pod.status == PodStatus.PENDING and entry.pod.nominated_node != node

    async def _write_nomination(self, uid: str, node: str) -> None:
        """``status.nominatedNodeName``: others see for whom the room is meant, and the next plan prefers it."""
        entry = self._mirror.entry(uid)
        if entry is not None:
            meta, body = entry.obj["metadata"], {"metadata": {"uid": uid}, "status": {"nominatedNodeName": node}}
            await self._quietly(
                self._kube.patch(
                    POD, meta["name"], meta["namespace"], body=body, kind="strategic", subresource="status"
                )
            )

    async def _write_group(self, key: str, reasons: tuple[Reason, ...]) -> None:
        namespace, _, name = key.partition("/")
        virtual = self._mirror.virtual_group(key)
        if virtual is not None:
            try:
                await self._kube.create(manifest(virtual))
            except AlreadyExists:
                pass
            except KubeError as error:
                log.info("group_not_stored", group=key, error=error.message)
                return
        stored = self._mirror.demand.stored(key) or {}
        before = (stored.get("status") or {}).get("schedulingConditions") or ()
        conditions = wording.group_conditions(reasons, self._pool(key), before, time.time())
        body = {"status": {"schedulingConditions": conditions}}
        await self._quietly(self._kube.patch(POD_GROUP, name, namespace, body=body, subresource="status"))
        if stored and len(self._mirror.demand.members.get(key, ())) > 1:
            first = reasons[0]
            self._event(stored, "PodGroup", "Unschedulable", first.text, warning=True, key=first.code)

    async def _clear_group(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        self._told.discard(key)
        if self._mirror.demand.stored(key) is not None:
            body: Obj = {"status": {"schedulingConditions": []}}
            await self._quietly(self._kube.patch(POD_GROUP, name, namespace, body=body, subresource="status"))

    async def _write_notes(self, key: str, notes: dict[str, str | None]) -> None:
        namespace, _, name = key.partition("/")
        if self._mirror.demand.stored(key) is not None:
            body = {"metadata": {"annotations": notes}}
            await self._quietly(self._kube.patch(POD_GROUP, name, namespace, body=body))

    async def _quietly(self, call: Coroutine[Any, Any, Obj]) -> None:
        """A write that is only for people: what is gone or told already is fine, other trouble is logged."""
        try:
            await call
        except (NotFound, Conflict):
            return
        except KubeError as error:
            log.info("not_told", error=error.message)
