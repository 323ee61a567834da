"""Where a pod may run: selectors, affinities, tolerations, ports and volumes, as hashable values.

Pods of one shape share one ``Constraints`` object, so feasibility is computed once per shape and node class.
"""

from collections.abc import Mapping
from dataclasses import dataclass

IN, NOT_IN, EXISTS, NOT_EXISTS, GREATER, LESS = "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"
OPERATORS = (IN, NOT_IN, EXISTS, NOT_EXISTS, GREATER, LESS)
NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE = "NoSchedule", "NoExecute", "PreferNoSchedule"


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str = ""
    effect: str = NO_SCHEDULE


@dataclass(frozen=True, slots=True)
class Toleration:
    """Kubernetes' toleration; an empty key with Exists tolerates everything, an empty effect any effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression on labels, e.g. ``Requirement("zone", "In", ("a", "b"))``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """All of these must hold. ``names`` (matchFields metadata.name) empty = any node."""

    labels: tuple[Requirement, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods selected by labels in the namespaces (empty = the pod's own), per value of the label ``topology_key``."""

    topology_key: str
    selector: tuple[Requirement, ...] = ()
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Constraints:
    """Everything about a pod that restricts or prefers nodes, apart from quantities.

    ``node_affinity``: one of the terms must hold (empty = no rule). ``volumes``: per volume a tuple of terms, one of
    which must hold (PersistentVolume node affinity). ``preferred_*``: (weight, term). ``host_ports``:
    (protocol, host IP, port). ``missing``: objects the pod names that do not exist (``"ConfigMap a/b"``).
    """

    node_selector: tuple[tuple[str, str], ...] = ()
    node_affinity: tuple[NodeTerm, ...] = ()
    preferred_nodes: tuple[tuple[int, NodeTerm], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    pod_affinity: tuple[PodTerm, ...] = ()
    pod_anti_affinity: tuple[PodTerm, ...] = ()
    preferred_pods: tuple[tuple[int, PodTerm], ...] = ()
    host_ports: tuple[tuple[str, str, int], ...] = ()
    volumes: tuple[tuple[NodeTerm, ...], ...] = ()
    missing: tuple[str, ...] = ()


UNCONSTRAINED = Constraints()


def holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Whether one expression holds; an unknown operator never holds."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(value, requirement)
    return False


def _compares(value: str | None, requirement: Requirement) -> bool:
    try:
        given, bound = int(value or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return given > bound if requirement.operator == GREATER else given < bound


def term_holds(term: NodeTerm, name: str, labels: Mapping[str, str]) -> bool:
    """A term with neither expressions nor names matches no node, as in Kubernetes."""
    if not term.labels and not term.names:
        return False
    if term.names and name not in term.names:
        return False
    return all(holds(requirement, labels) for requirement in term.labels)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == taint.value


def untolerated(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]) -> Taint | None:
    """The first taint that keeps a pod away, or None."""
    for taint in taints:
        if taint.effect != PREFER_NO_SCHEDULE and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None
