"""Status of Queues, up the tree, and of gangs: what each holds. Pure sums; ``QueueReporter`` writes what changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar, cast

import structlog

from agent.domain.groups import Preemptibility
from agent.domain.pods import ALLOCATED, Pod, PodStatus
from agent.kube import quantity
from agent.kube.cache import Store
from agent.kube.errors import KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import POD_GROUP, QUEUE
from agent.scheduler.deviceclaims import gpu_cost
from agent.scheduler.shapes import ShapeTable, device_memory
from agent.scheduler.snapshot import QueueShares, Snapshot
from agent.wire.labels import GPU_RESOURCE

log = structlog.get_logger(__name__)

Vector = tuple[int, int, int]
"""Milli-GPU, milli-CPU, bytes."""
T = TypeVar("T")
PART = 1000
"""Pods or groups that are gone through in one go: about a millisecond."""
EVERY_S = 1.0
_AT_ONCE = 8


class Costs:
    """What pods are charged to their queues. One that did not change since it was asked for is not computed again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Pod, int, Vector]] = {}
        self._shapes = ShapeTable()

    def of(self, snapshot: Snapshot) -> Callable[[Pod], Vector]:
        """The charge by pod: on its node, or by the smallest devices there are where it has none."""
        claims = {claim.key: claim for claim in snapshot.claims}
        memory = {node.name: device_memory(node.gpu_memory) for node in snapshot.nodes}
        smallest = min((memory[node.name] for node in snapshot.nodes if node.gpus), default=device_memory(0))
        if len(self._known) > 2 * len(snapshot.pods) + 1000:
            self._known, self._shapes = {}, ShapeTable()

        def cost(pod: Pod) -> Vector:
            where, known = memory.get(pod.node, smallest), self._known.get(pod.uid)
            if known is not None and known[0] is pod and known[1] == where and not pod.request.claims:
                return known[2]
            found = self._shapes.of(pod, gpu_cost(claims, pod.request.claims)).accounted(where)
            self._known[pod.uid] = (pod, where, found)
            return found

        return cost


_KINDS = ("allocated", "allocatedNonPreemptible", "requested")


Statuses = dict[str, dict[str, Any]]
Turns = Generator[None, None, T]
"""Work in parts: it yields between them, so that whatever is more urgent has its turn, and returns its outcome."""


def done(work: Turns[T]) -> T:
    """The outcome, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast(T, end.value)


async def gently(work: Turns[T]) -> T:
    """The outcome, part by part, with everything else in between: no pod waits for sums."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast(T, end.value)
        await asyncio.sleep(0)


def queue_statuses(
    snapshot: Snapshot, shares: Mapping[str, QueueShares], costs: Costs | None = None
) -> Turns[Statuses]:
    """``status`` of every queue by name: allocated, allocatedNonPreemptible, requested, fairShare, childQueues."""
    parents = {queue.name: queue.parent for queue in snapshot.queues}
    children: dict[str, list[str]] = defaultdict(list)
    for name, parent in parents.items():
        if parent:
            children[parent].append(name)
    sums = yield from _sums(snapshot, parents, costs or Costs())
    found: Statuses = {}
    for name in parents:
        status: dict[str, Any] = {kind: _resources(sums[kind].get(name, [0, 0, 0])) for kind in _KINDS}
        status["childQueues"] = sorted(children.get(name, []))
        if name in shares:
            status["fairShare"] = _resources(shares[name].fair_share)
        found[name] = status
    return found


def _sums(snapshot: Snapshot, parents: Mapping[str, str], costs: Costs) -> Turns[dict[str, dict[str, list[int]]]]:
    """Kind → queue → amount: first of each queue's own pods, then up the tree."""
    own: dict[str, dict[str, list[int]]] = {kind: defaultdict(lambda: [0, 0, 0]) for kind in _KINDS}
    groups = {group.key: group for group in snapshot.groups}
    cost_of = costs.of(snapshot)
    for index, pod in enumerate(snapshot.pods):
        if index % PART == 0:
            yield
        group, held = groups.get(pod.group), pod.status in ALLOCATED
        if group is None or not (held or pod.status == PodStatus.PENDING):
            continue
        cost = cost_of(pod)
        _add(own["requested"][group.queue], cost)
        if held:
            _add(own["allocated"][group.queue], cost)
            if group.preemptibility is Preemptibility.NON_PREEMPTIBLE:
                _add(own["allocatedNonPreemptible"][group.queue], cost)
    total: dict[str, dict[str, list[int]]] = {kind: defaultdict(lambda: [0, 0, 0]) for kind in _KINDS}
    for kind, amounts in own.items():
        for queue, amount in amounts.items():
            for name in _path(queue, parents):
                _add(total[kind][name], amount)
    return total


