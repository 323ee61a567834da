"""From a sound request to what the cluster gets, and back again for clone and for objects that kubectl made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.wire.objects import DEFAULT_PRIORITY_CLASS, PRIORITIES, Compute, Toleration, WorkloadSpec
from workloads.specs import quantities
from workloads.specs.problems import SpecError
from workloads.specs.request import DISTRIBUTED, INFERENCE, PARTS, TRAINING, WORKSPACE, SubmitRequest
from workloads.specs.validate import problems

WHOLE = 1000
CLEARS_PREEMPTIBLE = 100
"""Priorities from here on are non-preemptible unless the request says otherwise (kai.md section 1.3)."""

_DEFAULT_PRIORITY = {WORKSPACE: "build", INFERENCE: "inference"}
_CATEGORY = {WORKSPACE: "Build", INFERENCE: "Deploy"}


@dataclass(frozen=True, slots=True)
class Totals:
    """What all pods of a workload ask for together, for lists and quota screens."""

    pods: int
    gpu_milli: int
    cpu_milli: int
    memory_bytes: int


def compile_spec(request: SubmitRequest, *, node_pools: tuple[str, ...] = (), suspend: bool = False) -> WorkloadSpec:
    """The compiled spec. ``node_pools`` are the project's own order, used when the request names none.

    Raises ``SpecError`` with every problem of the request.
    """
    found = problems(request)
    if found:
        raise SpecError(found)
    return WorkloadSpec(
        type=request.type,
        image=request.image,
        display_name=request.name,
        command=request.command,
        args=request.args,
        working_dir=request.working_dir,
        environment=request.environment,
        image_pull_policy=request.image_pull_policy,
        compute=compute_of(request),
        workers=request.workers if request.type == DISTRIBUTED else None,
        framework=request.framework,
        completions=request.completions,
        parallelism=request.parallelism,
        node_pools=request.node_pools or node_pools,
        node_type=request.node_type,
        node_selector=request.node_selector,
        tolerations=tuple(_any_effect(toleration) for toleration in request.tolerations),
        priority_class=request.priority_class or _DEFAULT_PRIORITY.get(request.type, DEFAULT_PRIORITY_CLASS),
        preemptibility=request.preemptibility,
        restart_policy=request.restart_policy,
        backoff_limit=request.backoff_limit,
        ttl_seconds_after_finished=request.ttl_seconds_after_finished,
        termination_grace_period_seconds=request.termination_grace_period_seconds,
        suspend=suspend,
        **{name: getattr(request, name) for name in PARTS},
        labels=request.labels,
        annotations=request.annotations,
    )


def compute_of(request: SubmitRequest) -> Compute:
    """What one pod asks for. Raises ``ValueError`` for an amount that cannot be read."""
    portion = _read(quantities.gpu_portion_milli, request.gpu_portion)
    memory = _read(quantities.gpu_memory_mib, request.gpu_memory)
    default_devices = 1 if portion or memory else 0
    devices = _read(quantities.gpu_devices, request.gpu_devices)
    return Compute(
        gpu_devices=default_devices if devices is None else devices,
        gpu_portion_milli=None if portion == WHOLE else portion,
        gpu_memory_mib=memory,
        gpu_portion_limit_milli=_read(quantities.gpu_portion_milli, request.gpu_portion_limit),
        gpu_memory_limit_mib=_read(quantities.gpu_memory_mib, request.gpu_memory_limit),
        extended_resources=request.extended_resources or None,
        cpu_milli=_read(quantities.cpu_milli, request.cpu),
        cpu_limit_milli=_read(quantities.cpu_milli, request.cpu_limit),
        memory_bytes=_read(quantities.memory_bytes, request.memory),
        memory_limit_bytes=_read(quantities.memory_bytes, request.memory_limit),
    )


def _read(read: Callable[[str], int], text: str | None) -> int | None:
    return None if text is None else read(text)


def _any_effect(toleration: Toleration) -> Toleration:
    """``Any`` is the contract's word for "every effect", which Kubernetes says by leaving it out."""
    return replace(toleration, effect=None) if toleration.effect == "Any" else toleration


def totals(spec: WorkloadSpec) -> Totals:
    """Memory of a device counts as no portion here: its size is known to the cluster only."""
    pods = spec.workers or min(spec.parallelism or 1, spec.completions or spec.parallelism or 1)
    each = spec.compute
    portion = 0 if each.gpu_memory_mib else each.gpu_portion_milli or WHOLE
    return Totals(
        pods=pods,
        gpu_milli=pods * each.gpu_devices * portion,
        cpu_milli=pods * (each.cpu_milli or 0),
        memory_bytes=pods * (each.memory_bytes or 0),
    )


def priority(spec: WorkloadSpec) -> int:
    return PRIORITIES.get(spec.priority_class or DEFAULT_PRIORITY_CLASS, PRIORITIES[DEFAULT_PRIORITY_CLASS])


def is_preemptible(spec: WorkloadSpec) -> bool:
    if spec.preemptibility is not None:
        return spec.preemptibility == "preemptible"
    return priority(spec) < CLEARS_PREEMPTIBLE


def category(workload_type: str) -> str:
    """Build, Train or Deploy, where the request names none."""
    return _CATEGORY.get(workload_type, "Train")


def request_from_spec(spec: WorkloadSpec, *, name: str, project_id: str, cluster_id: str | None) -> SubmitRequest:
    """The request that compiles to ``spec``: prefills clone, and reads a manifest. Judges nothing."""
    each = spec.compute
    return SubmitRequest(
        name=name,
        project_id=project_id,
        cluster_id=cluster_id,
        image=spec.image,
        type=spec.type or TRAINING,
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir,
        environment=spec.environment,
        image_pull_policy=spec.image_pull_policy,
        gpu_devices=str(each.gpu_devices) if each.gpu_devices else None,
        gpu_portion=_text(quantities.decimal_text, each.gpu_portion_milli),
        gpu_memory=_text(lambda mib: quantities.memory_text(mib * quantities.MIB), each.gpu_memory_mib),
        gpu_portion_limit=_text(quantities.decimal_text, each.gpu_portion_limit_milli),
        gpu_memory_limit=_text(lambda mib: quantities.memory_text(mib * quantities.MIB), each.gpu_memory_limit_mib),
        extended_resources=each.extended_resources,
        cpu=_text(quantities.decimal_text, each.cpu_milli),
        cpu_limit=_text(quantities.decimal_text, each.cpu_limit_milli),
        memory=_text(quantities.memory_text, each.memory_bytes),
        memory_limit=_text(quantities.memory_text, each.memory_limit_bytes),
        workers=spec.workers,
        framework=spec.framework,
        completions=spec.completions,
        parallelism=spec.parallelism,
        node_pools=spec.node_pools,
        node_type=spec.node_type,
        node_selector=spec.node_selector,
        tolerations=spec.tolerations,
        priority_class=spec.priority_class,
        preemptibility=spec.preemptibility,
        restart_policy=spec.restart_policy,
        backoff_limit=spec.backoff_limit,
        ttl_seconds_after_finished=spec.ttl_seconds_after_finished,
        termination_grace_period_seconds=spec.termination_grace_period_seconds,
        **{name: getattr(spec, name) for name in PARTS},
        labels=spec.labels,
        annotations=spec.annotations,
    )


def _text(write: Callable[[int], str], value: int | None) -> str | None:
    return None if value is None else write(value)
