"""Which nodes a shape may use at all, whatever is free: selectors, affinity, taints, volumes, MIG strategy.

Verdicts are shared between nodes of one class: equal in every label and taint that some shape looks at.
"""

from collections.abc import Iterable

from agent.domain.constraints import Constraints, NodeTerm, term_holds, untolerated
from agent.domain.nodes import Node
from agent.domain.reasons import Reason, reason
from agent.scheduler.ledger import NodeState
from agent.scheduler.shapes import SHARED, Shape


def label_keys(constraints: Iterable[Constraints]) -> tuple[tuple[str, ...], bool]:
    """The label keys that these constraints look at, and whether any of them looks at node names."""
    keys: set[str] = set()
    names = False
    for one in constraints:
        keys.update(key for key, _ in one.node_selector)
        terms = [*one.node_affinity, *(term for _, term in one.preferred_nodes), *(t for v in one.volumes for t in v)]
        for term in terms:
            keys.update(requirement.key for requirement in term.labels)
            names = names or bool(term.names)
    return tuple(sorted(keys)), names


def classify(nodes: Iterable[NodeState], keys: tuple[str, ...], names: bool) -> None:
    """Number the node classes into ``NodeState.kind``."""
    known: dict[tuple[object, ...], int] = {}
    for state in nodes:
        node = state.node
        labels = node.labels
        key = (
            tuple(labels.get(name) for name in keys),
            node.taints,
            node.mig_strategy,
            state.usable,
            state.claimed,
            node.gpu_memory > 0,
            node.name if names else "",
        )
        state.kind = known.setdefault(key, len(known))


def misfit(shape: Shape, state: NodeState) -> Reason | None:
    """Why the node can never take the shape, or None."""
    node, constraints = state.node, shape.constraints
    if not state.usable:
        return reason("Cordoned") if node.ready else reason("NodeNotReady")
    if wrong := _wrong_labels(constraints, node):
        return wrong
    if taint := untolerated(node.taints, constraints.tolerations):
        shown = f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"
        return reason("Taint", taint=shown)
    if not state.serves(shape):
        if shape.kind == SHARED and state.claimed:
            return reason("ClaimedDevices")
        if shape.request.gpu_memory and not node.gpu_memory:
            return reason("UnknownMemory")
        return reason("MigStrategy", strategy=node.mig_strategy)
    return None


def _wrong_labels(constraints: Constraints, node: Node) -> Reason | None:
    for key, value in constraints.node_selector:
        if node.labels.get(key) != value:
            return reason("Selector", selector=f"{key}={value}")
    if constraints.node_affinity and not _any_holds(constraints.node_affinity, node):
        return reason("Affinity")
    for terms in constraints.volumes:
        if terms and not _any_holds(terms, node):
            return reason("Volume")
    return None


def _any_holds(terms: tuple[NodeTerm, ...], node: Node) -> bool:
    return any(term_holds(term, node.name, node.labels) for term in terms)


class Filter:
    """Remembers the verdict per (shape's constraints and kind, node class)."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Reason | None] = {}
        self._preference: dict[tuple[int, int], int] = {}

    def misfit(self, shape: Shape, state: NodeState) -> Reason | None:
        key = (shape.index, state.kind)
        if key not in self._known:
            self._known[key] = misfit(shape, state)
        return self._known[key]

    def preference(self, shape: Shape, state: NodeState) -> int:
        """Sum of the weights of preferred node terms that hold."""
        if not shape.constraints.preferred_nodes:
            return 0
        key = (shape.index, state.kind)
        if key not in self._preference:
            node = state.node
            self._preference[key] = sum(
                weight for weight, term in shape.constraints.preferred_nodes if term_holds(term, node.name, node.labels)
            )
        return self._preference[key]
