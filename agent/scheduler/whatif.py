"""What would make it run: the smallest single changes to a waiting workload, each verified by planning it.

Changes are tried from the least to the greatest of each kind; only those are returned with which the very next plan
places the workload's minimum (now, or by taking room it is entitled to).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent.domain.groups import PodGroup, Preemptibility
from agent.domain.pods import Pod, PodStatus, Request
from agent.scheduler.planner import plan
from agent.scheduler.snapshot import Config, Plan, Snapshot

PRIORITIES = (50, 75, 100, 125)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``change`` "gpus", "pods", "preemptible", "priority" or "pool"; ``value`` what it would have to be.

    ``evicts``: pods of others that would be evicted for it; ``now``: whether it could start at once.
    """

    change: str
    value: str
    evicts: int
    now: bool


def suggest(snapshot: Snapshot, now: int, key: str, config: Config | None = None) -> tuple[Suggestion, ...]:
    """Suggestions for the pod group with this key ("namespace/name"); none when it is unknown or would run anyway."""
    group = next((group for group in snapshot.groups if group.key == key), None)
    if group is None or _placed(snapshot, plan(snapshot, now, config), key):
        return ()
    found: list[Suggestion] = []
    for changes in (_fewer_gpus, _fewer_pods, _preemptible, _higher_priority, _other_pools):
        for change, value, changed in changes(snapshot, group):
            decided = plan(changed, now, config)
            if _placed(changed, decided, key):
                found.append(Suggestion(change, value, len(decided.evictions), not _waits(changed, decided, key)))
                break
    return tuple(found)


def _waiting(snapshot: Snapshot, key: str) -> list[Pod]:
    return [pod for pod in snapshot.pods if pod.group == key and pod.status == PodStatus.PENDING]


def _placed(snapshot: Snapshot, decided: Plan, key: str) -> bool:
    """Whether the plan places some pod of the group (a gang is placed whole, so one is enough)."""
    mine = {pod.uid for pod in _waiting(snapshot, key)}
    placed = {bind.pod for bind in decided.binds} | {one.pod for one in decided.nominations}
    return bool(mine & placed)


def _waits(snapshot: Snapshot, decided: Plan, key: str) -> bool:
    mine = {pod.uid for pod in _waiting(snapshot, key)}
    return any(one.pod in mine for one in decided.nominations)


Change = tuple[str, str, Snapshot]


def _with_requests(snapshot: Snapshot, key: str, change: dict[Request, Request]) -> Snapshot:
    pods = tuple(
        replace(pod, request=change.get(pod.request, pod.request)) if pod.group == key else pod for pod in snapshot.pods
    )
    return replace(snapshot, pods=pods)


def _fewer_gpus(snapshot: Snapshot, group: PodGroup) -> Iterator[Change]:
    """The most GPUs per pod that would do: one less, two less, …"""
    requests = {pod.request for pod in _waiting(snapshot, group.key)}
    largest = max((request.gpus for request in requests), default=0)
    for gpus in range(largest - 1, 0, -1):
        change = {request: replace(request, gpus=min(request.gpus, gpus)) for request in requests}
        yield "gpus", str(gpus), _with_requests(snapshot, group.key, change)


def _fewer_pods(snapshot: Snapshot, group: PodGroup) -> Iterator[Change]:
    """The largest gang that would do; for a gang without sub-groups."""
    if group.root.children:
        return
    for least in range(group.root.min_available - 1, 0, -1):
        smaller = replace(group, root=replace(group.root, min_available=least))
        yield "pods", str(least), _with_group(snapshot, smaller)


def _with_group(snapshot: Snapshot, group: PodGroup) -> Snapshot:
    return replace(snapshot, groups=tuple(group if one.key == group.key else one for one in snapshot.groups))


def _preemptible(snapshot: Snapshot, group: PodGroup) -> Iterator[Change]:
    if group.preemptibility is Preemptibility.NON_PREEMPTIBLE:
        changed = replace(group, preemptibility=Preemptibility.PREEMPTIBLE)
        yield "preemptible", "preemptible", _with_group(snapshot, changed)


def _higher_priority(snapshot: Snapshot, group: PodGroup) -> Iterator[Change]:
    """The next priority class that would do, preemptibility left as it is."""
    for priority in PRIORITIES:
        if priority > group.priority:
            yield "priority", str(priority), _with_group(snapshot, replace(group, priority=priority))


def _other_pools(snapshot: Snapshot, group: PodGroup) -> Iterator[Change]:
    """The same project's queue in another pool: its name is the project, or project.POOL."""
    own = next((queue for queue in snapshot.queues if (queue.name, queue.pool) == (group.queue, group.pool)), None)
    if own is None:
        return
    project = own.label or group.queue.removesuffix(f".{group.pool}")
    for queue in sorted(snapshot.queues, key=lambda queue: queue.pool):
        same = (queue.label or queue.name.removesuffix(f".{queue.pool}")) == project and queue.kind == own.kind
        if queue.pool != group.pool and same:
            yield "pool", queue.pool, _with_group(snapshot, replace(group, pool=queue.pool, queue=queue.name))
