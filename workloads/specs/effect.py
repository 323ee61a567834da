"""What a change of quotas would do: the cluster is planned twice, as it is and as it would be, by the scheduler itself.

Pure. Rows of the control plane become a ``Snapshot``; the two plans are compared. The cluster decides in the end: pods
that other schedulers made, affinities and minimum run times are known there alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from agent.domain.groups import DEFAULT_SUBGROUP, PodGroup, Preemptibility, SubGroup
from agent.domain.nodes import Node, NodePool, Usage
from agent.domain.pods import Pod, PodStatus, Request
from agent.domain.queues import Queue, Share
from agent.scheduler import Config, Plan, Planner, Snapshot
from agent.wire.objects import PoolQuota, ResourceQuota

CONFIG = Config(actions=("allocate", "reclaim", "preempt"))
NO_POD_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node as reported: milli-CPU, bytes, whole devices, MiB of one; ``*_taken`` by all pods there."""

    name: str
    pool: str
    cpu: int
    memory: int
    gpus: int
    gpu_memory: int
    ready: bool
    unschedulable: bool
    cpu_taken: int = 0
    memory_taken: int = 0
    gpu_taken_milli: int = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """One workload that runs or waits: ``pods`` of them still asked for, ``placed`` those that hold a node."""

    id: str
    queue: str
    pool: str
    priority: int
    preemptible: bool
    created: int
    request: Request
    pods: int = 1
    gang: bool = False
    placed: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """Uid, node and device numbers of each pod that was bound."""


@dataclass(frozen=True, slots=True)
class ShareChange:
    """Milli-GPU of one queue before and after."""

    queue: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Effect:
    """Ids of workloads are those of ``Demand``."""

    shares: tuple[ShareChange, ...] = ()
    reclaimed: tuple[str, ...] = ()
    """Run now and would make room."""
    starting: tuple[str, ...] = ()
    """Wait now and would start, at once or in the room that is made."""
    delayed: tuple[str, ...] = ()
    """Would start without the change, and wait with it."""
    refused: int = 0
    """Objects that could not be planned."""


def queues_of(name: str, parent: str, kind: str, label: str, created: int, quota: PoolQuota) -> Queue:
    """The queue that the operator makes of a quota."""
    return Queue(
        name=name,
        parent=parent,
        pool=quota.node_pool,
        priority=quota.priority,
        created=created,
        gpu=_share(quota.gpu),
        cpu=_share(quota.cpu),
        memory=_share(quota.memory),
        label=label,
        kind=kind,
    )


@lru_cache(maxsize=4096)
def _share(quota: ResourceQuota) -> Share:
    return Share(quota.deserved, quota.limit, quota.over_quota_weight)


def build(
    nodes: Iterable[NodeFact], queues: Iterable[Queue], demands: Iterable[Demand], pools: Iterable[NodePool] = ()
) -> Snapshot:
    """The snapshot that the scheduler would see. What our pods do not explain of a node's use is somebody else's."""
    groups: list[PodGroup] = []
    pods: list[Pod] = []
    ours: dict[str, list[int]] = {}
    for demand in demands:
        key = f"w/{demand.id}"
        groups.append(_group(demand))
        for uid, node, devices in demand.placed:
            pods.append(_pod(demand, key, uid, node, devices))
            taken = ours.setdefault(node, [0, 0, 0])
            taken[0] += demand.request.cpu
            taken[1] += demand.request.memory
            taken[2] += _milli(demand.request)
        for number in range(demand.pods - len(demand.placed)):
            pods.append(_pod(demand, key, f"{demand.id}/{number}", "", ()))
    made = tuple(_node(fact, ours.get(fact.name, [0, 0, 0])) for fact in nodes)
    return Snapshot(made, tuple(queues), tuple(groups), tuple(pods), tuple(pools))


def _node(fact: NodeFact, ours: list[int]) -> Node:
    foreign = Usage(
        cpu=max(fact.cpu_taken - ours[0], 0),
        memory=max(fact.memory_taken - ours[1], 0),
        gpus=max(fact.gpu_taken_milli - ours[2], 0) // 1000,
    )
    return Node(
        name=fact.name,
        pool=fact.pool,
        cpu=fact.cpu,
        memory=fact.memory,
        gpus=fact.gpus,
        gpu_memory=fact.gpu_memory,
        max_pods=NO_POD_LIMIT,
        ready=fact.ready,
        unschedulable=fact.unschedulable,
        foreign=foreign,
    )


