"""Pods of project namespaces: our scheduler, resource defaults per GPU, shared devices; wrong requests are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.admission.review import ALLOWED, Answer, Obj, Request, add
from agent.operator.defaults import CPU_PER_GPU_MILLI, MEMORY_PER_GPU_MIB, requests_for
from agent.operator.sharing import config_map_name, device_environment
from agent.wire import labels as names
from agent.wire.objects import NodeTypes

_ANY_NODE = NodeTypes()
_NUMBER = re.compile(r"\d+(\.\d+)?")
_SHARING = (names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_FRACTION_DEVICES)


@dataclass(frozen=True, slots=True)
class Space:
    """The project of a namespace, as far as admission needs it. ``queues``: the project's own."""

    project: str
    enforce_scheduler: bool = True
    queues: frozenset[str] = frozenset()
    node_types: NodeTypes = _ANY_NODE


@dataclass(frozen=True, slots=True)
class Supply:
    """``device_mib``: memory of the largest device in the cluster, 0 when unknown."""

    device_mib: int = 0
    scheduler_names: tuple[str, ...] = names.SCHEDULER_NAMES
    cpu_per_gpu_milli: int = CPU_PER_GPU_MILLI
    memory_per_gpu_mib: int = MEMORY_PER_GPU_MIB


def review_pod(request: Request, space: Space | None, supply: Supply) -> Answer:
    """What to change in a new pod, or why it is refused. Pods of other schedulers are left as they are, unless the
    project enforces ours."""
    if request.operation != "CREATE" or space is None or request.subresource:
        return ALLOWED
    pod = request.obj
    spec = pod.get("spec") or {}
    scheduler = spec.get("schedulerName") or "default-scheduler"
    enforced = space.enforce_scheduler and scheduler not in supply.scheduler_names and not _daemon(pod)
    if scheduler not in supply.scheduler_names and not enforced:
        return ALLOWED
    problems = tuple(pod_problems(pod, space, supply))
    if problems:
        return Answer(problems)
    patch: list[Obj] = []
    if enforced:
        patch.append(add(("spec", "schedulerName"), names.DEFAULT_SCHEDULER_NAME))
    patch += _shared_device(request)
    patch += _defaults(pod, supply)
    return Answer(patch=tuple(patch))


