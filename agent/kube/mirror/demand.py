"""Pods of our scheduler names, the groups they form and the queues they wait in, incrementally.

A pod's state is what the API says, overlaid with what we did and the API has not shown yet: a bind on its way
(``assumed``), an eviction on its way (``leaving``), a pause after a failed bind (``held``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from agent.domain.groups import PodGroup
from agent.domain.nodes import DEFAULT_POOL
from agent.domain.pods import ACTIVE_USED, STUCK_AFTER, Pod, PodStatus
from agent.domain.queues import Queue
from agent.domain.reasons import Reason
from agent.domain.reasons import reason as reason_of
from agent.grouping.rules import Group, manifest
from agent.kube import quantity
from agent.kube.cache import Change
from agent.kube.convert import groups as read
from agent.kube.convert import mistakes
from agent.kube.convert.constraints import constraints_of
from agent.kube.convert.pods import asked_of, pod_of, scheduled_at, state_of
from agent.kube.mirror.entries import NO_POD, Assumed, Entry, same_group, same_request
from agent.kube.mirror.volumes import NOTHING, Verdict
from agent.kube.protocol import Obj
from agent.wire import labels as names

FINISHED = (PodStatus.SUCCEEDED, PodStatus.FAILED)
LEAVING = (PodStatus.RELEASING, PodStatus.STUCK_IN_RELEASING)


def note(found: dict[str, Reason], key: str, wrong: Reason | None) -> bool:
    """What is wrong with one thing now; None: nothing (any more). True if that is news."""
    before = found.pop(key, None)
    if wrong is not None:
        found[key] = wrong
    return before != wrong


class Demand:
    """Entries by uid, groups by key, queues by name."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.members: dict[str, dict[str, None]] = {}
        """Group key → uids of its pods, in order of arrival."""
        self.virtual: dict[str, Group] = {}
        self.refused: dict[str, Reason] = {}
        """Bad input by "kind/name", as the mistakes of manifests say it: what is left out because of it."""
        self.mistakes: dict[str, Reason] = {}
        """The same of what is used all the same."""
        self.assumed: dict[str, Assumed] = {}
        self.leaving: set[str] = set()
        self.held: dict[str, int] = {}
        """uid → until when (ns) it is not tried again after a failed bind."""
        self.missing: dict[str, tuple[str, ...]] = {}
        """uid → objects it needs that do not exist (``"ConfigMap ns/name"``)."""
        self.unresolved: set[str] = set()
        """uids of pods that name objects of which is not known yet whether they exist."""
        self.volumes: dict[str, Verdict] = {}
        """uid → what its volume claims say, where it has some and waits."""
        self.priorities = read.Priorities({})
        self.aliases: Mapping[str, Mapping[str, str]] = {}
        self._stored: dict[str, Obj] = {}
        self._groups: dict[str, PodGroup] = {}
        self._changed: set[str] = set()
        self._planned_groups: dict[str, PodGroup] = {}
        self._planned_pods: dict[str, Pod] = {}
        self._started: dict[str, int] = {}
        self._evicted: dict[str, int] = {}
        self._stale_since: dict[str, int | None] = {}
        self._queues: dict[str, Queue] = {}
        self._pooled: set[str] = set()
        self._stuck_at: dict[str, int] = {}
        """uid of a leaving pod → from when on (ns) it counts as stuck; long ago for one that does."""
        self.pending: set[str] = set()
        """uids of the pods that could be placed now."""

    def adopt(self, other: Demand) -> None:
        """Take over what is on its way and not yet in any object."""
        self.assumed, self.leaving, self.held = dict(other.assumed), set(other.leaving), dict(other.held)
        self.missing, self.unresolved = dict(other.missing), set(other.unresolved)
        self._started, self._evicted = dict(other._started), dict(other._evicted)
        self._stale_since = dict(other._stale_since)

    def resolve(self, other: Demand, now: int) -> None:
        """Know of the objects that pods name what ``other`` knows."""
        for uid in self.unresolved - other.unresolved:
            self.unresolved.discard(uid)
            self.review(uid, now)

    # -- pods --------------------------------------------------------------------------------------------------------

    def put_pod(
        self, obj: Obj, group: str, now: int, subgroup: str, volumes: Verdict = NOTHING
    ) -> tuple[Pod | None, Pod]:
        """Take a pod of ours in its new form. Returns what it was for the scheduler and what it is."""
        uid = obj["metadata"]["uid"]
        old = self.entries.get(uid)
        if old is not None and same_request(old.obj, obj) and volumes == self.volumes.get(uid, NOTHING):
            asked, rules = old.asked, old.rules
        else:
            asked, rules = asked_of(obj), constraints_of(obj, volumes.places)
        self._note_volumes(uid, volumes)
        if (obj.get("spec") or {}).get("nodeName"):
            self.assumed.pop(uid, None)
            self.held.pop(uid, None)
        entry = Entry(obj, group, asked, rules, old.pod if old is not None else NO_POD, subgroup)
        entry.pod = pod = self._view(entry, now)
        if old is not None and old.group != group:
            self._changed.add(old.group)
            self._leave_group(uid, old.group)
        self.entries[uid] = entry
        if old is None or old.pod is not pod or old.group != group:
            self._changed.add(group)
        self.members.setdefault(group, {})[uid] = None
        note(self.refused, f"pod/{pod.key}", asked.wrong)
        if old is None or old.asked is not asked:
            note(self.mistakes, f"pod/{pod.key}", mistakes.of_pod(obj))
        self._note_start(group, obj, pod)
        return (old.pod if old is not None else None), pod

    def set_volumes(self, uid: str, volumes: Verdict, now: int) -> bool:
        """What a waiting pod's claims say now. True if that is news."""
        entry = self.entries.get(uid)
        if entry is None or volumes == self.volumes.get(uid, NOTHING):
            return False
        self._note_volumes(uid, volumes)
        entry.rules = constraints_of(entry.obj, volumes.places)
        self.review(uid, now)
        return True

    def _note_volumes(self, uid: str, volumes: Verdict) -> None:
        if volumes is NOTHING or volumes == NOTHING:
            self.volumes.pop(uid, None)
        else:
            self.volumes[uid] = volumes

    def drop_pod(self, uid: str) -> Pod | None:
        entry = self.entries.pop(uid, None)
        if entry is None:
            return None
        self._planned_pods.pop(uid, None)
        self._changed.add(entry.group)
        self.assumed.pop(uid, None)
        self.leaving.discard(uid)
        self.held.pop(uid, None)
        self.missing.pop(uid, None)
        self.unresolved.discard(uid)
        self.volumes.pop(uid, None)
        self._stuck_at.pop(uid, None)
        self.pending.discard(uid)
        self.refused.pop(f"pod/{entry.pod.key}", None)
        self.mistakes.pop(f"pod/{entry.pod.key}", None)
        self._leave_group(uid, entry.group)
        return entry.pod

    def review(self, uid: str, now: int) -> None:
        """Look at a pod again after an assumption about it, or the time, has changed."""
        entry = self.entries.get(uid)
        if entry is not None:
            before, entry.pod = entry.pod, self._view(entry, now)
            if entry.pod is not before:
                self._changed.add(entry.group)

    def review_timed(self, now: int) -> None:
        """Pods whose state depends on the time: leaving ones may be stuck by now, held ones may be tried again."""
        for uid in [uid for uid, until in self.held.items() if until <= now]:
            del self.held[uid]
            self.review(uid, now)
        for uid in [uid for uid, at in self._stuck_at.items() if at < now]:
            self.review(uid, now)

    def _view(self, entry: Entry, now: int) -> Pod:
        """The pod as the scheduler sees it; the very same object as before if nothing changed."""
        obj, asked, assumed = entry.obj, entry.asked, None
        uid = obj["metadata"]["uid"]
        status = state_of(obj, now)
        if status == PodStatus.PENDING and (assumed := self.assumed.get(uid)):
            status = PodStatus.BINDING
        elif status == PodStatus.PENDING and (self._paused(uid) or asked.wrong is not None):
            status = PodStatus.GATED
        elif uid in self.leaving and status in (PodStatus.RUNNING, PodStatus.BOUND):
            status = PodStatus.RELEASING
        self._note_leaving(obj, status)
        (self.pending.add if status == PodStatus.PENDING else self.pending.discard)(uid)
        pod = pod_of(
            obj,
            group=entry.group,
            subgroup=entry.subgroup,
            status=status,
            request=asked.request,
            constraints=entry.rules,
        )
        if assumed is not None:
            pod = replace(pod, node=assumed.node, gpu_groups=assumed.gpu_groups)
        return entry.pod if entry.pod == pod else pod

    def _note_leaving(self, obj: Obj, status: PodStatus) -> None:
        """When a leaving pod has to be looked at again: one that is stuck always, for clocks may go back."""
        uid, deleted = obj["metadata"]["uid"], obj["metadata"].get("deletionTimestamp")
        if status == PodStatus.RELEASING and deleted:
            self._stuck_at[uid] = (quantity.time_ns(deleted) or 0) + STUCK_AFTER
        elif status == PodStatus.STUCK_IN_RELEASING:
            self._stuck_at[uid] = 0
        else:
            self._stuck_at.pop(uid, None)

    def _paused(self, uid: str) -> bool:
        """Whether it must not be placed now, for a reason that planning need not know."""
        waits = uid in self.volumes and bool(self.volumes[uid].waits)
        return waits or uid in self.held or uid in self.unresolved or bool(self.missing.get(uid))

    def obstacles(self, uid: str) -> tuple[Reason, ...]:
        """What a waiting pod needs and there is not: objects that it names, volumes of its claims."""
        missing = self.missing.get(uid)
        found = (reason_of("MissingObject", missing=", ".join(missing)),) if missing else ()
        return found + (self.volumes[uid].waits if uid in self.volumes else ())

    def _leave_group(self, uid: str, group: str) -> None:
        left = self.members.get(group)
        if left is None:
            return
        left.pop(uid, None)
        if not left:
            del self.members[group]
            self.virtual.pop(group, None)
            self._started.pop(group, None)
            if group not in self._stored:
                self._evicted.pop(group, None)
            self._stale_since.pop(group, None)
            self._reread(group)
            self.refused.pop(f"group/{group}", None)
            self.mistakes.pop(f"group/{group}", None)

    def _note_start(self, group: str, obj: Obj, pod: Pod) -> None:
        """When a group last started: the first binding of the pods it has now. Survives our restart without a write."""
        at = scheduled_at(obj) if pod.node and pod.status in ACTIVE_USED else None
        if at is not None and at < self._started.get(group, at + 1):
            self._started[group] = at
            self._reread(group)

    # -- groups ------------------------------------------------------------------------------------------------------

    def on_group(self, change: Change) -> bool:
        if change.new is None:
            self._stored.pop(change.key, None)
            self._evicted.pop(change.key, None)
            self.refused.pop(f"group/{change.key}", None)
            self.mistakes.pop(f"group/{change.key}", None)
        else:
            self._stored[change.key] = change.new
            if change.old is not None and same_group(change.old, change.new):
                return False
        self._reread(change.key)
        return change.key in self.members

    def put_virtual(self, group: Group) -> None:
        """A group that pods form by themselves, as its latest pod and their owners say it."""
        if self.virtual.get(group.key) != group:
            self.virtual[group.key] = group
            self._reread(group.key)

    def stored(self, key: str) -> Obj | None:
        """The PodGroup object, if there is one."""
        return self._stored.get(key)

    def forget_groups(self) -> None:
        """Read all groups again: priorities or topologies changed."""
        self._groups.clear()
        self._changed.update(self.members)

    def note_started(self, keys: Iterable[str], now: int) -> None:
        for key in keys:
            if key in self.members:
                self._started[key] = now
                self._reread(key)

    def note_evicted(self, key: str, now: int) -> None:
        self._evicted[key] = now
        self._started.pop(key, None)
        self._reread(key)

    def note_stale(self, key: str, since: int | None) -> None:
        self._stale_since[key] = since
        self._reread(key)

    def group(self, key: str) -> PodGroup | None:
        """The group of that key as the domain sees it, or None if it has no object and is not virtual."""
        found = self._groups.get(key)
        if found is None:
            obj = self._stored.get(key) or self._virtual_object(key)
            if obj is None:
                return None
            found, wrong = read.group_of(obj, self.priorities, self.aliases)
            found = self._pooled_by_pods(key, self._overlaid(key, found), obj)
            if key in self.virtual and key in self._stored:  # storing it must not cost it its place in the queue
                found = replace(found, created=quantity.time_ns(self._oldest(key)) or found.created)
            note(self.refused, f"group/{key}", wrong)
            virtual = self.virtual.get(key)
            passed_over = mistakes.of_virtual(virtual) if virtual is not None else None
            note(self.mistakes, f"group/{key}", passed_over or mistakes.of_group(obj))
            self._groups[key] = found
        return found

    def _virtual_object(self, key: str) -> Obj | None:
        group = self.virtual.get(key)
        if group is None:
            return None
        obj = manifest(group)
        obj["metadata"] |= {"creationTimestamp": self._oldest(key), "uid": f"virtual-{group.owner.uid}"}
        if group.pool != DEFAULT_POOL:
            obj["metadata"]["labels"][names.NODE_POOL] = group.pool
        return obj

    def _pooled_by_pods(self, key: str, group: PodGroup, obj: Obj) -> PodGroup:
        """A group that names no node pool is in the one that its first pod names."""
        first = next(iter(self.members.get(key, ())), None)
        if first is None or names.NODE_POOL in (obj["metadata"].get("labels") or {}):
            return group
        pool = self.entries[first].pod.labels.get(names.NODE_POOL)
        return replace(group, pool=pool) if pool else group

    def _oldest(self, key: str) -> str | None:
        times = (self.entries[uid].obj["metadata"].get("creationTimestamp") for uid in self.members.get(key, ()))
        return min((time for time in times if time), default=None)

    def _overlaid(self, key: str, group: PodGroup) -> PodGroup:
        changes: dict[str, int | None] = {}
        if key in self._started:
            changes["last_start"] = self._started[key]
        if key in self._evicted:
            changes["last_eviction"] = max(self._evicted[key], group.last_eviction or 0)
        if key in self._stale_since:
            changes["stale_since"] = self._stale_since[key]
        return replace(group, **changes) if changes else group  # type: ignore[arg-type]

    def _reread(self, key: str) -> None:
        self._groups.pop(key, None)
        self._changed.add(key)

    def alive(self) -> tuple[tuple[PodGroup, ...], tuple[Pod, ...]]:
        """Groups with a pod that is not finished, and all pods to plan with: those of these groups, and the lost."""
        for key in self._changed:
            self._select(key)
        self._changed.clear()
        return tuple(self._planned_groups.values()), tuple(self._planned_pods.values())

    def _select(self, key: str) -> None:
        """Take a group and its pods into what is planned, or leave them out."""
        own = {uid: self.entries[uid].pod for uid in self.members.get(key, ())}
        if all(pod.status in FINISHED for pod in own.values()):
            self._planned_groups.pop(key, None)
            for uid in own:
                self._planned_pods.pop(uid, None)
            return
        self._planned_pods.update(own)
        group = self.group(key)
        if group is None or f"group/{key}" in self.refused:
            self._planned_groups.pop(key, None)
        elif self._planned_groups.get(key) != group:
            self._planned_groups[key] = group

    # -- queues ------------------------------------------------------------------------------------------------------

    def on_queue(self, change: Change) -> bool:
        name = change.key
        before = self._queues.get(name)
        if change.new is None:
            self.refused.pop(f"queue/{name}", None)
            self._queues.pop(name, None)
            return True
        queue, wrong = read.queue_of(change.new)
        note(self.refused, f"queue/{name}", wrong)
        if (change.new["metadata"].get("labels") or {}).get(names.NODE_POOL):
            self._pooled.add(name)
        else:
            self._pooled.discard(name)
        if before == queue:
            return False
        self._queues[name] = queue
        return True

    def queues(self, pools: Iterable[str]) -> tuple[Queue, ...]:
        """All queues; one without a node-pool label counts in each of the pools that groups ask for."""
        others = sorted(set(pools) - {DEFAULT_POOL})
        found = list(self._queues.values())
        for name, queue in self._queues.items():
            if name not in self._pooled:
                found += [replace(queue, pool=pool) for pool in others]
        return tuple(found)
