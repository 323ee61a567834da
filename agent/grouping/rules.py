"""From a pod and its owners to its group: queue, priority, preemptibility, minimum, parts, topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.grouping import trees
from agent.grouping.kinds import POD, Kinds, Rule
from agent.grouping.owners import Owner, Reference, loop_of
from agent.grouping.paths import total, values
from agent.grouping.trees import Part, Tree
from agent.wire import labels as names
from agent.wire.install import READS_KIND

Obj = dict[str, Any]
BATCH_MIN_MEMBER = "kai.scheduler/batch-min-member"
PRIORITY_CLASS = "priorityClassName"
_PREEMPTION_DELAY = "kai.scheduler/preemption-delay"
_STALENESS_GRACE = "kai.scheduler/staleness-grace-period"
_TOPOLOGY = "kai.scheduler/topology"
_TOPOLOGY_REQUIRED = "kai.scheduler/topology-required-placement"
_TOPOLOGY_PREFERRED = "kai.scheduler/topology-preferred-placement"
_LONGEST_NAME = 253
_LARGEST_MINIMUM = 999_999


KINDS = Kinds()
"""The kinds that need no WorkloadKind."""


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
    tree: Tree | None = None
    mistake: tuple[str, str, str, str] | None = None
    """What is wrong with owners or annotations and was passed over: field, what it is, what was expected, what was done
    instead."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def group_of(
    pod: Obj,
    owners: Sequence[Owner],
    namespace_labels: Mapping[str, str],
    default_queue: str,
    kinds: Kinds = KINDS,
    *,
    queue_label: str = names.QUEUE,
) -> Group:
    """The group of a pod that names none. ``owners``: nearest first (see ``owners.chain``)."""
    meta = pod["metadata"]
    top, rule = _top(owners, kinds)
    own = Reference(pod.get("apiVersion") or "v1", "Pod", meta["name"], meta["uid"])
    reference = own if top is None or rule.per_pod else top.reference
    facts = _Facts(pod, top, rule, owners)
    minimum, tree = (1, None) if rule.per_pod or top is None else _gang(facts, top, rule)
    return Group(
        namespace=meta.get("namespace", ""),
        name=_name(reference, _split(meta, rule)),
        queue=facts.label(queue_label) or _queue(facts, namespace_labels, default_queue),
        pool=facts.label(names.NODE_POOL) or names.DEFAULT_NODE_POOL,
        priority_class=facts.label(PRIORITY_CLASS)
        or (pod.get("spec") or {}).get("priorityClassName")
        or rule.priority_class,
        preemptibility=facts.label(names.PREEMPTIBILITY),
        min_member=minimum,
        owner=reference,
        labels=_copied(meta.get("labels") or {}),
        preemption_delay=facts.note(_PREEMPTION_DELAY),
        staleness_grace=facts.note(_STALENESS_GRACE),
        topology=(facts.note(_TOPOLOGY), facts.note(_TOPOLOGY_REQUIRED), facts.note(_TOPOLOGY_PREFERRED)),
        tree=tree,
        mistake=_mistake(facts, owners, minimum, own=rule.per_pod) if owners else None,
    )


def _mistake(facts: _Facts, owners: Sequence[Owner], minimum: int, *, own: bool) -> tuple[str, str, str, str] | None:
    """The first thing that is wrong and does not keep the pods from running. ``own``: each pod is a group of its own;
    then an owner that may not be read is not told of, for it would be once a pod."""
    hidden = next((owner.reference for owner in owners if owner.forbidden), None)
    if hidden is not None and not own:
        kind = f"{hidden.kind}.{hidden.group}" if hidden.group else hidden.kind
        needed = f"a ClusterRole with get on {kind} and the label {READS_KIND}"
        done = "its pods are grouped by what they say themselves"
        return f'owner {hidden.kind} "{hidden.name}"', "forbidden to the scheduler", needed, done
    if loop := loop_of(owners):
        circle = ", ".join(f'{owner.reference.kind} "{owner.reference.name}"' for owner in loop)
        return "the chain of owners", f"a loop ({circle})", "one that ends", "its pods are grouped by the last of them"
    asked, expected = facts.note(BATCH_MIN_MEMBER), f"a whole number from 1 to {_LARGEST_MINIMUM}"
    if asked and _minimum(asked) is None:
        return f"annotation {BATCH_MIN_MEMBER}", asked, expected, f"a minimum of {minimum} is used"
    if asked and minimum == 0:
        return f"annotation {BATCH_MIN_MEMBER}", asked, expected, "its pods start one by one"
    return None


def _minimum(asked: str) -> int | None:
    """What an annotation says of the minimum; None where it is no number that makes sense."""
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 7 else None


