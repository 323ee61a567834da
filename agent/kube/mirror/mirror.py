"""The facade: changes in, snapshots out, and what the loop has to know about single pods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from agent.domain.nodes import DEFAULT_POOL
from agent.domain.pods import ACTIVE_USED, Pod, PodStatus
from agent.domain.reasons import Reason
from agent.grouping.kinds import Kinds, rule_of
from agent.grouping.owners import Owner, Reference, controller_of
from agent.grouping.rules import Group, group_of, must_read, subgroup_of
from agent.kube.cache import Change
from agent.kube.convert.capacity import room_of
from agent.kube.convert.constraints import named_objects
from agent.kube.convert.groups import Priorities
from agent.kube.convert.pods import is_finished, old_gpu_group_labels, usage_of
from agent.kube.mirror.demand import FINISHED, LEAVING, Demand, note
from agent.kube.mirror.devices import Devices
from agent.kube.mirror.entries import Assumed, Entry
from agent.kube.mirror.needs import Needs
from agent.kube.mirror.owners import Owners
from agent.kube.mirror.supply import Supply
from agent.kube.mirror.volumes import Verdict, Volumes
from agent.kube.protocol import Obj
from agent.operator.sharing import is_reservation
from agent.scheduler.snapshot import Plan, Snapshot
from agent.wire import labels as names

SECOND = 1_000_000_000
_QUIET = {
    (PodStatus.BINDING, PodStatus.BOUND),
    (PodStatus.BINDING, PodStatus.RUNNING),
    (PodStatus.BOUND, PodStatus.RUNNING),
}
"""Changes of state that make no room and ask for none."""


class Mirror:
    """``wake`` is called when something happened that a new plan could use."""

    def __init__(
        self,
        scheduler_names: Iterable[str],
        *,
        pool_label: str = names.NODE_POOL,
        queue_label: str = names.QUEUE,
        gpu_placement: str = "binpack",
        cpu_placement: str = "binpack",
        default_queue: str = "default",
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = lambda: 0,
    ) -> None:
        self._names = frozenset(scheduler_names)
        self._default_queue = default_queue
        self._pool_label, self._queue_label = pool_label, queue_label
        self._placement = (gpu_placement, cpu_placement)
        self._wake = wake
        self._clock = clock
        self.supply = Supply(pool_label, gpu_placement, cpu_placement)
        self.demand = Demand()
        self.volumes = Volumes()
        self.devices = Devices()
        self.demand.aliases = self.supply.aliases
        self.owners = Owners()
        self.needs = Needs()
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._classes: dict[str, tuple[int, bool]] = {}
        self._kinds = Kinds()
        self._stale: set[str] = set()
        self._charged: dict[str, str] = {}
        self._ungrouped: dict[str, str] = {}

    # -- changes -----------------------------------------------------------------------------------------------------

    def on_node(self, change: Change) -> None:
        news = self._note_lie(change)
        if self.supply.on_node(change) or news:
            self._wake()

    def _note_lie(self, change: Change) -> bool:
        """A node that offers more than it has is used for what it has, and told. True if that is news."""
        _, wrong = room_of((change.new or {}).get("status") or {})
        return note(self.demand.mistakes, f"node/{change.key}", wrong)

    def on_node_pool(self, change: Change) -> None:
        self.supply.on_node_pool(change)
        self._wake()

    def on_topology(self, change: Change) -> None:
        self.supply.on_topology(change)
        self.demand.forget_groups()
        self._wake()

    def on_queue(self, change: Change) -> None:
        if self.demand.on_queue(change):
            self._wake()

    def on_group(self, change: Change) -> None:
        if self.demand.on_group(change):
            self._wake()

    def on_workload_kind(self, change: Change) -> None:
        """A kind that the table does not know, or knows otherwise: group again what is grouped by owners."""
        added = dict(self._kinds.added)
        if change.old is not None:
            added.pop(rule_of(change.old)[0], None)
        if change.new is not None:
            added |= [rule_of(change.new)]
        self._kinds = Kinds(added)
        for entry in [entry for entry in self.demand.entries.values() if entry.group in self.demand.virtual]:
            self._put(entry.obj)
        self._wake()

    def on_namespace(self, change: Change) -> None:
        labels = (change.new or {"metadata": {}})["metadata"].get("labels") or {}
        if self._namespaces.get(change.key) == labels:
            return
        self._namespaces[change.key] = labels
        for entry in [entry for entry in self.demand.entries.values() if entry.pod.namespace == change.key]:
            if entry.group in self.demand.virtual:
                self._put(entry.obj)
        self._wake()

    def on_priority_class(self, change: Change) -> None:
        if change.new is None:
            self._classes.pop(change.key, None)
        else:
            self._classes[change.key] = (int(change.new.get("value") or 0), bool(change.new.get("globalDefault")))
        default = next((value for value, is_default in self._classes.values() if is_default), None)
        self.demand.priorities = Priorities({name: value for name, (value, _) in self._classes.items()}, default)
        self.demand.forget_groups()

    def on_claim(self, change: Change) -> None:
        self._revolve(self.volumes.on_claim(change))

    def on_volume(self, change: Change) -> None:
        self._revolve(self.volumes.on_volume(change))

    def on_storage_class(self, change: Change) -> None:
        self._revolve(self.volumes.on_class(change))

    def on_device(self, change: Change) -> None:
        self._revolve(self.devices.on_change(change))
        self._wake()

    def _verdict(self, uid: str) -> Verdict:
        """What the claims of a pod say, of volumes and of devices."""
        found, waits, places = self.volumes.verdict(uid), self.devices.waits(uid), self.devices.places(uid)
        return Verdict(found.places + places, found.waits + waits) if waits or places else found

    def _revolve(self, uids: Iterable[str]) -> None:
        """Look again at what the claims of these pods say."""
        changed = [self.demand.set_volumes(uid, self._verdict(uid), self._clock()) for uid in uids]
        if any(changed):
            self._wake()

    def on_pod(self, change: Change) -> None:
        obj = change.current
        if (obj.get("spec") or {}).get("schedulerName") not in self._names:
            self._foreign(change)
        elif change.new is None:
            self._drop(obj)
        else:
            self._put(obj)

    def _foreign(self, change: Change) -> None:
        """Reservation pods are left to ``Reservations``: whoever shares the device accounts for it already."""
        obj = change.current
        if is_reservation(obj):
            return
        node, uid = (obj.get("spec") or {}).get("nodeName"), obj["metadata"]["uid"]
        if node:
            gone = change.new is None or is_finished(obj)
            if self.supply.set_foreign(uid, node, None if gone else usage_of(obj)):
                self._wake()

    def _put(self, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        found = self._group_key(obj)
        if found is None and (entry := self.entry(uid)) is not None:
            found = (entry.group, entry.subgroup)
        self._charge_ungrouped(obj, held=found is None)
        if found is None:
            return
        group, subgroup = found
        self.volumes.note(obj)
        self.devices.note(obj)
        needs = [(kind, obj["metadata"]["namespace"], name) for kind, name in named_objects(obj)]
        if needs and uid not in self.demand.entries:
            self.demand.unresolved.add(uid)
        before, pod = self.demand.put_pod(obj, group, self._clock(), subgroup, self._verdict(uid))
        waits = pod.status in (PodStatus.PENDING, PodStatus.GATED)  # only those need to know what is missing
        self.needs.note(uid, needs if waits else ())
        if before is not pod and not _quiet(before, pod):
            self._wake()

    def _charge_ungrouped(self, obj: Obj, *, held: bool) -> None:
        """A pod that waits for its owner may hold a node already (we were started anew): it counts there meanwhile."""
        uid, node = obj["metadata"]["uid"], (obj.get("spec") or {}).get("nodeName")
        if held and node and not is_finished(obj):
            usage = usage_of(obj)
            shared = len(old_gpu_group_labels(obj))
            self._ungrouped[uid] = node
            self.supply.set_foreign(uid, node, replace(usage, gpus=usage.gpus + shared))
        elif uid in self._ungrouped:
            self.supply.set_foreign(uid, self._ungrouped.pop(uid), None)
            self._wake()

    def _drop(self, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        self.owners.drop(uid)
        self._charge_ungrouped(obj, held=False)
        self.needs.forget(uid)
        self.volumes.forget(uid)
        self.devices.forget(uid)
        pod = self.demand.drop_pod(uid)
        if pod is not None and pod.status not in FINISHED:
            self._wake()

    # -- grouping ----------------------------------------------------------------------------------------------------

    def _group_key(self, obj: Obj) -> tuple[str, str] | None:
        """The key of the pod's group and its part of it; None while an owner must be fetched first."""
        meta = obj["metadata"]
        name = (meta.get("annotations") or {}).get(names.POD_GROUP_NAME)
        if name:
            return f"{meta.get('namespace', '')}/{name}", (meta.get("labels") or {}).get(names.SUBGROUP_NAME, "")
        owners = self.owners.of(obj, lambda reference: must_read(reference, self._kinds))
        if owners is None:
            self._wake()
            return None
        labels = self._namespaces.get(meta.get("namespace", ""), {})
        group = group_of(obj, owners, labels, self._default_queue, self._kinds, queue_label=self._queue_label)
        self.demand.put_virtual(group)
        return group.key, subgroup_of(obj, owners, group, self._kinds)

    def learn(self, owner: Owner) -> None:
        """An owner was read (or could not be): group the pods that waited for it."""
        for obj in self.owners.learn(owner):
            self._put(obj)

    def owner_failed(self, reference: Reference, why: str) -> None:
        """An owner could not be read: its pods wait, and say so."""
        if self.owners.failed(reference, why):
            self._wake()

    def forget_owners(self) -> None:
        used = {found.uid for entry in self.demand.entries.values() if (found := controller_of(entry.obj))}
        self.owners.forget(used)

    def set_placement(self, gpu: str, cpu: str) -> None:
        """How nodes of the default pool are filled from now on."""
        if self._placement != (gpu, cpu):
            self._placement = (gpu, cpu)
            self.supply.set_placement(gpu, cpu)
            self._wake()

    # -- what the loop tells -----------------------------------------------------------------------------------------

    def assume_bound(self, uid: str, node: str, gpu_groups: tuple[str, ...]) -> None:
        self.demand.assumed[uid] = Assumed(node, gpu_groups)
        self.demand.review(uid, self._clock())

    def bind_failed(self, uid: str, pause_s: float = 0.0) -> None:
        """The pod is not bound; do not try it again for so many seconds."""
        if self.demand.assumed.pop(uid, None) is not None:
            now = self._clock()
            self.demand.held[uid] = now + int(pause_s * SECOND)
            self.demand.review(uid, now)
            self._wake()

    def release(self, uid: str) -> None:
        """The pause after a failed bind is over, whatever the wall clock says."""
        if self.demand.held.pop(uid, None) is not None:
            self.demand.review(uid, self._clock())
            self._wake()

    def assume_leaving(self, uid: str) -> None:
        self.demand.leaving.add(uid)
        self.demand.review(uid, self._clock())

    def eviction_failed(self, uid: str) -> None:
        self.demand.leaving.discard(uid)
        self.demand.review(uid, self._clock())
        self._wake()

    def set_missing(self, uid: str, missing: tuple[str, ...]) -> None:
        """Which of the objects that a pod names do not exist."""
        known = uid not in self.demand.unresolved
        self.demand.unresolved.discard(uid)
        if uid in self.demand.entries and not (known and self.demand.missing.get(uid, ()) == missing):
            self.demand.missing[uid] = missing
            self.demand.review(uid, self._clock())
            self._wake()

    # -- answers -----------------------------------------------------------------------------------------------------

    def entry(self, uid: str) -> Entry | None:
        return self.demand.entries.get(uid)

    def snapshot(self, now: int) -> Snapshot:
        """The cluster at ``now`` (ns)."""
        self.demand.review_timed(now)
        groups, pods = self.demand.alive()
        return Snapshot(
            nodes=self.supply.nodes(),
            queues=self.demand.queues({group.pool for group in groups} | {DEFAULT_POOL}),
            groups=groups,
            pods=pods,
            pools=self.supply.pools(),
            topologies=self.supply.topologies(),
            claims=self.devices.known_claims(),
            slices=self.devices.offers(),
        )

    def successor(self) -> Mirror:
        """An empty mirror with the same settings that knows what no object says: see ``checking``."""
        fresh = Mirror(
            self._names,
            pool_label=self._pool_label,
            queue_label=self._queue_label,
            gpu_placement=self._placement[0],
            cpu_placement=self._placement[1],
            default_queue=self._default_queue,
            clock=self._clock,
        )
        fresh.owners.known = dict(self.owners.known)
        fresh.demand.adopt(self.demand)
        return fresh

    def charged(self) -> set[str]:
        """Pods of ours that are counted like foreign ones."""
        return set(self._charged)

    def refused(self) -> Mapping[str, Reason]:
        """Objects that are left out because they say nonsense, by "kind/name"."""
        return self.demand.refused

    def mistakes(self) -> Mapping[str, Reason]:
        """What is wrong with objects that are used all the same, by "kind/key"."""
        return self.demand.mistakes

    def note(self, decided: Plan, now: int) -> None:
        """Remember what a plan means for the groups: starts, evictions, staleness."""
        self.demand.note_started(decided.started, now)
        for eviction in decided.evictions:
            entry = self.entry(eviction.pod)
            if entry is not None:
                self.demand.note_evicted(entry.group, now)
        for key in decided.stale:
            self.demand.note_stale(key, now)
        for key in decided.no_longer_stale:
            self.demand.note_stale(key, None)
        self._stale |= set(decided.stale)
        self._stale -= set(decided.no_longer_stale)

    def unaccounted(self, decided: Plan) -> set[str]:
        """Pods of ours that hold a node and that planning could not count there: their queue or group is gone or
        refused, or their node has moved to another pool."""
        gone = {key.removeprefix("pod/") for key, why in decided.refused.items() if why.code == "NodeGone"}
        lost = {uid for uid, entry in self.demand.entries.items() if gone and entry.pod.key in gone}
        return {uid for uid in lost | decided.pod_reasons.keys() if self._holds(uid)}

    def _holds(self, uid: str) -> bool:
        entry = self.entry(uid)
        return entry is not None and bool(entry.pod.node) and entry.pod.status in ACTIVE_USED

    def charge_nodes(self, uids: set[str]) -> bool:
        """Count exactly these pods of ours like foreign ones, whole devices for shared ones, so that nobody is given
        what they hold. True if that changes anything: then plan again."""
        changed = False
        for uid in self._charged.keys() - uids:
            changed |= self.supply.set_foreign(uid, self._charged.pop(uid), None)
        for uid in uids:
            entry = self.demand.entries[uid]
            held = usage_of(entry.obj)
            held = replace(held, gpus=held.gpus + len(entry.pod.gpu_groups))
            changed |= self.supply.set_foreign(uid, entry.pod.node, held)
            self._charged[uid] = entry.pod.node
        return changed

    def restless(self) -> bool:
        """Whether time alone may change the plan: something waits, pauses, is leaving or is stale."""
        self._stale &= self.demand.members.keys()
        return bool(self._stale or self.demand.held or self.demand.pending)

    def virtual_group(self, key: str) -> Group | None:
        return None if self.demand.stored(key) is not None else self.demand.virtual.get(key)


def _quiet(before: Pod | None, after: Pod) -> bool:
    """Whether a pod's change of state leaves nothing to plan."""
    if before is None:
        return after.status in FINISHED or after.status in LEAVING
    if before.status == after.status:
        return after.status not in (PodStatus.PENDING,) and before.constraints == after.constraints
    return (before.status, after.status) in _QUIET
