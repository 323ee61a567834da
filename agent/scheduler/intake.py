"""From a snapshot to one working copy per node pool; bad objects are refused with a reason, never raised."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agent.domain.groups import PodGroup
from agent.domain.nodes import NodePool, Topology
from agent.domain.pods import Pod, Request
from agent.domain.queues import Queue
from agent.domain.reasons import Reason, reason
from agent.scheduler.checks import DEEPEST, check_group, check_node, check_queue, check_request
from agent.scheduler.conditions import Conditions
from agent.scheduler.deviceclaims import DeviceClaims, gpu_devices
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import GangNode, JobState, TaskState
from agent.scheduler.ledger import NONE, PRESENCE, NodeState
from agent.scheduler.shapes import ShapeTable, device_memory
from agent.scheduler.snapshot import Snapshot
from agent.scheduler.state import Session
from agent.scheduler.wellformed import Sieve, name_of


@dataclass(slots=True)
class Intake:
    """Sessions and shapes by pool, and what was refused by "kind/name". ``unplaced``: why pods are left out, by uid.

    ``homes``: the pool of each pod group. ``verdicts``: what was found about each distinct request. ``groups``,
    ``pods``: the last snapshot's by key and uid, once it was compared with a next one. ``touched``: the pools in which
    something changed then.
    """

    sessions: dict[str, Session] = field(default_factory=dict)
    shapes: dict[str, ShapeTable] = field(default_factory=dict)
    claims: dict[str, DeviceClaims] = field(default_factory=dict)
    refused: dict[str, Reason] = field(default_factory=dict)
    unplaced: dict[str, Reason] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    verdicts: dict[Request, Reason | None] = field(default_factory=dict)
    pools: dict[str, NodePool] = field(default_factory=dict)
    topologies: dict[str, Topology] = field(default_factory=dict)
    groups: dict[str, PodGroup] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)


def take_in(snapshot: Snapshot) -> Intake:
    """Build the working copies. The order of objects in the snapshot makes no difference."""
    intake = Intake()
    snapshot = _sift(snapshot, intake)
    pools = sorted(
        {node.pool for node in snapshot.nodes}
        | {queue.pool for queue in snapshot.queues}
        | {group.pool for group in snapshot.groups}
    )
    intake.sessions = {pool: Session() for pool in pools}
    intake.shapes = {pool: ShapeTable() for pool in pools}
    _take_nodes(intake, snapshot)
    _take_queues(intake, snapshot.queues)
    for group in sorted(snapshot.groups, key=lambda group: (group.key, group.uid)):
        take_group(intake, group)
    _take_pods(intake, snapshot)
    for session in intake.sessions.values():
        session.charges.clear()
        session.changes.clear()
    return intake


def _sift(snapshot: Snapshot, intake: Intake) -> Snapshot:
    """Without the objects that are not even well-formed; pods of those are told why they are left out."""
    sieve, refused = Sieve(), intake.refused
    sifted = replace(
        snapshot,
        nodes=tuple(sieve.sound("node", snapshot.nodes, refused)),
        queues=tuple(sieve.sound("queue", snapshot.queues, refused)),
        groups=tuple(sieve.sound("group", snapshot.groups, refused)),
        pods=tuple(sieve.sound("pod", snapshot.pods, refused)),
        pools=tuple(sieve.sound("pool", snapshot.pools, refused)),
        topologies=tuple(sieve.sound("topology", snapshot.topologies, refused)),
        slices=tuple(sieve.sound("slice", snapshot.slices, refused)),
        claims=tuple(sieve.sound("claim", snapshot.claims, refused)),
    )
    if len(sifted.pods) < len(snapshot.pods):
        kept = set(map(id, sifted.pods))
        for pod in snapshot.pods:
            if id(pod) not in kept and type(pod.uid) is str:
                intake.unplaced[pod.uid] = refused[f"pod/{name_of(pod)}"]
    intake.pools = {pool.name: pool for pool in sifted.pools}
    intake.topologies = {topology.name: topology for topology in sifted.topologies}
    return sifted


def _take_nodes(intake: Intake, snapshot: Snapshot) -> None:
    devices = gpu_devices(snapshot.slices)
    for node in sorted(snapshot.nodes, key=lambda node: node.name):
        session = intake.sessions[node.pool]
        if node.name in session.nodes_by_name:
            intake.refused[f"node/{node.name}"] = reason("Duplicate", kind="node", name=node.name, field="name")
        elif wrong := check_node(node):
            intake.refused[f"node/{node.name}"] = wrong
        else:
            state = NodeState(len(session.nodes), node, devices.get(node.name, 0))
            session.nodes.append(state)
            session.nodes_by_name[node.name] = state


def _take_queues(intake: Intake, queues: Iterable[Queue]) -> None:
    known: dict[tuple[str, str], Queue] = {}
    for queue in sorted(queues, key=lambda queue: (queue.pool, queue.name)):
        if (queue.pool, queue.name) in known:
            intake.refused[f"queue/{queue.name}"] = reason("Duplicate", kind="queue", name=queue.name, field="name")
        elif wrong := check_queue(queue):
            intake.refused[f"queue/{queue.name}"] = wrong
        else:
            known[queue.pool, queue.name] = queue
    for (pool, name), queue in known.items():
        if wrong := _broken_path(queue, known):
            intake.refused[f"queue/{name}"] = wrong
            continue
        session = intake.sessions[pool]
        session.queues[name] = QueueState(len(session.queues), queue)
    for session in intake.sessions.values():
        _link_queues(session.queues)


def _broken_path(queue: Queue, known: Mapping[tuple[str, str], Queue]) -> Reason | None:
    """A reason when the way to the root is missing, endless or too deep."""
    seen = {queue.name}
    while queue.parent:
        parent = known.get((queue.pool, queue.parent))
        if parent is None:
            return reason("QueueRefused", queue=queue.name, why=f'its parent "{queue.parent}" does not exist')
        if parent.name in seen:
            return reason("QueueRefused", queue=queue.name, why=f'"{parent.name}" is its own ancestor')
        if len(seen) >= DEEPEST:
            return reason("QueueRefused", queue=queue.name, why=f"it is more than {DEEPEST} levels deep")
        seen.add(parent.name)
        queue = parent
    return None


def _link_queues(queues: Mapping[str, QueueState]) -> None:
    for state in queues.values():
        if state.queue.parent:
            state.parent = queues[state.queue.parent]
            state.parent.children.append(state)
    for state in queues.values():
        path, queue = [state], state
        while queue.parent is not None:
            queue = queue.parent
            path.append(queue)
        state.path = tuple(path)


def take_group(intake: Intake, group: PodGroup) -> JobState | None:
    """Add a pod group as a job, or refuse it."""
    if group.key in intake.homes:
        intake.refused[f"group/{group.key}"] = reason("Duplicate", kind="group", name=group.key, field="name")
        return None
    session = intake.sessions[group.pool]
    queue = session.queues.get(group.queue)
    wrong: Reason | None = None
    if queue is None:
        missing = reason("QueueDoesNotExist", queue=group.queue, pool=group.pool)
        wrong = intake.refused.get(f"queue/{group.queue}", missing)
    elif queue.children:
        wrong = reason("QueueNotLeaf", queue=group.queue)
    wrong = wrong or check_group(group)
    if wrong is not None or queue is None:
        intake.refused[f"group/{group.key}"] = wrong or reason("Invalid", field="queue")
        return None
    job = JobState(session.take_number(), group, queue)
    session.jobs[group.key] = job
    intake.homes[group.key] = group.pool
    return job


def _take_pods(intake: Intake, snapshot: Snapshot) -> None:
    """Make all tasks, then give each its state, so that all rules between pods are known before the first enters."""
    made: dict[str, list[TaskState]] = {pool: [] for pool in intake.sessions}
    seen: set[str] = set()
    if snapshot.claims or snapshot.slices or any(pod.request.claims for pod in snapshot.pods):
        uids = [pod.uid for pod in snapshot.pods]
        intake.claims = {
            pool: DeviceClaims(snapshot.claims, snapshot.slices, session.nodes_by_name, uids)
            for pool, session in intake.sessions.items()
        }
    for pod in sorted(snapshot.pods, key=lambda pod: (pod.uid, pod.namespace, pod.name)):
        if pod.uid in seen:
            intake.refused[f"pod/{pod.key}"] = reason("Duplicate", kind="pod", name=pod.key, field="uid")
            continue
        seen.add(pod.uid)
        task = make_task(intake, pod)
        if task is not None:
            made[intake.homes[pod.group]].append(task)
    for pool, session in intake.sessions.items():
        conditions = Conditions(made[pool], session.nodes, intake.claims.get(pool))
        session.conditions = conditions if conditions.active else None
        for task in made[pool]:
            enter(intake, session, task)
        for job in session.jobs.values():
            sort_tasks(job)


def make_task(intake: Intake, pod: Pod) -> TaskState | None:
    """Add a pod to its job (without a state yet), or refuse it."""
    pool = intake.homes.get(pod.group)
    if pool is None:
        refused = intake.refused.get(f"group/{pod.group}")
        intake.unplaced[pod.uid] = refused or reason("GroupDoesNotExist", group=pod.group)
        return None
    session = intake.sessions[pool]
    job = session.jobs[pod.group]
    leaf = _leaf_of(pod, job)
    wrong = _wrong_request(intake, pod)
    if wrong is None and leaf is None:
        wrong = reason("SubGroupDoesNotExist", subgroup=pod.subgroup, group=pod.group)
    if wrong is not None or leaf is None:
        intake.refused[f"pod/{pod.key}"] = intake.unplaced[pod.uid] = wrong or reason("Invalid", field="sub-group")
        return None
    claims = intake.claims.get(pool)
    cost = claims.cost(pod.request.claims) if claims and pod.request.claims else 0
    task = TaskState(session.take_number(), pod, intake.shapes[pool].of(pod, cost), job, leaf)
    session.tasks[pod.uid] = task
    job.tasks.append(task)
    leaf.tasks.append(task)
    return task


def _wrong_request(intake: Intake, pod: Pod) -> Reason | None:
    """Why the pod's request cannot be planned; equal requests are judged once."""
    try:
        if pod.request not in intake.verdicts:
            intake.verdicts[pod.request] = check_request(pod.request)
        return intake.verdicts[pod.request]
    except TypeError:
        return reason("Invalid", field="request", given=str(pod.request), allowed="hashable values")


