"""Topology: which domains (zone, rack, NVLink island, host) a gang may be placed in, tightest first.

A domain is named by the label values down to its level. For a gang with a constraint the candidate domains are tried
deepest level first; each is a scope of nodes in which the whole (sub)group is placed or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.domain.groups import TopologyConstraint
from agent.domain.nodes import Topology
from agent.domain.reasons import Reason, reason
from agent.scheduler.gangs import GangNode, TaskState
from agent.scheduler.ledger import NodeState
from agent.scheduler.placement import Scope
from agent.scheduler.room import room_of
from agent.scheduler.shapes import SHARED

NOTHING_FREE = 1000.0
BONUS_STEPS = 10


class Domain:
    """One node of the topology tree. ``fits``: pods of the gang it could take; ``ratio``: requested over free."""

    __slots__ = ("children", "depth", "fits", "id", "nodes", "ratio")

    def __init__(self, identity: str, depth: int) -> None:
        self.id = identity
        self.depth = depth
        self.children: dict[str, Domain] = {}
        self.nodes: list[NodeState] = []
        self.ratio = 0.0
        self.fits = 0


@dataclass(frozen=True, slots=True)
class Levels:
    """A constraint as depths in the tree (0 = root above all levels); None = not asked for."""

    required: int | None
    preferred: int | None


def levels_of(topology: Topology | None, rule: TopologyConstraint) -> Levels | Reason:
    """The depths of a rule's levels, or why it cannot be understood."""
    for level in (rule.required, rule.preferred):
        if level and (topology is None or level not in topology.levels):
            return reason("TopologyUnknown", topology=rule.topology, level=level)
    if topology is None:
        return reason("TopologyUnknown", topology=rule.topology, level="")
    required = topology.levels.index(rule.required) + 1 if rule.required else None
    preferred = topology.levels.index(rule.preferred) + 1 if rule.preferred else None
    return Levels(required, preferred)


def build(topology: Topology, nodes: Sequence[NodeState], depth: int) -> Domain:
    """The tree over these nodes down to ``depth`` levels; nodes that lack a label on the way are outside."""
    root = Domain("root", 0)
    for state in nodes:
        labels = state.node.labels
        values = [labels.get(level) for level in topology.levels[:depth]]
        if any(value is None for value in values):
            continue
        domain = root
        root.nodes.append(state)
        for place, value in enumerate(values):
            name = str(value)
            child = domain.children.get(name)
            if child is None:
                identity = name if place == 0 else f"{domain.id}.{name}"
                child = domain.children[name] = Domain(identity, place + 1)
            child.nodes.append(state)
            domain = child
    return root


Need = tuple[int, int, int]


def _alike(tasks: Sequence[TaskState]) -> bool:
    """Whether all pods ask for the same kinds of resources."""
    kinds = {
        (t.shape.kind, bool(t.shape.cpu), bool(t.shape.memory), tuple(n for n, _ in t.shape.extras)) for t in tasks
    }
    return len(kinds) == 1


def measure(root: Domain, tasks: Sequence[TaskState], device_memory: int) -> None:
    """Set ``fits`` and ``ratio`` of every domain for these pods."""
    total = tuple(sum(column) for column in zip(*(_need(task, device_memory) for task in tasks), strict=True))
    _weigh(root, total, len(tasks))
    if _alike(tasks):
        _count(root, _largest(tasks, device_memory))


def _need(task: TaskState, device_memory: int) -> Need:
    return (task.shape.gpu_cost(device_memory), task.shape.cpu, task.shape.memory)


def _largest(tasks: Sequence[TaskState], device_memory: int) -> tuple[int, int, int, tuple[tuple[str, int], ...], bool]:
    needs = [_need(task, device_memory) for task in tasks]
    extras: dict[str, int] = {}
    for task in tasks:
        for name, count in task.shape.extras:
            extras[name] = max(extras.get(name, 0), count)
    shared = tasks[0].shape.kind == SHARED
    gpu, cpu, memory = (max(column) for column in zip(*needs, strict=True))
    return gpu, cpu, memory, tuple(extras.items()), shared


def _count(domain: Domain, need: tuple[int, int, int, tuple[tuple[str, int], ...], bool]) -> int:
    """Pods that fit, node by node, summed up the tree."""
    if domain.children:
        domain.fits = sum(_count(child, need) for child in domain.children.values())
    else:
        domain.fits = sum(_pods_on(node, need) for node in domain.nodes)
    return domain.fits


