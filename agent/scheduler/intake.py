"""From a snapshot to one working copy per node pool; bad objects are refused with a reason, never raised."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.domain.groups import PodGroup
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


@dataclass(slots=True)
class Intake:
    """Sessions by pool, and what was refused by "kind/name"."""

    sessions: dict[str, Session] = field(default_factory=dict)
    refused: dict[str, Reason] = field(default_factory=dict)
    unplaced: dict[str, Reason] = field(default_factory=dict)


def take_in(snapshot: Snapshot) -> Intake:
    """Build the working copies. The order of objects in the snapshot makes no difference."""
    intake = Intake()
    pools = sorted(
        {node.pool for node in snapshot.nodes}
        | {queue.pool for queue in snapshot.queues}
        | {group.pool for group in snapshot.groups}
    )
    intake.sessions = {pool: Session() for pool in pools}
    _take_nodes(intake, snapshot)
    _take_queues(intake, snapshot.queues)
    _take_groups(intake, snapshot.groups)
    _take_pods(intake, snapshot)
    for session in intake.sessions.values():
        session.charges.clear()
        session.changes.clear()
    return intake


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


def _take_groups(intake: Intake, groups: Iterable[PodGroup]) -> None:
    for group in sorted(groups, key=lambda group: (group.key, group.uid)):
        session = intake.sessions[group.pool]
        queue = session.queues.get(group.queue)
        wrong: Reason | None = None
        if any(group.key in other.jobs for other in intake.sessions.values()):
            intake.refused[f"group/{group.key}"] = reason("Duplicate", kind="group", name=group.key, field="name")
            continue
        if f"queue/{group.queue}" in intake.refused and queue is None:
            wrong = intake.refused[f"queue/{group.queue}"]
        elif queue is None:
            wrong = reason("QueueDoesNotExist", queue=group.queue, pool=group.pool)
        elif queue.children:
            wrong = reason("QueueNotLeaf", queue=group.queue)
        wrong = wrong or check_group(group)
        if wrong or queue is None:
            intake.refused[f"group/{group.key}"] = wrong or reason(
                "QueueDoesNotExist", queue=group.queue, pool=group.pool
            )
        else:
            session.jobs[group.key] = JobState(len(session.jobs), group, queue)


def _take_pods(intake: Intake, snapshot: Snapshot) -> None:
    accepted: dict[str, list[tuple[Pod, JobState, GangNode]]] = {pool: [] for pool in intake.sessions}
    verdicts: dict[Request, Reason | None] = {}
    homes = {key: pool for pool, session in intake.sessions.items() for key in session.jobs}
    leaves: dict[str, dict[str, GangNode]] = {}
    seen: set[str] = set()
    for pod in sorted(snapshot.pods, key=lambda pod: (pod.uid, pod.namespace, pod.name)):
        if pod.uid in seen:
            intake.refused[f"pod/{pod.key}"] = reason("Duplicate", kind="pod", name=pod.key, field="uid")
            continue
        seen.add(pod.uid)
        pool = homes.get(pod.group)
        if pool is None:
            refused = intake.refused.get(f"group/{pod.group}")
            intake.unplaced[pod.uid] = refused or reason("GroupDoesNotExist", group=pod.group)
            continue
        job = intake.sessions[pool].jobs[pod.group]
        if job.key not in leaves:
            leaves[job.key] = {leaf.name: leaf for leaf in job.root.leaves()}
        leaf = _leaf_of(pod, leaves[job.key])
        if wrong := _wrong_pod(pod, leaf, verdicts):
            intake.refused[f"pod/{pod.key}"] = intake.unplaced[pod.uid] = wrong
        elif leaf is not None:
            accepted[pool].append((pod, job, leaf))
    for pool, session in intake.sessions.items():
        _enter_pods(session, accepted[pool], snapshot, intake)


def _wrong_pod(pod: Pod, leaf: GangNode | None, verdicts: dict[Request, Reason | None]) -> Reason | None:
    """Why the pod cannot be planned; requests are judged once each."""
    try:
        if pod.request not in verdicts:
            verdicts[pod.request] = check_request(pod.request)
        wrong = verdicts[pod.request]
    except TypeError:
        wrong = reason("Invalid", field="request", given=str(pod.request), allowed="hashable values")
    if wrong is None and leaf is None:
        wrong = reason("SubGroupDoesNotExist", subgroup=pod.subgroup, group=pod.group)
    return wrong


def _leaf_of(pod: Pod, leaves: Mapping[str, GangNode]) -> GangNode | None:
    """The pod's sub-group; a pod that names none belongs to the only one."""
    if pod.subgroup in leaves:
        return leaves[pod.subgroup]
    return next(iter(leaves.values())) if not pod.subgroup and len(leaves) == 1 else None


def _enter_pods(
    session: Session, pods: list[tuple[Pod, JobState, GangNode]], snapshot: Snapshot, intake: Intake
) -> None:
    """Make the tasks, then give each its state, so that all rules between pods are known before the first enters."""
    shapes = ShapeTable()
    claims: DeviceClaims | None = None
    if snapshot.claims or snapshot.slices:
        uids = (pod.uid for pod, _, _ in pods)
        claims = DeviceClaims(snapshot.claims, snapshot.slices, session.nodes_by_name, uids)
    for pod, job, leaf in pods:
        cost = claims.cost(pod.request.claims) if claims and pod.request.claims else 0
        task = TaskState(len(session.tasks), pod, shapes.of(pod, cost), job, leaf)
        session.tasks[pod.uid] = task
        job.tasks.append(task)
        leaf.tasks.append(task)
    conditions = Conditions(session.tasks.values(), session.nodes, claims)
    session.conditions = conditions if conditions.active else None
    for task in session.tasks.values():
        _enter(session, task, intake)
    for job in session.jobs.values():
        for leaf in job.root.leaves():
            if len(leaf.tasks) > 1:
                leaf.tasks.sort(key=lambda task: task.order)


def _enter(session: Session, task: TaskState, intake: Intake) -> None:
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
