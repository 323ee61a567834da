"""From one snapshot to the next by what changed: unchanged objects are the same objects, so they cost a comparison.

Whatever is not a plain arrival, departure or change of state (another tree of queues, other nodes, rules between pods
that were not known) is left to a new intake, which is always right.
"""

from dataclasses import replace

from agent.domain.groups import PodGroup
from agent.domain.nodes import Node
from agent.domain.pods import Pod, PodStatus
from agent.domain.reasons import reason
from agent.scheduler.checks import check_group, check_node, check_queue
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.intake import Intake, enter, make_task, sort_tasks, take_group
from agent.scheduler.ledger import NONE, PRESENCE
from agent.scheduler.snapshot import Snapshot
from agent.scheduler.state import Session
from agent.scheduler.wellformed import Sieve


def refresh(intake: Intake, before: Snapshot, after: Snapshot) -> bool:
    """Bring the working copies up to date. False when only a new intake can; they are useless then."""
    intake.touched.clear()
    same = (
        before.pools == after.pools
        and before.topologies == after.topologies
        and before.slices == after.slices
        and before.claims == after.claims
    )
    same = same and _queues(intake, before, after)
    return same and _nodes(intake, before, after) and _groups(intake, before, after) and _pods(intake, before, after)


def _queues(intake: Intake, before: Snapshot, after: Snapshot) -> bool:
    """Follow quotas, limits, weights and priorities; another tree needs a new intake."""
    if before.queues is after.queues or before.queues == after.queues:
        return True
    if len(before.queues) != len(after.queues):
        return False
    sieve = Sieve()
    for was, queue in zip(before.queues, after.queues, strict=True):
        if was is queue or was == queue:
            continue
        if sieve.wrong(was) or sieve.wrong(queue) or check_queue(queue):
            return False
        if replace(was, priority=queue.priority, gpu=queue.gpu, cpu=queue.cpu, memory=queue.memory) != queue:
            return False
        state = intake.sessions[queue.pool].queues.get(queue.name)
        if state is None or state.queue != was:
            return False
        state.entitle(queue)
        intake.touched.add(queue.pool)
    return True


def _nodes(intake: Intake, before: Snapshot, after: Snapshot) -> bool:
    if before.nodes is after.nodes:
        return True
    old = {node.name: node for node in before.nodes}
    names = {node.name for node in after.nodes if type(node.name) is str}
    if not len(old) == len(before.nodes) == len(after.nodes) == len(names):
        return False
    for node in after.nodes:
        was = old.get(node.name)
        if was is node or was == node:
            continue
        if was is None or Sieve().wrong(node) or not _resize(intake, was, node):
            return False
    return True


def _resize(intake: Intake, was: Node, node: Node) -> bool:
    """Follow a change of plain quantities; anything else needs a new intake."""
    if (was.pool, was.labels, was.taints, was.gpus, was.gpu_memory, was.ready, was.unschedulable) != (
        node.pool,
        node.labels,
        node.taints,
        node.gpus,
        node.gpu_memory,
        node.ready,
        node.unschedulable,
    ):
        return False
    fixed = (was.mig, was.mig_strategy, was.extended, was.numa_policy, was.numa_zones, was.foreign.extended)
    if fixed != (node.mig, node.mig_strategy, node.extended, node.numa_policy, node.numa_zones, node.foreign.extended):
        return False
    session = intake.sessions[node.pool]
    state = session.nodes_by_name.get(node.name)
    if state is None or check_node(node) is not None or was.foreign.host_ports != node.foreign.host_ports:
        return False
    state.node = node
    state.idle_cpu += (node.cpu - node.foreign.cpu) - (was.cpu - was.foreign.cpu)
    state.idle_memory += (node.memory - node.foreign.memory) - (was.memory - was.foreign.memory)
    state.idle_gpu += was.foreign.gpus - node.foreign.gpus
    state.idle_pods += (node.max_pods - node.foreign.pods) - (was.max_pods - was.foreign.pods)
    session.changes.append(state.index)
    intake.touched.add(node.pool)
    return True


def _groups(intake: Intake, before: Snapshot, after: Snapshot) -> bool:
    if before.groups is after.groups:
        return True
    old = intake.groups or {group.key: group for group in before.groups}
    new = intake.groups = {group.key: group for group in after.groups}
    if len(old) != len(before.groups) or len(new) != len(after.groups):
        return False
    for key, group in new.items():
        was = old.get(key)
        if was is group or was == group:
            continue
        if (
            Sieve().wrong(group)
            or group.pool not in intake.sessions
            or (was is not None and not _regroup(intake, was, group))
        ):
            return False
        if was is None:
            take_group(intake, group)
            intake.touched.add(group.pool)
    for key in old.keys() - new.keys():
        _drop_group(intake, key)
    return True