def subgroup_of(pod: Obj, owners: Sequence[Owner], group: Group, kinds: Kinds = KINDS) -> str:
    """The part of its group that a pod is in: what its label says, else what its kind says; "" where there are none."""
    labels = pod["metadata"].get("labels") or {}
    if labels.get(names.SUBGROUP_NAME) or group.tree is None:
        return str(labels.get(names.SUBGROUP_NAME) or "")
    top, rule = _top(owners, kinds)
    found = next((part.name for part in rule.components if set(part.labels) <= set(labels.items())), "")
    if rule.shape == "ray":
        found = trees.ray_part(labels)
    elif rule.shape == "jobset":
        found = trees.job_set_part(labels)
    elif not rule.components:
        found = trees.segment_part(labels, trees.segment_size(_Facts(pod, top, rule, owners).note(trees.SEGMENT_SIZE)))
    leaves = [part.name for part in group.tree.parts if not part.inner]
    return found if found in leaves else leaves[0]


def must_read(reference: Reference, kinds: Kinds = KINDS) -> bool:
    """Whether an owner of this kind says something about its pods that they do not say themselves."""
    return kinds.of(reference.group, reference.kind).read


def _top(owners: Sequence[Owner], kinds: Kinds) -> tuple[Owner | None, Rule]:
    """The owner whose pods are grouped, and its rule."""
    rules = [(owner, kinds.of(owner.reference.group, owner.reference.kind)) for owner in owners]
    return next(((owner, rule) for owner, rule in reversed(rules) if rule.top), (None, POD))


def _gang(facts: _Facts, top: Owner, rule: Rule) -> tuple[int, Tree | None]:
    """How many pods must start together, and in which parts."""
    obj = {"spec": top.spec}
    asked = facts.note(BATCH_MIN_MEMBER)
    given = _minimum(asked)
    counts = (total(obj, path) for path in rule.minimum)
    minimum = given if given is not None else next((count for count in counts if count is not None), 1)
    if rule.shape:
        tree = trees.ray_tree(top.spec) if rule.shape == "ray" else trees.job_set_tree(top.spec)
    elif rule.components:
        parts = tuple(Part(part.name, total(obj, part.replicas) or 0) for part in rule.components)
        tree = Tree(parts, len(parts))
    else:
        levels = (facts.note(trees.SEGMENT_REQUIRED), facts.note(trees.SEGMENT_PREFERRED))
        topology = (facts.note(_TOPOLOGY), *levels) if any(levels) else ("", "", "")
        tree = trees.segment_tree(minimum, trees.segment_size(facts.note(trees.SEGMENT_SIZE)), topology)
    return minimum, tree


class _Facts:
    """Labels and annotations of the grouped owner, where it says nothing of those above it (a CronJob's Job may say
    nothing, and the CronJob does), then of its pod template, then of the pod."""

    def __init__(self, pod: Obj, top: Owner | None, rule: Rule, owners: Sequence[Owner]) -> None:
        templates = values({"spec": top.spec}, rule.template) if top and rule.template else []
        first = templates[0] if templates and isinstance(templates[0], Mapping) else {}
        metas = [(first.get("metadata") or {}), pod["metadata"]]
        said = owners[owners.index(top) :] if top else ()
        self._labels = (*(one.labels for one in said), *(meta.get("labels") or {} for meta in metas))
        self._notes = (*(one.annotations for one in said), *(meta.get("annotations") or {} for meta in metas))

    def label(self, key: str) -> str:
        return next((labels[key] for labels in self._labels if labels.get(key)), "")

    def note(self, key: str) -> str:
        return next((notes[key] for notes in self._notes if notes.get(key)), "")


def _queue(facts: _Facts, namespace_labels: Mapping[str, str], default_queue: str) -> str:
    """Queue label, project label, then what the namespace says, then the default."""
    return (
        facts.label(names.QUEUE)
        or facts.label("project")
        or namespace_labels.get(names.QUEUE_OF_NAMESPACE)
        or namespace_labels.get(names.PROJECT)
        or default_queue
    )


def _copied(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels that help to find the group again from screens and tools."""
    kept = (names.WORKLOAD_ID, names.WORKLOAD_NAME, names.PROJECT, names.NODE_POOL, "user")
    return tuple((key, labels[key]) for key in kept if labels.get(key))


def _split(meta: Mapping[str, Any], rule: Rule) -> str:
    return str((meta.get("labels") or {}).get(rule.split) or "") if rule.split else ""


def _name(reference: Reference, split: str) -> str:
    tail = f"-{reference.uid}" + (f"-{split}" if split else "")
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
    spec |= _constraint(group.topology)
    if group.tree is not None:
        del spec["minMember"]
        spec |= {"minSubGroup": group.tree.minimum, "subGroups": [_part(part) for part in group.tree.parts]}
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


def _constraint(topology: tuple[str, str, str]) -> Obj:
    name, required, preferred = topology
    constraint = {"topology": name, "requiredTopologyLevel": required, "preferredTopologyLevel": preferred}
    return {"topologyConstraint": {key: value for key, value in constraint.items() if value}} if name else {}


def _part(part: Part) -> Obj:
    minimum = {"minSubGroup" if part.inner else "minMember": part.minimum}
    parent = {"parent": part.parent} if part.parent else {}
    return {"name": part.name, **parent, **minimum, **_constraint(part.topology)}