def _leaf_of(pod: Pod, job: JobState) -> GangNode | None:
    """The pod's sub-group; a pod that names none belongs to the only one."""
    root = job.root
    if root.leaf:
        return root if pod.subgroup in ("", root.name) else None
    leaves = list(root.leaves())
    if not pod.subgroup and len(leaves) == 1:
        return leaves[0]
    return next((leaf for leaf in leaves if leaf.name == pod.subgroup), None)


def enter(intake: Intake, session: Session, task: TaskState) -> None:
    """Give a new task the state its pod has."""
    pod = task.pod
    node = session.nodes_by_name.get(pod.node) if pod.node else None
    presence = PRESENCE[pod.status]
    if presence != NONE:
        if node is None:
            intake.refused[f"pod/{pod.key}"] = reason("NodeGone", node=pod.node)
            task.accounted = task.shape.accounted(device_memory(0))
        elif session.conditions is not None and pod.numa_zones:
            task.zones = pod.numa_zones
            session.conditions.numa.enter(task, node, presence)
    session.set(task, pod.status, node if presence != NONE else None, pod.gpu_groups, False, None, pod.numa_zones)


def sort_tasks(job: JobState) -> None:
    """Put the pods of every leaf into scheduling order."""
    for leaf in job.root.leaves():
        if len(leaf.tasks) > 1:
            leaf.tasks.sort(key=lambda task: task.order)
