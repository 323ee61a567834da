"""Our own kinds: Workloads, Queues and Topologies checked at the door, and who may change what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.admission.pods import Space, Supply
from agent.admission.review import ALLOWED, Answer, Obj, Request, add
from agent.operator.workload import problems
from agent.wire import labels as names
from agent.wire.codec import from_dict
from agent.wire.objects import WorkloadSpec

_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_RESOURCES = ("gpu", "cpu", "memory")


def review_workload(request: Request, space: Space | None, supply: Supply, *, protect: bool) -> Answer:
    """A Workload made, changed or deleted."""
    if request.subresource:
        return ALLOWED
    if refused := _not_yours(request, protect):
        return Answer((refused,))
    if request.operation == "DELETE" or request.obj.get("spec") == request.old.get("spec"):
        return ALLOWED
    found = workload_problems(request.obj, space, supply)
    if found:
        return Answer(tuple(found))
    warnings = () if space else (f'namespace "{request.namespace}" belongs to no project yet: the workload waits',)
    return Answer(patch=tuple(_signed(request)), warnings=warnings)


def workload_problems(obj: Obj, space: Space | None, supply: Supply) -> list[str]:
    try:
        spec = from_dict(WorkloadSpec, obj.get("spec"))
    except (ValueError, TypeError) as error:
        return [f"spec: {error}"]
    found = problems(spec)
    memory = spec.compute.gpu_memory_mib
    if memory is not None and supply.device_mib and memory > supply.device_mib:
        found.append(
            f"spec.compute.gpuMemoryMib: {memory} given, at most {supply.device_mib} MiB has the largest device of the "
            "cluster"
        )
    allowed = space.node_types.of(spec.type) if space is not None else ()
    if space is not None and spec.node_type and allowed and spec.node_type not in allowed:
        found.append(f"spec.nodeType: {spec.node_type!r} given, project {space.project!r} allows {', '.join(allowed)}")
    meta = obj.get("metadata") or {}
    claimed = (meta.get("labels") or {}).get(names.PROJECT)
    if claimed and space is not None and claimed != space.project:
        found.append(
            f"metadata.labels[{names.PROJECT}]: {claimed!r} given, but namespace {meta.get('namespace')!r} belongs to "
            f"project {space.project!r}"
        )
    owners = meta.get("ownerReferences") or ()
    if len(owners) > 1:
        found.append(f"metadata.ownerReferences: {len(owners)} given, at most one owner is allowed")
    return found


def _signed(request: Request) -> list[Obj]:
    """Who made it, where nobody said so: what ownership protection goes by."""
    meta = request.obj.get("metadata") or {}
    notes = meta.get("annotations") or {}
    if request.operation != "CREATE" or names.SUBMITTED_BY in notes or request.by_system:
        return []
    if not notes:
        return [add(("metadata", "annotations"), {names.SUBMITTED_BY: request.user})]
    return [add(("metadata", "annotations", names.SUBMITTED_BY), request.user)]


def _not_yours(request: Request, protect: bool) -> str:
    """Why the user may not change or delete this object; "" if they may."""
    if request.operation == "CREATE" or request.trusted:
        return ""
    notes = (request.old.get("metadata") or {}).get("annotations") or {}
    owner = notes.get(names.SUBMITTED_BY)
    if request.operation == "UPDATE":
        fresh = (request.obj.get("metadata") or {}).get("annotations") or {}
        if owner and fresh.get(names.SUBMITTED_BY) != owner:
            return f"metadata.annotations[{names.SUBMITTED_BY}]: may not be changed; it is {owner!r}"
    if protect and owner and owner != request.user:
        verb = "deleted" if request.operation == "DELETE" else "changed"
        return f"{request.kind} {request.name!r} belongs to {owner!r}; it may not be {verb} by {request.user!r}"
    return ""


def review_queue(request: Request) -> Answer:
    """Queues of projects follow their projects; others' queues must make sense."""
    if request.subresource:
        return ALLOWED
    marks = ((request.old or request.obj).get("metadata") or {}).get("labels") or {}
    if marks.get(names.MANAGED_BY) == names.MANAGED_BY_OPERATOR and not request.trusted:
        of = marks.get(names.PROJECT) or marks.get("run.ai/department") or "the platform"
        return Answer((f"Queue {request.name!r} is kept by the platform for {of!r}; change that instead",))
    return Answer(tuple(queue_problems(request.obj))) if request.operation != "DELETE" else ALLOWED


def queue_problems(queue: Obj) -> list[str]:
    spec, name = queue.get("spec") or {}, (queue.get("metadata") or {}).get("name")
    found = []
    if spec.get("parentQueue") and spec["parentQueue"] == name:
        found.append(f"spec.parentQueue: {name!r} is the queue itself")
    for resource in _RESOURCES:
        found += _resource_problems(resource, (spec.get("resources") or {}).get(resource) or {})
    return found


def _resource_problems(resource: str, values: Mapping[str, Any]) -> list[str]:
    where, found = f"spec.resources.{resource}", []
    for field in ("quota", "limit"):
        value = values.get(field)
        if isinstance(value, (int, float)) and value < 0 and value != -1:
            found.append(f"{where}.{field}: {value} given, allowed is -1 (unlimited) or a number of at least 0")
    weight = values.get("overQuotaWeight")
    if isinstance(weight, (int, float)) and weight < 0:
        found.append(f"{where}.overQuotaWeight: {weight} given, must be at least 0")
    quota, limit = values.get("quota"), values.get("limit")
    if (
        isinstance(quota, (int, float))
        and isinstance(limit, (int, float))
        and -1 not in (quota, limit)
        and quota > limit
    ):
        found.append(f"{where}.quota: {quota} given, more than the limit of {limit}")
    return found


def review_topology(request: Request) -> Answer:
    """Levels are label keys, each once, the host name only lowest; they never change."""
    if request.operation == "DELETE":
        return ALLOWED
    keys = [str(level.get("nodeLabel")) for level in (request.obj.get("spec") or {}).get("levels") or ()]
    found = [
        f"spec.levels[{index}].nodeLabel: {key!r} given, which is not a label key"
        for index, key in enumerate(keys)
        if not _LABEL_KEY.fullmatch(key)
    ]
    found += [
        f"spec.levels[{index}].nodeLabel: {key!r} is given twice"
        for index, key in enumerate(keys)
        if key in keys[:index]
    ]
    if "kubernetes.io/hostname" in keys[:-1]:
        found.append("spec.levels: 'kubernetes.io/hostname' can only be the lowest level")
    before = [str(level.get("nodeLabel")) for level in (request.old.get("spec") or {}).get("levels") or ()]
    if before and before != keys:
        found.append(f"spec.levels: may not be changed ({' > '.join(before)}); make another Topology")
    return Answer(tuple(found))