def _group(demand: Demand) -> PodGroup:
    return PodGroup(
        "w",
        demand.id,
        queue=demand.queue,
        pool=demand.pool,
        priority=demand.priority,
        preemptibility=Preemptibility.PREEMPTIBLE if demand.preemptible else Preemptibility.NON_PREEMPTIBLE,
        created=demand.created,
        root=SubGroup(DEFAULT_SUBGROUP, demand.pods if demand.gang else 1),
    )


def _pod(demand: Demand, key: str, uid: str, node: str, devices: tuple[int, ...]) -> Pod:
    shared = tuple(f"{node}/{device}" for device in devices) if demand.request.shared and node else ()
    return Pod(
        uid=uid,
        namespace="w",
        name=uid,
        group=key,
        status=PodStatus.RUNNING if node else PodStatus.PENDING,
        request=demand.request,
        node=node,
        gpu_groups=shared,
        created=demand.created,
    )


def _milli(request: Request) -> int:
    return request.gpus * 1000 + request.gpu_fraction * request.gpu_devices


def request_of(compute: Mapping[str, Any]) -> Request:
    """What one pod asks for, from a workload's spec (``agent.wire.objects.Compute`` as JSON)."""
    devices = int(compute.get("gpuDevices") or 0)
    portion, memory = int(compute.get("gpuPortionMilli") or 0), int(compute.get("gpuMemoryMib") or 0)
    base = Request(cpu=int(compute.get("cpuMilli") or 0), memory=int(compute.get("memoryBytes") or 0))
    if portion:
        return replace(base, gpu_fraction=portion, gpu_devices=max(devices, 1))
    if memory:
        return replace(base, gpu_memory=memory, gpu_devices=max(devices, 1))
    return replace(base, gpus=devices)


def effect(snapshot: Snapshot, queues: Iterable[Queue], now: int) -> Effect:
    """Plan the snapshot as it is and with ``queues`` in place of its own of the same name and pool, and compare.

    One planner for both: it takes the cluster in once, and follows the quotas that change.
    """
    wanted = {(queue.pool, queue.name): queue for queue in queues}
    known = {(queue.pool, queue.name) for queue in snapshot.queues}
    changed = tuple(wanted.get((queue.pool, queue.name), queue) for queue in snapshot.queues)
    changed += tuple(queue for key, queue in wanted.items() if key not in known)
    planner = Planner()
    before = planner.plan(snapshot, now, CONFIG)
    after = planner.plan(replace(snapshot, queues=changed), now, CONFIG)
    groups = {pod.uid: pod.group.removeprefix("w/") for pod in snapshot.pods}
    started = [_started(plan, groups) for plan in (before, after)]
    evicted = [{groups[item.pod] for item in plan.evictions if not item.moved_to} for plan in (before, after)]
    return Effect(
        shares=_changes(before, after),
        reclaimed=tuple(sorted(evicted[1] - evicted[0])),
        starting=tuple(sorted(started[1] - started[0])),
        delayed=tuple(sorted(started[0] - started[1])),
        refused=len(after.refused),
    )


def _started(plan: Plan, groups: Mapping[str, str]) -> set[str]:
    """Workloads with a pod that is placed, or nominated for room that is being made; not those that make the room."""
    evicted = {groups[item.pod] for item in plan.evictions}
    pods = [item.pod for item in plan.binds] + [item.pod for item in plan.nominations]
    return {groups[pod] for pod in pods} - evicted


def _changes(before: Plan, after: Plan) -> tuple[ShareChange, ...]:
    names = sorted(set(before.shares) | set(after.shares))
    rows = (ShareChange(name, _gpu(before, name), _gpu(after, name)) for name in names)
    return tuple(row for row in rows if row.before != row.after)


def _gpu(plan: Plan, name: str) -> int:
    shares = plan.shares.get(name)
    return shares.fair_share[0] if shares else 0