def _daemon(pod: Obj) -> bool:
    """Pods that belong to one node each, and those that name their node: no scheduler decides about them."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("kind") in ("DaemonSet", "Node") for owner in owners) or bool(pod["spec"].get("nodeName"))


def pod_problems(pod: Obj, space: Space, supply: Supply) -> list[str]:
    """Field, what was given and what is allowed, for each mistake."""
    notes = pod["metadata"].get("annotations") or {}
    marks = pod["metadata"].get("labels") or {}
    found = sharing_problems(notes, supply.device_mib)
    if any(key in notes for key in _SHARING) and whole_gpus(pod):
        found.append(
            f"metadata.annotations[{names.GPU_FRACTION}]: given together with {names.GPU_RESOURCE} in "
            "resources.limits; ask for whole GPUs or for a share, not both"
        )
    found += mig_problems(pod)
    queue = marks.get(names.QUEUE)
    if queue and space.queues and queue not in space.queues:
        found.append(
            f"metadata.labels[{names.QUEUE}]: {queue!r} given, allowed are the queues of project {space.project!r}: "
            + ", ".join(sorted(space.queues))
        )
    wanted = notes.get(names.GPU_CONTAINER)
    if wanted and wanted not in _container_names(pod):
        found.append(
            f"metadata.annotations[{names.GPU_CONTAINER}]: {wanted!r} given, "
            f"the pod's containers are {', '.join(_container_names(pod))}"
        )
    return found


def sharing_problems(notes: Mapping[str, str], device_mib: int) -> list[str]:
    """Mistakes in the annotations that ask for a share of GPUs."""
    found = []
    fraction, memory, devices = (notes.get(key) for key in _SHARING)
    if fraction is not None and not (_NUMBER.fullmatch(fraction) and 0 < float(fraction) <= 1):
        found.append(_wrong(names.GPU_FRACTION, fraction, "a number above 0 and at most 1"))
    if memory is not None and not (memory.isdecimal() and 0 < int(memory) < 10**9):
        found.append(_wrong(names.GPU_MEMORY, memory, "a whole number of MiB above 0"))
    elif memory is not None and device_mib and int(memory) > device_mib:
        found.append(_wrong(names.GPU_MEMORY, memory, f"at most {device_mib}, the largest device of the cluster"))
    if fraction is not None and memory is not None:
        found.append(f"metadata.annotations[{names.GPU_MEMORY}]: give a fraction of a GPU or its memory, not both")
    if devices is not None and not (devices.isdecimal() and 0 < int(devices) <= 1024):
        found.append(_wrong(names.GPU_FRACTION_DEVICES, devices, "a whole number from 1 to 1024"))
    found += _limits(notes, device_mib)
    if devices is not None and fraction is None and memory is None:
        found.append(
            f"metadata.annotations[{names.GPU_FRACTION_DEVICES}]: needs {names.GPU_FRACTION} or {names.GPU_MEMORY}"
        )
    return found


def _limits(notes: Mapping[str, str], device_mib: int) -> list[str]:
    """What a pod may use beyond its request: of the same kind, at least the request, at most the device."""
    found = []
    for key, of, most in (
        (names.GPU_FRACTION_LIMIT, names.GPU_FRACTION, 1.0),
        (names.GPU_MEMORY_LIMIT, names.GPU_MEMORY, float(device_mib or 10**9)),
    ):
        limit, request = notes.get(key), notes.get(of)
        if limit is None:
            continue
        if request is None:
            found.append(f"metadata.annotations[{key}]: needs {of}, of which it is the limit")
        elif not _NUMBER.fullmatch(limit) or not 0 < float(limit) <= most:
            found.append(_wrong(key, limit, f"a number above 0 and at most {most:g}"))
        elif _NUMBER.fullmatch(request) and float(limit) < float(request):
            found.append(_wrong(key, limit, f"at least the request, {request[:60]}"))
    return found


def mig_problems(pod: Obj) -> list[str]:
    """A pod uses GPUs in one way: slices, whole devices or a share."""
    notes = pod["metadata"].get("annotations") or {}
    slices = sorted({name for item in _containers(pod) for name in _amounts(item) if name.startswith(names.MIG_PREFIX)})
    others = [key for key in _SHARING[:2] if key in notes] + ([names.GPU_RESOURCE] if whole_gpus(pod) else [])
    if not slices or not others:
        return []
    return [f"spec.containers: {slices[0]} given together with {others[0]}; ask for MIG slices or for the other"]


def _containers(pod: Obj) -> list[Obj]:
    return list((pod.get("spec") or {}).get("containers") or ())


def _amounts(container: Obj) -> dict[str, object]:
    resources = container.get("resources") or {}
    return {**(resources.get("requests") or {}), **(resources.get("limits") or {})}


def _wrong(key: str, given: str, allowed: str) -> str:
    return f"metadata.annotations[{key}]: {given[:60]!r} given, allowed is {allowed}"


def whole_gpus(pod: Obj) -> int:
    total = 0
    for container in (pod.get("spec") or {}).get("containers") or ():
        total += _gpus(container)
    return total


def _gpus(container: Obj) -> int:
    resources = container.get("resources") or {}
    given = str({**(resources.get("requests") or {}), **(resources.get("limits") or {})}.get(names.GPU_RESOURCE, "0"))
    return int(given) if given.isdecimal() else 0


def _container_names(pod: Obj) -> list[str]:
    return [str(item.get("name")) for item in (pod.get("spec") or {}).get("containers") or ()]


def _shared_device(request: Request) -> list[Obj]:
    """A pod that asks for a share learns its device from a ConfigMap that binding makes."""
    pod, notes = request.obj, request.obj["metadata"].get("annotations") or {}
    if not (names.GPU_FRACTION in notes or names.GPU_MEMORY in notes) or names.SHARED_GPU_CONFIG_MAP in notes:
        return []
    base = pod["metadata"].get("name") or f"{pod['metadata'].get('generateName', 'pod-')}{request.uid[:8]}"
    name = config_map_name(str(base))
    wanted = notes.get(names.GPU_CONTAINER)
    containers = _container_names(pod)
    index = containers.index(wanted) if wanted in containers else 0
    container = pod["spec"]["containers"][index]
    own = {"NVIDIA_VISIBLE_DEVICES", "GPU_PORTION", "GPU_PORTION_LIMIT", "GPU_MEMORY_LIMIT_MIB"}
    rest = [item for item in container.get("env") or () if item.get("name") not in own]
    return [
        add(("metadata", "annotations", names.SHARED_GPU_CONFIG_MAP), name),
        add(("spec", "containers", str(index), "env"), device_environment(name, notes) + rest),
    ]


def _defaults(pod: Obj, supply: Supply) -> list[Obj]:
    """CPU and memory requests by the number of GPUs, where the pod names none."""
    notes = pod["metadata"].get("annotations") or {}
    shared = _share_milli(notes)
    patch: list[Obj] = []
    for index, container in enumerate(pod["spec"].get("containers") or ()):
        milli = _gpus(container) * 1000 or (shared if index == 0 else 0)
        resources = container.get("resources") or {}
        requests, limits = dict(resources.get("requests") or {}), resources.get("limits") or {}
        missing = requests_for(milli, supply.cpu_per_gpu_milli, supply.memory_per_gpu_mib)
        more = {key: value for key, value in missing.items() if key not in requests and key not in limits}
        if more:
            where = ("spec", "containers", str(index), "resources")
            patch.append(add(where, {**resources, "requests": {**requests, **more}}))
    return patch


def _share_milli(notes: Mapping[str, str]) -> int:
    try:
        devices = int(notes.get(names.GPU_FRACTION_DEVICES) or 1)
        return round(float(notes.get(names.GPU_FRACTION) or 0) * 1000) * devices
    except ValueError:
        return 0