def group_statuses(snapshot: Snapshot, costs: Costs | None = None) -> Turns[Statuses]:
    """``status.resourcesStatus`` of the groups of several pods, by key: allocated, allocatedNonPreemptible, requested.

    A group of one pod has none: its pod says as much, and one write less is a pod placed sooner.
    """
    members: dict[str, list[Pod]] = defaultdict(list)
    for index, pod in enumerate(snapshot.pods):
        if index % PART == 0:
            yield
        members[pod.group].append(pod)
    cost_of, found = (costs or Costs()).of(snapshot), Statuses()
    for index, group in enumerate(snapshot.groups):
        if index % PART == 0:
            yield
        own = members.get(group.key, ())
        if len(own) < 2:
            continue
        requested, allocated = [0, 0, 0], [0, 0, 0]
        for pod in own:
            cost = cost_of(pod)
            if pod.status in ALLOCATED:
                _add(allocated, cost)
            if pod.status in ALLOCATED or pod.status == PodStatus.PENDING:
                _add(requested, cost)
        protected = group.preemptibility is Preemptibility.NON_PREEMPTIBLE
        found[group.key] = {
            "allocated": _resources(allocated),
            "allocatedNonPreemptible": _resources(allocated if protected else [0, 0, 0]),
            "requested": _resources(requested),
        }
    return found


def _path(name: str, parents: Mapping[str, str]) -> list[str]:
    """The queue and its ancestors; a loop ends where it began."""
    found: list[str] = []
    while name in parents and name not in found:
        found.append(name)
        name = parents[name]
    return found


def _add(total: list[int], cost: Vector | list[int]) -> None:
    total[0] += cost[0]
    total[1] += cost[1]
    total[2] += cost[2]


def _resources(amount: list[int] | Vector) -> dict[str, str]:
    gpu, cpu, memory = amount
    return {GPU_RESOURCE: quantity.milli_text(gpu), "cpu": quantity.milli_text(cpu), "memory": str(memory)}


class QueueReporter:
    """Writes the status of queues whose numbers changed, at most once a second, when nothing urgent is on its way."""

    def __init__(
        self,
        kube: Kube,
        store: Store,
        snapshot: Callable[[], Snapshot],
        *,
        groups: Store,
        leading: Callable[[], bool],
        busy: Callable[[], bool],
    ) -> None:
        self._kube = kube
        self._store = store
        self._groups = groups
        self._leading = leading
        self._busy = busy
        self._snapshot = snapshot
        self._shares: Mapping[str, QueueShares] = {}
        self._costs = Costs()
        self._changed = asyncio.Event()

    def take(self, shares: Mapping[str, QueueShares]) -> None:
        self._shares = shares
        self._changed.set()

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(EVERY_S)
            for _ in range(5):
                if not self._busy():
                    break
                await asyncio.sleep(EVERY_S)
            self._changed.clear()
            if self._leading():
                snapshot = self._snapshot()
                await self._write(await gently(queue_statuses(snapshot, self._shares, self._costs)))
                await self._write_groups(await gently(group_statuses(snapshot, self._costs)))

    async def _write(self, wanted: Statuses) -> None:
        due = [(name, status) for name, status in wanted.items() if self._differs(name, status)]
        for start in range(0, len(due), _AT_ONCE):
            await asyncio.gather(*(self._patch(name, status) for name, status in due[start : start + _AT_ONCE]))

    async def _write_groups(self, wanted: Statuses) -> None:
        due = [(key, status) for key, status in wanted.items() if self._group_differs(key, status)]
        for start in range(0, len(due), _AT_ONCE):
            await asyncio.gather(*(self._patch_group(key, status) for key, status in due[start : start + _AT_ONCE]))

    def _group_differs(self, key: str, status: Mapping[str, Any]) -> bool:
        obj = self._groups.by_key(key)
        return obj is not None and (obj.get("status") or {}).get("resourcesStatus") != status

    async def _patch_group(self, key: str, status: dict[str, Any]) -> None:
        namespace, _, name = key.partition("/")
        try:
            body = {"status": {"resourcesStatus": status}}
            await self._kube.patch(POD_GROUP, name, namespace, body=body, subresource="status")
        except NotFound:
            return
        except KubeError as error:
            log.warning("group_status_not_written", group=key, error=error.message)
            self._changed.set()

    def _differs(self, name: str, status: Mapping[str, Any]) -> bool:
        obj = self._store.get(name)
        if obj is None:
            return False
        now = obj.get("status") or {}
        return any(now.get(key) != value for key, value in status.items())

    async def _patch(self, name: str, status: dict[str, Any]) -> None:
        try:
            await self._kube.patch(QUEUE, name, body={"status": status}, subresource="status")
        except NotFound:
            return
        except KubeError as error:
            log.warning("queue_status_not_written", queue=name, error=error.message)
            self._changed.set()
