"""Rules between pods: affinity and anti-affinity per topology domain, counted as pods come and go.

A count is kept per (selector, topology key, domain), and for anti-affinity also of the pods that carry the rule, since
it binds newcomers too. Nothing here is looked at for pods that neither carry nor match a rule.
"""

from collections import defaultdict
from collections.abc import Iterable

from agent.domain.constraints import PodTerm, holds
from agent.domain.reasons import Reason, reason
from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import HELD, NONE, PIPELINED, NodeState

Selector = tuple[PodTerm, str]
"""A term with the namespace of the pod that carries it (used when the term names none)."""


class Affinity:
    """Counts of matching pods per domain. ``present``: there or promised; ``leaving``: releasing."""

    def __init__(self, tasks: Iterable[TaskState]) -> None:
        self._selectors: dict[Selector, None] = {}
        self._anti: dict[Selector, None] = {}
        self._present: dict[Selector, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._leaving: dict[Selector, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._carriers: dict[Selector, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._matches: dict[tuple[object, ...], tuple[Selector, ...]] = {}
        for task in tasks:
            self._register(task)

    def knows(self, task: TaskState) -> bool:
        """Whether the rules of a new pod are counted already."""
        rules, namespace = task.shape.constraints, task.pod.namespace
        terms = (*rules.pod_affinity, *rules.pod_anti_affinity, *(term for _, term in rules.preferred_pods))
        return all((term, namespace) in self._selectors for term in terms) and all(
            (term, namespace) in self._anti for term in rules.pod_anti_affinity
        )

    def _register(self, task: TaskState) -> None:
        rules = task.shape.constraints
        namespace = task.pod.namespace
        for term in (*rules.pod_affinity, *rules.pod_anti_affinity, *(term for _, term in rules.preferred_pods)):
            self._selectors[term, namespace] = None
        for term in rules.pod_anti_affinity:
            self._anti[term, namespace] = None

    @property
    def active(self) -> bool:
        return bool(self._selectors)

    def concerns(self, task: TaskState) -> bool:
        """Whether some rule can matter for placing this pod."""
        rules = task.shape.constraints
        if rules.pod_affinity or rules.pod_anti_affinity or rules.preferred_pods:
            return True
        return any(selector in self._anti for selector in self.matched_by(task))

    def matched_by(self, task: TaskState) -> tuple[Selector, ...]:
        """The selectors that select this pod."""
        pod = task.pod
        key = (pod.namespace, *sorted(pod.labels.items()))
        found = self._matches.get(key)
        if found is None:
            found = self._matches[key] = tuple(
                (term, namespace)
                for term, namespace in self._selectors
                if pod.namespace in (term.namespaces or (namespace,))
                and all(holds(requirement, pod.labels) for requirement in term.selector)
            )
        return found

    def change(self, task: TaskState, node: NodeState, presence: int, sign: int) -> None:
        """A pod is there with this presence (sign 1) or not any more (-1)."""
        if presence == NONE:
            return
        counts = self._present if presence in (HELD, PIPELINED) else self._leaving
        for selector in self.matched_by(task):
            domain = node.node.labels.get(selector[0].topology_key)
            if domain is not None:
                counts[selector][domain] += sign
        if presence in (HELD, PIPELINED):
            for term in task.shape.constraints.pod_anti_affinity:
                domain = node.node.labels.get(term.topology_key)
                if domain is not None:
                    self._carriers[term, task.pod.namespace][domain] += sign

    def refuse(self, task: TaskState, node: NodeState, *, now: bool) -> Reason | None:
        """Why the rules keep the pod off this node. ``now``: leaving pods still count as neighbours."""
        labels, rules, namespace = node.node.labels, task.shape.constraints, task.pod.namespace
        for term in rules.pod_affinity:
            domain = labels.get(term.topology_key)
            if domain is None or not self._befriended(task, (term, namespace), domain):
                return reason("PodAffinity", topology_key=term.topology_key)
        for term in rules.pod_anti_affinity:
            domain = labels.get(term.topology_key)
            if domain is not None and self._count((term, namespace), domain, now) > 0:
                return reason("PodAntiAffinity", topology_key=term.topology_key)
        for selector in self.matched_by(task):
            if selector in self._anti:
                domain = labels.get(selector[0].topology_key)
                if domain is not None and self._carriers[selector][domain] > 0:
                    return reason("PodAntiAffinity", topology_key=selector[0].topology_key)
        return None

    def _befriended(self, task: TaskState, selector: Selector, domain: str) -> bool:
        if self._present[selector][domain] > 0:
            return True
        nobody = not any(self._present[selector].values())
        return nobody and selector in self.matched_by(task)

    def _count(self, selector: Selector, domain: str, now: bool) -> int:
        return self._present[selector][domain] + (self._leaving[selector][domain] if now else 0)

    def preference(self, task: TaskState, node: NodeState) -> int:
        """Sum of the weights of preferred rules that the node's domains satisfy, by number of friends."""
        labels = node.node.labels
        return sum(
            weight * self._present[term, task.pod.namespace][labels[term.topology_key]]
            for weight, term in task.shape.constraints.preferred_pods
            if term.topology_key in labels
        )

    def domains_for(self, task: TaskState, nodes: Iterable[NodeState]) -> dict[str, int]:
        """Per topology key of the pod's anti-affinity with its own kind: how many domains there are at most."""
        mine = self.matched_by(task)
        found: dict[str, int] = {}
        nodes = list(nodes)
        for term in task.shape.constraints.pod_anti_affinity:
            if (term, task.pod.namespace) in mine:
                values = [node.node.labels.get(term.topology_key) for node in nodes]
                free = sum(1 for value in values if value is None)
                found[term.topology_key] = len({value for value in values if value is not None}) + free * len(nodes)
        return found
