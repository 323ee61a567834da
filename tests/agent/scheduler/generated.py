"""Random small clusters for properties: queues in departments, gangs, elastic gangs, shares, running and waiting."""

from dataclasses import replace

from hypothesis import strategies as st

from agent.domain.pods import PodStatus
from agent.scheduler import Plan, Snapshot
from tests.agent.scheduler.cluster import Cluster


@st.composite
def clusters(draw, actions_may_evict: bool = True) -> Cluster:
    """Consistent: what runs fits its node, running gangs have their minimum, limits are not broken to begin with."""
    cluster = Cluster()
    free = {}
    for index in range(draw(st.integers(1, 4))):
        gpus = draw(st.sampled_from((1, 2, 4)))
        cluster.node(f"n{index}", gpus)
        free[f"n{index}"] = gpus
    leaves = _queues(draw, cluster)
    for index in range(draw(st.integers(0, 6))):
        _job(draw, cluster, f"r{index}", leaves, free)
    for index in range(draw(st.integers(1, 6))):
        _job(draw, cluster, f"w{index}", leaves, {})
    return cluster


def _queues(draw, cluster: Cluster) -> list[str]:
    departments = draw(st.integers(0, 2))
    for index in range(departments):
        cluster.queue(f"d{index}", draw(st.integers(0, 6)), weight=draw(st.integers(0, 2)))
    leaves = []
    for index in range(draw(st.integers(1, 4))):
        name = f"q{index}"
        parent = f"d{index % departments}" if departments else ""
        limit = draw(st.sampled_from((-1, -1, 4, 8)))
        cluster.queue(name, draw(st.integers(0, 4)), limit=limit, weight=draw(st.integers(0, 2)), parent=parent)
        leaves.append(name)
    return leaves


def _job(draw, cluster: Cluster, name: str, leaves: list[str], free: dict[str, int]) -> None:
    pods = draw(st.integers(1, 3))
    gpus = draw(st.sampled_from((0, 1, 1, 2)))
    fraction = draw(st.sampled_from((0, 0, 0, 0.25, 0.5))) if not free else 0
    queue = draw(st.sampled_from(leaves))
    least = draw(st.integers(1, pods))
    priority = draw(st.sampled_from((50, 75, 100)))
    places: list[str] = []
    for _ in range(pods if free else 0):
        fitting = [node for node, left in free.items() if left >= gpus]
        if not fitting:
            return
        node = draw(st.sampled_from(fitting))
        free[node] -= gpus
        places.append(node)
    limit = next(one.gpu.limit for one in cluster.queues if one.name == queue)
    if places and limit != -1 and _held(cluster, queue) + pods * gpus * 1000 > limit:
        for node in places:
            free[node] += gpus
        return
    cluster.job(name, queue, pods, gpus, least=least, priority=priority, fraction=fraction, on=places or "")


def _held(cluster: Cluster, queue: str) -> int:
    keys = {group.key for group in cluster.groups if group.queue == queue}
    return sum(pod.request.gpus * 1000 for pod in cluster.pods if pod.group in keys and pod.node)


def afterwards(snapshot: Snapshot, decided: Plan) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Where every pod is, or will be, once the plan is carried out: uid -> (node, GPU groups)."""
    places = {pod.uid: (pod.node, pod.gpu_groups) for pod in snapshot.pods if pod.status == PodStatus.RUNNING}
    for eviction in decided.evictions:
        places.pop(eviction.pod)
        if eviction.moved_to:
            places[eviction.pod] = (eviction.moved_to, eviction.moved_groups)
    for one in (*decided.binds, *decided.nominations):
        places[one.pod] = (one.node, one.gpu_groups)
    return places


def shuffled(draw, snapshot: Snapshot) -> Snapshot:
    return replace(
        snapshot,
        nodes=tuple(draw(st.permutations(snapshot.nodes))),
        queues=tuple(draw(st.permutations(snapshot.queues))),
        groups=tuple(draw(st.permutations(snapshot.groups))),
        pods=tuple(draw(st.permutations(snapshot.pods))),
    )
