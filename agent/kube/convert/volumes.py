"""Volumes of pods: the claims a pod uses, where bound ones can be reached, which volume an unbound one could get.

The rules are kube-scheduler's: node affinity and zone labels of a bound volume; for a claim that waits for its first
consumer the volumes that would fit, or the topologies in which its class makes new ones, or the node chosen before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent.domain.constraints import NodeTerm, Requirement, term_holds
from agent.kube import quantity
from agent.kube.convert.constraints import node_term, requirement

Obj = dict[str, Any]
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
NOWHERE = (NodeTerm(),)
"""Terms that no node meets."""
_ZONES = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_OLD_ZONES = ("failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region")
_ZONE_SEPARATOR = "__"


def claims_of(pod: Obj) -> Iterator[str]:
    """Names of the claims that a pod mounts, those that are made for it (generic ephemeral volumes) included."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if name := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield name
        elif volume.get("ephemeral") is not None:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def is_bound(claim: Obj) -> bool:
    """Whether the claim has its volume and the controller has finished with both."""
    return bool((claim.get("spec") or {}).get("volumeName")) and BIND_COMPLETED in (
        claim["metadata"].get("annotations") or {}
    )


def class_of(claim: Obj) -> str:
    return (claim.get("spec") or {}).get("storageClassName") or ""


def waits_for_consumer(storage_class: Obj | None) -> bool:
    return (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"


def provisions(storage_class: Obj | None) -> bool:
    return bool(storage_class) and (storage_class or {}).get("provisioner") != NO_PROVISIONER


def selected_node(claim: Obj) -> str:
    return (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE) or ""


def reach_of(volume: Obj) -> tuple[tuple[NodeTerm, ...], ...]:
    """From which nodes a volume can be used: groups of terms, of each of which one must hold."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required") or {}
    terms = tuple(node_term(term) for term in required.get("nodeSelectorTerms") or ())
    labels = volume["metadata"].get("labels") or {}
    zones = tuple(
        Requirement(key, "In", tuple(labels[key].split(_ZONE_SEPARATOR)))
        for key in (*_ZONES, *_OLD_ZONES)
        if labels.get(key)
    )
    found = (terms,) if terms else ()
    return (*found, (NodeTerm(zones),)) if zones else found


def fits(volume: Obj, claim: Obj) -> bool:
    """Whether an unbound claim may get this volume: its own already by ``claimRef``, or free and as asked for."""
    spec, wanted = volume.get("spec") or {}, claim.get("spec") or {}
    if volume["metadata"].get("deletionTimestamp"):
        return False
    if wanted.get("volumeName") and wanted["volumeName"] != volume["metadata"]["name"]:
        return False
    if (spec.get("storageClassName") or "") != class_of(claim) or _mode(spec) != _mode(wanted):
        return False
    if owner := spec.get("claimRef"):
        return is_for(owner, claim)
    if (volume.get("status") or {}).get("phase") != "Available" or not _selects(wanted.get("selector"), volume):
        return False
    modes = set(wanted.get("accessModes") or ())
    return modes <= set(spec.get("accessModes") or ()) and capacity_of(volume) >= _asked(claim)


def is_for(reference: Mapping[str, Any], claim: Obj) -> bool:
    """Whether a volume's ``claimRef`` names this claim; one without uid was written before the claim was."""
    meta = claim["metadata"]
    same_name = (reference.get("namespace"), reference.get("name")) == (meta.get("namespace"), meta["name"])
    return same_name and reference.get("uid") in (None, "", meta.get("uid"))


def capacity_of(volume: Obj) -> int:
    """Bytes."""
    return _bytes(((volume.get("spec") or {}).get("capacity") or {}).get("storage"))


def choose(volumes: Iterable[Obj], claim: Obj, node: str, labels: Mapping[str, str]) -> Obj | None:
    """The volume that a claim gets on a node: the one that is the claim's already, else the smallest that fits."""
    usable = [one for one in volumes if fits(one, claim) and reachable(one, node, labels)]
    usable.sort(
        key=lambda one: (not (one.get("spec") or {}).get("claimRef"), capacity_of(one), one["metadata"]["name"])
    )
    return usable[0] if usable else None


def reachable(volume: Obj, node: str, labels: Mapping[str, str]) -> bool:
    return all(any(term_holds(term, node, labels) for term in terms) for terms in reach_of(volume))


def places_of(claim: Obj, volumes: Iterable[Obj], storage_class: Obj | None) -> tuple[NodeTerm, ...]:
    """Where an unbound claim of a class that waits for its consumer could get a volume; () is everywhere."""
    if chosen := selected_node(claim):
        return (NodeTerm(names=(chosen,)),)
    terms: list[NodeTerm] = []
    for volume in volumes:
        if fits(volume, claim):
            if not (reach := reach_of(volume)):
                return ()
            terms += _both(reach)
    if provisions(storage_class):
        allowed = _topologies(storage_class or {})
        if not allowed:
            return ()
        terms += allowed
    return tuple(dict.fromkeys(terms)) or NOWHERE


def _both(reach: tuple[tuple[NodeTerm, ...], ...]) -> list[NodeTerm]:
    """One of each group of terms must hold → terms of which one must hold."""
    found = [NodeTerm()]
    for terms in reach:
        found = [
            NodeTerm((*left.labels, *right.labels), left.names or right.names) for left in found for right in terms
        ]
    return found


def _topologies(storage_class: Obj) -> list[NodeTerm]:
    terms = storage_class.get("allowedTopologies") or ()
    return [
        NodeTerm(
            tuple(Requirement(e["key"], "In", tuple(e["values"])) for e in term.get("matchLabelExpressions") or ())
        )
        for term in terms
    ]


def _mode(spec: Obj) -> str:
    return spec.get("volumeMode") or "Filesystem"


def _selects(selector: Obj | None, volume: Obj) -> bool:
    if not selector:
        return True
    labels = volume["metadata"].get("labels") or {}
    wanted = tuple(Requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items())
    wanted += tuple(requirement(item) for item in selector.get("matchExpressions") or ())
    return not wanted or term_holds(NodeTerm(wanted), "", labels)


def _asked(claim: Obj) -> int:
    return _bytes((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage"))


def _bytes(value: Any) -> int:
    try:
        return quantity.whole(value) if value is not None else 0
    except ValueError:
        return 0