def _regroup(intake: Intake, was: PodGroup, group: PodGroup) -> bool:
    """Follow a change that leaves the gang itself alone."""
    same = (was.pool, was.queue, was.root, was.uid) == (group.pool, group.queue, group.root, group.uid)
    home = intake.homes.get(group.key)
    if not same or home is None or was.preemptibility is not group.preemptibility or check_group(group):
        return False
    session = intake.sessions[home]
    session.jobs[group.key].regroup(group)
    intake.touched.add(home)
    return True


def _drop_group(intake: Intake, key: str) -> None:
    """Take a job out; pods of it that are still there will be told that their group is gone."""
    intake.refused.pop(f"group/{key}", None)
    home = intake.homes.pop(key, None)
    if home is not None:
        session = intake.sessions[home]
        for task in list(session.jobs[key].tasks):
            _leave(intake, session, task)
            intake.unplaced[task.pod.uid] = reason("GroupDoesNotExist", group=key)
        del session.jobs[key]
        intake.touched.add(home)


def _leave(intake: Intake, session: Session, task: TaskState) -> None:
    """Take a task out."""
    session.set(task, PodStatus.DELETED, None, ())
    task.job.tasks.remove(task)
    task.leaf.tasks.remove(task)
    session.tasks.pop(task.pod.uid, None)
    intake.refused.pop(f"pod/{task.pod.key}", None)


def _pods(intake: Intake, before: Snapshot, after: Snapshot) -> bool:
    if before.pods is after.pods and before.groups is after.groups:
        return True
    old = intake.pods or {pod.uid: pod for pod in before.pods}
    new = intake.pods = {pod.uid: pod for pod in after.pods}
    if len(old) != len(before.pods) or len(new) != len(after.pods):
        return False
    changed = [pod for uid, pod in new.items() if old.get(uid) is not pod or uid in intake.unplaced]
    sieve = Sieve()
    if any(sieve.wrong(pod) for pod in changed):
        return False
    for uid in old.keys() - new.keys():
        _forget(intake, old[uid])
    grown: dict[JobState, None] = {}
    for pod in sorted(changed, key=lambda pod: pod.uid):
        was = old.get(pod.uid)
        if was is not None and pod.uid not in intake.unplaced and _restate(intake, was, pod):
            continue
        if was is not None:
            _forget(intake, was)
        if not _arrive(intake, pod, grown):
            return False
    for job in grown:
        sort_tasks(job)
    return True


def _forget(intake: Intake, pod: Pod) -> None:
    intake.unplaced.pop(pod.uid, None)
    intake.refused.pop(f"pod/{pod.key}", None)
    home = intake.homes.get(pod.group)
    session = intake.sessions[home] if home else None
    task = session.tasks.get(pod.uid) if session else None
    if home is not None and session is not None and task is not None:
        _leave(intake, session, task)
        intake.touched.add(home)


def _restate(intake: Intake, was: Pod, pod: Pod) -> bool:
    """Follow a change of state alone."""
    if was == pod:
        _task_of(intake, pod, pod)
        return True
    fixed = (was.namespace, was.name, was.group, was.request, was.constraints, was.subgroup, was.task_priority)
    if fixed != (pod.namespace, pod.name, pod.group, pod.request, pod.constraints, pod.subgroup, pod.task_priority):
        return False
    others = (was.leader, was.created, was.qos, was.legacy_mig, was.labels, was.numa_zones)
    if others != (pod.leader, pod.created, pod.qos, pod.legacy_mig, pod.labels, pod.numa_zones) or pod.numa_zones:
        return False
    task = _task_of(intake, was, pod)
    if task is None:
        return False
    session = intake.sessions[intake.homes[pod.group]]
    node = session.nodes_by_name.get(pod.node) if pod.node else None
    if PRESENCE[pod.status] != NONE and node is None:
        return False
    intake.refused.pop(f"pod/{pod.key}", None)
    session.set(task, pod.status, node if PRESENCE[pod.status] != NONE else None, pod.gpu_groups)
    intake.touched.add(intake.homes[pod.group])
    return True


def _task_of(intake: Intake, was: Pod, pod: Pod) -> TaskState | None:
    """The pod's task, holding the new object from now on."""
    home = intake.homes.get(was.group)
    task = intake.sessions[home].tasks.get(was.uid) if home else None
    if task is not None:
        task.pod = pod
    return task


def _arrive(intake: Intake, pod: Pod, grown: dict[JobState, None]) -> bool:
    """Add a pod. False when it brings a rule between pods that the working copy does not reckon with."""
    task = make_task(intake, pod)
    if task is None:
        return True
    session = intake.sessions[intake.homes[pod.group]]
    conditions = session.conditions
    if task.needs_conditions and (conditions is None or not conditions.knows(task)):
        return False
    if conditions is not None and conditions.numa.active and pod.numa_zones:
        return False
    enter(intake, session, task)
    intake.touched.add(intake.homes[pod.group])
    grown[task.job] = None
    return True
