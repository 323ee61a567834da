"""Where a pod may run, from its spec: selectors, affinities, tolerations, host ports, and what it needs to exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent.domain.constraints import UNCONSTRAINED, Constraints, NodeTerm, PodTerm, Requirement, Toleration
from agent.wire.labels import SHARED_GPU_CONFIG_MAP

Obj = dict[str, Any]
_interned: dict[Constraints, Constraints] = {}
_INTERNED_MOST = 20_000


def constraints_of(pod: Obj, volumes: tuple[tuple[NodeTerm, ...], ...] = ()) -> Constraints:
    """``volumes``: node terms of its bound volumes."""
    spec, namespace = pod.get("spec") or {}, pod["metadata"].get("namespace", "")
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = (node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    near, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    found = Constraints(
        node_selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
        node_affinity=tuple(node_term(term) for term in required or ()),
        preferred_nodes=tuple(
            (int(item.get("weight") or 0), node_term(item.get("preference") or {}))
            for item in node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ),
        tolerations=tuple(_toleration(item) for item in spec.get("tolerations") or () if not _implied(item)),
        pod_affinity=_required(near, namespace),
        pod_anti_affinity=_required(apart, namespace),
        preferred_pods=(*_preferred(near, namespace, 1), *_preferred(apart, namespace, -1)),
        host_ports=tuple(host_ports(spec)),
        volumes=volumes,
    )
    return intern(found)


def intern(found: Constraints) -> Constraints:
    """The one object for these constraints, so that pods of one shape share it."""
    if found == UNCONSTRAINED:
        return UNCONSTRAINED
    if len(_interned) > _INTERNED_MOST:
        _interned.clear()
    return _interned.setdefault(found, found)


def host_ports(spec: Obj) -> Iterator[tuple[str, str, int]]:
    """(protocol, host IP, port) of every port that a pod takes on its node."""
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield (port.get("protocol") or "TCP", port.get("hostIP") or "0.0.0.0", int(port["hostPort"]))  # noqa: S104


def named_objects(pod: Obj) -> Iterator[tuple[str, str]]:
    """(kind, name) of the ConfigMaps that must exist before the pod can be placed; claims are ``volumes``' matter. The
    ConfigMap of a shared device is none of them: binding makes it."""
    own = (pod["metadata"].get("annotations") or {}).get(SHARED_GPU_CONFIG_MAP)
    for kind, name in _named_objects(pod.get("spec") or {}):
        if (kind, name) != ("ConfigMap", own):
            yield kind, name


def _named_objects(spec: Obj) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes") or ():
        source = volume.get("configMap") or {}
        if source.get("name") and not source.get("optional"):
            yield "ConfigMap", source["name"]
        for projected in (volume.get("projected") or {}).get("sources") or ():
            source = projected.get("configMap") or {}
            if source.get("name") and not source.get("optional") and source["name"] != "kube-root-ca.crt":
                yield "ConfigMap", source["name"]
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        references = [item.get("configMapRef") for item in container.get("envFrom") or ()]
        references += [(item.get("valueFrom") or {}).get("configMapKeyRef") for item in container.get("env") or ()]
        for reference in references:
            if reference and reference.get("name") and not reference.get("optional"):
                yield "ConfigMap", reference["name"]


def node_term(term: Obj) -> NodeTerm:
    names: tuple[str, ...] = ()
    for field in term.get("matchFields") or ():
        if field.get("key") == "metadata.name" and field.get("operator") == "In":
            names = tuple(field.get("values") or ())
    return NodeTerm(tuple(requirement(item) for item in term.get("matchExpressions") or ()), names)


def requirement(item: Obj) -> Requirement:
    return Requirement(item.get("key", ""), item.get("operator", ""), tuple(item.get("values") or ()))


def _toleration(item: Obj) -> Toleration:
    return Toleration(
        item.get("key") or "", item.get("operator") or "Equal", item.get("value") or "", item.get("effect") or ""
    )


def _implied(item: Obj) -> bool:
    """The two tolerations that admission adds to every pod: they tell nothing about where it may be placed."""
    return item.get("effect") == "NoExecute" and item.get("key") in (
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    )


def _required(affinity: Obj, namespace: str) -> tuple[PodTerm, ...]:
    terms: Sequence[Obj] = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_pod_term(term, namespace) for term in terms)


def _preferred(affinity: Obj, namespace: str, sign: int) -> tuple[tuple[int, PodTerm], ...]:
    terms: Sequence[Obj] = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(
        (sign * int(item.get("weight") or 0), _pod_term(item.get("podAffinityTerm") or {}, namespace)) for item in terms
    )


def _pod_term(term: Obj, namespace: str) -> PodTerm:
    """The pod's own namespace is named, so that pods of one shape in two namespaces do not share a rule."""
    selector = term.get("labelSelector") or {}
    wanted = [Requirement(key, "In", (value,)) for key, value in sorted((selector.get("matchLabels") or {}).items())]
    wanted += [requirement(item) for item in selector.get("matchExpressions") or ()]
    namespaces = tuple(sorted(term.get("namespaces") or ())) or (namespace,)
    return PodTerm(term.get("topologyKey", ""), tuple(wanted), namespaces)