def _pods_on(node: NodeState, need: tuple[int, int, int, tuple[tuple[str, int], ...], bool]) -> int:
    gpu, cpu, memory, extras, shared = need
    most = node.idle_pods + node.coming_pods
    if cpu:
        most = min(most, (node.idle_cpu + node.coming_cpu) // cpu)
    if memory:
        most = min(most, (node.idle_memory + node.coming_memory) // memory)
    if gpu and not extras:
        most = min(most, (room_of(node) if shared else node.free_gpus() * 1000) // gpu)
    for name, count in extras:
        most = min(most, (node.idle_extra.get(name, 0) + node.coming_extra.get(name, 0)) // count)
    return max(most, 0)


def _weigh(domain: Domain, total: tuple[int, ...], wanted: int) -> tuple[int, int, int]:
    """Free amounts summed up the tree; ratio = the scarcest resource's requested over free."""
    free = [0, 0, 0]
    if domain.children:
        for child in domain.children.values():
            for index, amount in enumerate(_weigh(child, total, wanted)):
                free[index] += amount
    else:
        for node in domain.nodes:
            free[0] += max(node.free_gpus(), 0) * 1000
            free[1] += max(node.idle_cpu + node.coming_cpu, 0)
            free[2] += max(node.idle_memory + node.coming_memory, 0)
    ratios = [(wish / have if have else NOTHING_FREE) for wish, have in zip(total, free, strict=True) if wish]
    domain.ratio = max(ratios, default=0.0)
    domain.fits = wanted if domain.ratio <= 1 else 0
    return free[0], free[1], free[2]


def ordered(domain: Domain) -> list[Domain]:
    """Children, the tightest first, then by id."""
    return sorted(domain.children.values(), key=lambda child: (-child.ratio, child.id))


def by_depth(root: Domain) -> list[list[Domain]]:
    """Domains of each depth, in the order of their sorted parents."""
    levels = [[root]]
    while any(domain.children for domain in levels[-1]):
        levels.append([child for domain in levels[-1] for child in ordered(domain)])
    return levels


def scopes(
    topology: Topology,
    levels: Levels,
    group: GangNode,
    tasks: Sequence[TaskState],
    nodes: Sequence[NodeState],
    device_memory: int,
) -> list[Scope]:
    """The scopes to try for these pods of the group, best first."""
    depth = max(levels.required or 0, levels.preferred or 0)
    root = build(topology, nodes, depth)
    measure(root, tasks, device_memory)
    tree = by_depth(root)
    top = levels.required or 0
    bonus = _bonus(tree[levels.preferred]) if levels.preferred and levels.preferred < len(tree) else None
    allowed = _started_in(tree[top] if top < len(tree) else [], group) if levels.required else None
    found: list[Scope] = []
    for level in reversed(tree[top : (levels.preferred or top) + 1]):
        for domain in level:
            if domain.fits < len(tasks) or (domain.depth == 0 and not domain.nodes):
                continue
            if allowed is not None and not any(domain.nodes[0] in parent.nodes for parent in allowed):
                continue
            found.append(Scope(domain.nodes, bonus))
    if not levels.required:
        found.append(Scope(list(nodes), bonus))
    return found


def _started_in(domains: Sequence[Domain], group: GangNode) -> list[Domain] | None:
    """Domains of the required level where pods of the group run already; None when none does."""
    held = {task.node.index for task in group.all_tasks() if task.active and task.node is not None}
    if not held:
        return None
    return [domain for domain in domains if any(node.index in held for node in domain.nodes)]


def _bonus(domains: Sequence[Domain]) -> dict[int, float]:
    """Extra score of the nodes by the place of their preferred-level domain."""
    count = len(domains)
    return {
        node.index: float(BONUS_STEPS * (place + 1) // count)
        for place, domain in enumerate(domains)
        for node in domain.nodes
    }


def best_domain(
    topology: Topology, levels: Levels, tasks: Sequence[TaskState], nodes: Sequence[NodeState], device_memory: int
) -> tuple[Domain | None, int]:
    """The domain of the required level that could take most of the pods, and how many domains there are."""
    depth = levels.required or 0
    root = build(topology, nodes, depth)
    measure(root, tasks, device_memory)
    tree = by_depth(root)
    domains = tree[depth] if depth < len(tree) else []
    return max(domains, key=lambda domain: (domain.fits, domain.id), default=None), len(domains)


def topology_reason(rule: TopologyConstraint, needed: int, domains: int, best: str, fits: int) -> Reason:
    """That no domain takes all the pods, naming the one that takes most."""
    return reason(
        "Topology",
        topology=rule.topology,
        level=rule.required,
        needed=needed,
        domains=domains,
        best=best,
        fits=fits,
    )
