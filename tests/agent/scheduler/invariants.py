"""What no plan may break, as a list of sentences about what it breaks; for clusters that were sound before."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from agent.domain.constraints import untolerated
from agent.domain.groups import PodGroup, Preemptibility, SubGroup
from agent.domain.nodes import Node
from agent.domain.pods import Pod, PodStatus
from agent.scheduler import Plan, Snapshot

Places = Mapping[str, tuple[str, tuple[str, ...]]]


def placed(snapshot: Snapshot, decided: Plan, *, now: bool) -> dict[str, tuple[str, tuple[str, ...]]]:
    """uid -> (node, devices). ``now``: with what still leaves and without what must wait; else once all is done."""
    places = {pod.uid: (pod.node, pod.gpu_groups) for pod in snapshot.pods if pod.status == PodStatus.RUNNING}
    if not now:
        for eviction in decided.evictions:
            places.pop(eviction.pod)
            if eviction.moved_to:
                places[eviction.pod] = (eviction.moved_to, eviction.moved_groups)
        places |= {one.pod: (one.node, one.gpu_groups) for one in decided.nominations}
    return places | {bind.pod: (bind.node, bind.gpu_groups) for bind in decided.binds}


def broken(snapshot: Snapshot, decided: Plan) -> list[str]:
    """Every rule that the plan breaks."""
    pods = {pod.uid: pod for pod in snapshot.pods}
    found = []
    for now in (True, False):
        places = placed(snapshot, decided, now=now)
        for node in snapshot.nodes:
            here = [(pods[uid], devices) for uid, (name, devices) in places.items() if name == node.name]
            found += [f"{node.name} (now: {now}): {wrong}" for wrong in _overfull(snapshot, node, here)]
    after = placed(snapshot, decided, now=False)
    for group in snapshot.groups:
        found += [f"{group.key}: {wrong}" for wrong in _torn(snapshot, decided, group, after)]
    found += _misplaced(snapshot, decided, pods)
    found += _over_limits(decided)
    return [*found, *_silent(snapshot, decided)]


def _overfull(snapshot: Snapshot, node: Node, here: list[tuple[Pod, tuple[str, ...]]]) -> Iterable[str]:
    devices: Counter[str] = Counter()
    extras: Counter[str] = Counter()
    memory = max(node.gpu_memory // 100 * 100, 100)
    for pod, groups in here:
        request = pod.request
        for group in groups:
            devices[group] += request.gpu_memory or request.gpu_fraction * memory // 1000
        extras.update(dict(request.mig))
        for claim in snapshot.claims:
            extras["claims"] += claim.count if claim.key in request.claims else 0
    if any(amount > memory for amount in devices.values()):
        yield f"a device of {memory} MiB is given {max(devices.values())}"
    claimable = sum(one.count for one in snapshot.slices if one.node == node.name)
    whole = (0 if node.mig_strategy == "mixed" else node.gpus) + claimable
    if sum(pod.request.gpus for pod, _ in here) + len(devices) + extras["claims"] > whole:
        yield "more GPUs than it has"
    if sum(pod.request.cpu for pod, _ in here) > node.cpu or len(here) > node.max_pods:
        yield "more cores or pods than it has"
    offered = Counter(dict(node.mig))
    offered["claims"] = claimable
    if any(count > offered[name] for name, count in extras.items()):
        yield "more MIG instances or claimed devices than it has"


def satisfied(root: SubGroup, active: Mapping[str, int]) -> bool:
    if not root.children:
        return active.get(root.name, 0) >= root.min_available
    needed = len(root.children) if root.min_subgroup is None else root.min_subgroup
    return sum(satisfied(child, active) for child in root.children) >= needed


def _torn(snapshot: Snapshot, decided: Plan, group: PodGroup, places: Places) -> Iterable[str]:
    """Gangs stay whole, topology rules hold for what starts, nobody is taken who may not be."""
    mine = [pod for pod in snapshot.pods if pod.group == group.key]
    active = [pod for pod in mine if pod.uid in places]
    gone = [one for one in decided.evictions if one.pod in {pod.uid for pod in mine} and not one.moved_to]
    counts = Counter(pod.subgroup or group.root.name for pod in active)
    if active and not satisfied(group.root, counts) and not _left_over(decided, group, mine):
        yield f"runs in part: {dict(counts)}"
    if gone and group.preemptibility is Preemptibility.NON_PREEMPTIBLE:
        yield "is taken and must not be"
    if gone and group.preemptibility is Preemptibility.SEMI_PREEMPTIBLE and not active:
        yield "loses its minimum and must not"
    bound = {one.pod for one in decided.binds}
    if bound & {pod.uid for pod in mine}:
        now = placed(snapshot, decided, now=True)
        taken = {one.pod for one in decided.evictions}
        counts = Counter(pod.subgroup or group.root.name for pod in mine if pod.uid in now and pod.uid not in taken)
        if not satisfied(group.root, counts):
            yield f"is bound in part: {dict(counts)}"
    if not any(pod.node for pod in mine):
        yield from _scattered(snapshot, group.root, active, places)


def _left_over(decided: Plan, group: PodGroup, mine: list[Pod]) -> bool:
    """Whether it was in part before, nothing is done to it, and it is marked: what is left goes once its grace is over.

    So it ends for a gang of which most were moved, when others came first to the room that was meant for them.
    """
    running = Counter(pod.subgroup or group.root.name for pod in mine if pod.status == PodStatus.RUNNING)
    touched = {one.pod for one in (*decided.binds, *decided.evictions)} & {pod.uid for pod in mine}
    marked = group.stale_since is not None or group.key in decided.stale
    return marked and not touched and not satisfied(group.root, running)


def _scattered(snapshot: Snapshot, root: SubGroup, active: list[Pod], places: Places) -> Iterable[str]:
    names = set(_leaves(root))
    mine = [pod for pod in active if (pod.subgroup or next(iter(names))) in names]
    labels = {node.name: node.labels for node in snapshot.nodes}
    if root.topology and root.topology.required:
        domains = {labels[places[pod.uid][0]].get(root.topology.required) for pod in mine}
        if len(domains) > 1:
            yield f"{root.name} must be in one {root.topology.required} and is in {sorted(map(str, domains))}"
    for child in root.children:
        yield from _scattered(snapshot, child, mine, places)


def _leaves(root: SubGroup) -> Iterable[str]:
    if not root.children:
        yield root.name
    for child in root.children:
        yield from _leaves(child)


def _misplaced(snapshot: Snapshot, decided: Plan, pods: Mapping[str, Pod]) -> Iterable[str]:
    nodes = {node.name: node for node in snapshot.nodes}
    groups = {group.key: group for group in snapshot.groups}
    for one in (*decided.binds, *decided.nominations):
        pod, node = pods[one.pod], nodes[one.node]
        if groups[pod.group].pool != node.pool:
            yield f"{pod.uid} is in another pool"
        if any(node.labels.get(key) != value for key, value in pod.constraints.node_selector):
            yield f"{pod.uid} did not select {node.name}"
        if untolerated(node.taints, pod.constraints.tolerations):
            yield f"{pod.uid} does not tolerate {node.name}"


def _over_limits(decided: Plan) -> Iterable[str]:
    for name, shares in decided.shares.items():
        if shares.limit[0] != -1 and shares.allocated[0] > shares.limit[0]:
            yield f"{name} holds {shares.allocated[0]} of at most {shares.limit[0]}"


def _silent(snapshot: Snapshot, decided: Plan) -> Iterable[str]:
    helped = {one.pod for one in (*decided.binds, *decided.nominations)}
    by_group: dict[str, list[Pod]] = defaultdict(list)
    for pod in snapshot.pods:
        by_group[pod.group].append(pod)
        if pod.status == PodStatus.PENDING and pod.uid not in helped and pod.uid not in decided.pod_reasons:
            yield f"nothing is said about {pod.uid}"
    owner = {pod.uid: pod.group for pod in snapshot.pods}
    gainers = {owner[one] for one in helped}
    for one in decided.evictions:
        if one.action != "stalegangeviction" and one.by not in gainers:
            yield f"{one.pod} is taken for {one.by}, which gains nothing"
