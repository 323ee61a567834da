"""Why what waits, waits: the deepest known cause with numbers, found once per shape after all actions are done."""

from collections import defaultdict

from agent.domain.pods import PodStatus
from agent.domain.quantities import MILLI
from agent.domain.reasons import Reason, reason
from agent.scheduler.capacity import explain_capacity, over_capacity
from agent.scheduler.conditions import Conditions
from agent.scheduler.context import Context
from agent.scheduler.dominance import Profile
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import GangNode, JobState, TaskState
from agent.scheduler.ledger import NodeState
from agent.scheduler.order import request_of
from agent.scheduler.shapes import MIG, SHARED, WHOLE, Shape
from agent.scheduler.topology import best_domain, levels_of, topology_reason


class Explainer:
    """Reasons for the jobs of one pool, as things stand at the end of the plan."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_shape: dict[int, Reason] = {}
        self._by_profile: dict[tuple[QueueState, Profile], Reason] = {}
        self._placings: dict[Profile, Reason] = {}

    def explain(self, job: JobState) -> tuple[Reason, ...]:
        """Reasons of a job with waiting pods, deepest first."""
        if not job.root.ready:
            return (_not_ready(job.root),)
        first = self._first(job)
        note = self._context.notes.get(job)
        own = note is None or first.code in (note.code, "NoNodes", "NotReady", "OverLimit", "NonPreemptibleOverQuota")
        return (first,) if note is None or own else (first, note)

    def _first(self, job: JobState) -> Reason:
        """The deepest cause; whole gangs of one queue that need the same and have no sub-groups share it."""
        profile = self._context.profiles.of(job)
        if profile is None or job.root.started or not job.root.leaf:
            return self._find(job)
        key = (job.queue, profile)
        found = self._by_profile.get(key)
        if found is None:
            found = self._by_profile[key] = self._find(job, profile)
        return found

    def _find(self, job: JobState, profile: Profile | None = None) -> Reason:
        """The cause; but for what their queues may hold, gangs of one profile share it, whatever their queue."""
        context = self._context
        tasks = job.root.next_tasks()
        if not tasks:
            return _not_ready(job.root)
        request = request_of(tasks, context.largest_device)
        if broken := over_capacity(job, request):
            return explain_capacity(*broken, request)
        found = self._placings.get(profile) if profile is not None else None
        if found is None:
            found = self._topology(job.root, tasks) or self._placing(job, tasks)
            if profile is not None and not context.placer.uneven:
                self._placings[profile] = found
        return found

    def _topology(self, group: GangNode, tasks: list[TaskState]) -> Reason | None:
        """The topology rule that no domain can satisfy with what is free, if that is what keeps the gang waiting."""
        context, rule = self._context, group.topology
        if rule is not None:
            topology = context.topologies.get(rule.topology)
            levels = levels_of(topology, rule)
            if isinstance(levels, Reason) or topology is None:
                return levels if isinstance(levels, Reason) else None
            if levels.required is not None:
                misfit = context.placer.rules.misfit
                nodes = [node for node in context.placer.nodes if misfit(tasks[0].shape, node) is None]
                best, count = best_domain(topology, levels, tasks, nodes, context.smallest_device)
                fits = best.fits if best else 0
                if fits < len(tasks):
                    return topology_reason(rule, len(tasks), count, best.id if best and fits else "", fits)
        for child in group.children:
            mine = [task for task in tasks if child.holds(task)]
            if mine and (found := self._topology(child, mine)):
                return found
        return None

    def _placing(self, job: JobState, tasks: list[TaskState]) -> Reason:
        """The first pod that has no place when the gang is placed pod by pod."""
        context = self._context
        mark = context.session.mark()
        placed, stuck = 0, tasks[0]
        for task in tasks:
            if not context.placer.place(task):
                stuck = task
                break
            placed += 1
        cause = self.task(stuck) if placed < len(tasks) else reason("WaitsForTurn")
        context.session.undo(mark)
        if placed == len(tasks):
            return cause
        if placed == 0 or len(tasks) == 1:
            return cause
        subgroup = stuck.leaf.name if len(list(job.root.leaves())) > 1 else ""
        return reason("Gang", cause, placed=placed, needed=len(tasks), subgroup=subgroup)

    def task(self, task: TaskState) -> Reason:
        """Why no node takes this pod now. Pods of one shape share the answer unless rules between pods matter."""
        conditions = self._context.session.conditions
        if conditions is not None and conditions.concerns(task):
            return self._nodes(task, conditions)
        shape = task.shape
        if shape.index not in self._by_shape:
            self._by_shape[shape.index] = self._nodes(task, None)
        return self._by_shape[shape.index]

    def _nodes(self, task: TaskState, conditions: Conditions | None) -> Reason:
        context, shape = self._context, task.shape
        nodes = context.placer.nodes
        if not nodes:
            return reason("NoNodes", pool=context.pool)
        causes: dict[tuple[str, str], list[tuple[Reason, int]]] = defaultdict(list)
        for node in nodes:
            fixed = context.placer.rules.misfit(shape, node)
            cause, free = (fixed, 0) if fixed else _shortage(shape, node)
            if cause.code == "Promised" and conditions is not None:
                cause = conditions.refuse(task, node) or cause
            causes[cause.code, str(cause.get("resource"))].append((cause, free))
        merged = [_merge(entries) for entries in causes.values()]
        merged.sort(key=lambda cause: (-int(str(cause["count"])), cause.code, cause.facts))
        return reason("Nodes", *merged, pool=context.pool, in_pool=len(nodes), total=context.node_count)


def _not_ready(root: GangNode) -> Reason:
    leaves = list(root.leaves())
    return reason("NotReady", present=sum(leaf.alive for leaf in leaves), needed=sum(leaf.minimum for leaf in leaves))


def _merge(entries: list[tuple[Reason, int]]) -> Reason:
    """One cause for many nodes: the count, and the most that any of them has free."""
    first, best = max(entries, key=lambda entry: entry[1])
    facts = dict(first.facts) | {"count": len(entries)}
    if "free" in facts:
        facts["free"] = best
    return reason(first.code, **facts)


def _shortage(shape: Shape, node: NodeState) -> tuple[Reason, int]:
    """What the node lacks, and how much of it is free."""
    if shape.kind == WHOLE and shape.gpus > node.free_gpus():
        free = max(node.free_gpus(), 0) * MILLI
        return reason("Lacks", resource="gpu", requested=shape.gpus * MILLI, free=free), free
    if shape.kind == SHARED and not node.coming_devices(shape):
        return _device_shortage(shape, node)
    for name, count in shape.extras:
        free = max(node.idle_extra.get(name, 0) + node.coming_extra.get(name, 0), 0)
        if count > free:
            code = "LacksMig" if shape.kind == MIG and name.startswith("nvidia.com/mig") else "Lacks"
            return reason(code, resource=name, requested=count, free=free), free
    cpu = node.idle_cpu + node.coming_cpu
    if shape.cpu > cpu:
        return reason("Lacks", resource="cpu", requested=shape.cpu, free=max(cpu, 0)), max(cpu, 0)
    memory = node.idle_memory + node.coming_memory
    if shape.memory > memory:
        return reason("Lacks", resource="memory", requested=shape.memory, free=max(memory, 0)), max(memory, 0)
    if node.idle_pods + node.coming_pods < 1:
        return reason("LacksPods", most=node.node.max_pods), 0
    return reason("Promised"), 0


def _device_shortage(shape: Shape, node: NodeState) -> tuple[Reason, int]:
    memory = node.device_memory
    free = max((memory - device.held - device.pipelined for device in node.groups.values()), default=0)
    if node.free_gpus() > 0:
        free = memory
    return (
        reason("LacksDevices", requested=shape.mib(memory), devices=shape.devices, free=max(free, 0)),
        max(free, 0),
    )


def waiting_tasks(job: JobState) -> list[TaskState]:
    return [task for task in job.tasks if task.status == PodStatus.PENDING]
