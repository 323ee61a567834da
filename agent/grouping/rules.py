"""How the pods of each kind of top owner form pod groups: one table, one function from pod and owners to a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.grouping.owners import Owner, Reference
from agent.wire import labels as names

Obj = dict[str, Any]
TRAIN, BUILD, INFERENCE = "train", "build", "inference"
BATCH_MIN_MEMBER = "kai.scheduler/batch-min-member"
PRIORITY_CLASS = "priorityClassName"
_PREEMPTION_DELAY = "kai.scheduler/preemption-delay"
_STALENESS_GRACE = "kai.scheduler/staleness-grace-period"
_TOPOLOGY = "kai.scheduler/topology"
_TOPOLOGY_REQUIRED = "kai.scheduler/topology-required-placement"
_TOPOLOGY_PREFERRED = "kai.scheduler/topology-preferred-placement"
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Rule:
    """``per_pod``: each pod is a group of its own; otherwise all pods of the top owner are one.

    ``priority_class``: the default. ``top``: False when the owner is only a way to the one it owns (a CronJob makes
    Jobs, and each of them is a group). ``read``: False when its pods carry all there is to know, so that the owner need
    not be fetched.
    """

    priority_class: str = TRAIN
    per_pod: bool = False
    top: bool = True
    read: bool = True


DEFAULT = Rule()
POD = Rule(per_pod=True)
TABLE: dict[tuple[str, str], Rule] = {
    ("batch", "Job"): Rule(),
    ("batch", "CronJob"): Rule(top=False),
    ("apps", "Deployment"): Rule(INFERENCE, per_pod=True),
    ("apps", "ReplicaSet"): Rule(),
    ("apps", "StatefulSet"): Rule(),
    ("apps", "DaemonSet"): Rule(per_pod=True, read=False),
    ("", "ReplicationController"): Rule(),
    ("", "Node"): Rule(per_pod=True, read=False),
    ("run.ai", "Workload"): Rule(per_pod=True, read=False),
    ("kubeflow.org", "Notebook"): Rule(BUILD),
    ("argoproj.io", "Workflow"): Rule(per_pod=True),
}
"""(API group, kind) of the top owner → rule; other kinds follow ``DEFAULT``."""


@dataclass(frozen=True, slots=True)
class Group:
    """A pod group as grouping sees it; ``manifest`` makes the object, should it be stored."""

    namespace: str
    name: str
    queue: str
    pool: str
    priority_class: str
    preemptibility: str
    min_member: int
    owner: Reference
    labels: tuple[tuple[str, str], ...] = ()
    preemption_delay: str = ""
    staleness_grace: str = ""
    topology: tuple[str, str, str] = ("", "", "")

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def group_of(pod: Obj, owners: Sequence[Owner], namespace_labels: Mapping[str, str], default_queue: str) -> Group:
    """The group of a pod that names none. ``owners``: nearest first (see ``owners.chain``)."""
    meta = pod["metadata"]
    tops = [owner for owner in owners if _rule(owner.reference).top]
    top = tops[-1] if tops else None
    rule = POD if top is None else _rule(top.reference)
    own = Reference(pod.get("apiVersion") or "v1", "Pod", meta["name"], meta["uid"])
    reference = own if top is None or rule.per_pod else top.reference
    facts = _Facts(pod, top)
    return Group(
        namespace=meta.get("namespace", ""),
        name=_name(reference),
        queue=_queue(facts, namespace_labels, default_queue),
        pool=facts.label(names.NODE_POOL) or names.DEFAULT_NODE_POOL,
        priority_class=facts.label(PRIORITY_CLASS)
        or (pod.get("spec") or {}).get("priorityClassName")
        or rule.priority_class,
        preemptibility=facts.label(names.PREEMPTIBILITY),
        min_member=1 if rule.per_pod or top is None else _minimum(facts),
        owner=reference,
        labels=_copied(meta.get("labels") or {}),
        preemption_delay=facts.note(_PREEMPTION_DELAY),
        staleness_grace=facts.note(_STALENESS_GRACE),
        topology=(facts.note(_TOPOLOGY), facts.note(_TOPOLOGY_REQUIRED), facts.note(_TOPOLOGY_PREFERRED)),
    )


def must_read(reference: Reference) -> bool:
    """Whether an owner of this kind says something about its pods that they do not say themselves."""
    return _rule(reference).read


class _Facts:
    """Labels and annotations of the top owner, and of the pod where the owner says nothing."""

    def __init__(self, pod: Obj, top: Owner | None) -> None:
        meta = pod["metadata"]
        self._labels = (top.labels if top else {}, meta.get("labels") or {})
        self._notes = (top.annotations if top else {}, meta.get("annotations") or {})

    def label(self, key: str) -> str:
        return next((labels[key] for labels in self._labels if labels.get(key)), "")

    def note(self, key: str) -> str:
        return next((notes[key] for notes in self._notes if notes.get(key)), "")


def _rule(reference: Reference) -> Rule:
    return TABLE.get((reference.group, reference.kind), DEFAULT)


def _queue(facts: _Facts, namespace_labels: Mapping[str, str], default_queue: str) -> str:
    """Queue label, project label, then what the namespace says, then the default."""
    return (
        facts.label(names.QUEUE)
        or facts.label("project")
        or namespace_labels.get(names.QUEUE_OF_NAMESPACE)
        or namespace_labels.get(names.PROJECT)
        or default_queue
    )


def _minimum(facts: _Facts) -> int:
    text = facts.note(BATCH_MIN_MEMBER)
    return int(text) if text.isdecimal() and len(text) < 7 else 1


def _copied(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels that help to find the group again from screens and tools."""
    kept = (names.WORKLOAD_ID, names.WORKLOAD_NAME, names.PROJECT, names.NODE_POOL, "user")
    return tuple((key, labels[key]) for key in kept if labels.get(key))


def _name(reference: Reference) -> str:
    tail = f"-{reference.uid}"
    return f"pg-{reference.name}"[: _LONGEST_NAME - len(tail)] + tail


def manifest(group: Group) -> Obj:
    """The PodGroup object; it goes when its owner goes."""
    owner = group.owner
    spec: Obj = {"queue": group.queue, "minMember": group.min_member, "priorityClassName": group.priority_class}
    optional = {
        "preemptibility": group.preemptibility,
        "preemptionDelay": group.preemption_delay,
        "stalenessGracePeriod": group.staleness_grace,
    }
    spec |= {key: value for key, value in optional.items() if value}
    topology, required, preferred = group.topology
    if topology:
        constraint = {"topology": topology, "requiredTopologyLevel": required, "preferredTopologyLevel": preferred}
        spec["topologyConstraint"] = {key: value for key, value in constraint.items() if value}
    reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    return {
        "apiVersion": "scheduling.run.ai/v2alpha2",
        "kind": "PodGroup",
        "metadata": {
            "name": group.name,
            "namespace": group.namespace,
            "labels": dict(group.labels) | {names.QUEUE: group.queue, names.MANAGED_BY: "grouping"},
            "ownerReferences": [reference],
        },
        "spec": spec,
    }
