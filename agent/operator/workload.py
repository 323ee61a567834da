"""A ``Workload`` object as the operator sees it: its spec read and checked, its last written status, its project."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.operator.bounds import too_small
from agent.operator.facts import moment
from agent.operator.load import Load, read_load
from agent.operator.rules import environment_problems, limit_problems, problems_of_parts
from agent.wire import labels as names
from agent.wire.codec import from_dict, to_dict
from agent.wire.config import ClusterConfig
from agent.wire.objects import (
    DEFAULT_BACKOFF_LIMIT,
    DEFAULT_PRIORITY_CLASS,
    FRAMEWORKS,
    PRIORITIES,
    WORKLOAD_TYPES,
    Compute,
    ProjectSpec,
    SchedulingRules,
    WorkloadSpec,
)
from agent.wire.phases import Phase
from agent.wire.reports import Condition, ReasonReport

MAX_PODS = 10_000
MAX_COMMAND = 65_536
"""Bytes of command and arguments: they come with every pod, and Linux takes no more than 128 KiB in one argument."""
_DEFAULT_CONFIG = ClusterConfig()
_IMAGE = re.compile(r"[A-Za-z0-9][^\s]*")


@dataclass(frozen=True, slots=True)
class AppliedRules:
    """The limits of its project that a workload was made under, in seconds; None: none."""

    time_limit_seconds: int | None = None
    idle_gpu_limit_seconds: int | None = None


def applied_rules(rules: SchedulingRules | None, workload_type: str, preemptible: bool) -> AppliedRules:
    """Which of a project's limits are for a workload (runai-features section 3.3)."""
    if rules is None or workload_type == "inference":
        return AppliedRules()
    if workload_type != "workspace":
        return AppliedRules(rules.training_time_limit_seconds, rules.training_idle_limit_seconds)
    idle = rules.preemptible_workspace_idle_limit_seconds if preemptible else rules.workspace_idle_limit_seconds
    return AppliedRules(rules.workspace_time_limit_seconds, idle)


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """The ``status`` of a Workload; the first fields have the names and meaning of ``reports.WorkloadReport``."""

    phase: Phase = Phase.CREATING
    message: str = ""
    reasons: tuple[ReasonReport, ...] = ()
    conditions: tuple[Condition, ...] = ()
    desired_pods: int = 0
    running_pods: int = 0
    ready_pods: int = 0
    failed_attempts: int = 0
    allocated_gpu_milli: int = 0
    node_pools: tuple[str, ...] = ()
    started_at: str | None = None
    completed_at: str | None = None
    phase_since: str | None = None
    observed_generation: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    """First index of a unit (a pod, or a whole gang) → its current attempt, where that is above 0."""
    succeeded_indexes: str = ""
    """Completed indexes of a training with several completions, e.g. ``0-3,7``."""
    node_pool: str = ""
    """The pool it is tried in now, when it names several."""
    replicas: int | None = None
    """Pods that the autoscaler wants; None before it has spoken."""
    low_since: str | None = None
    """Since when fewer would do."""
    revision: str | None = None
    """Hash of the template that its pods are made from (inference)."""
    project: str | None = None
    urls: tuple[str, ...] = ()
    """Where its exposed ports are reached from outside."""
    rules: AppliedRules | None = None
    """Limits of the project as they were when it was first looked at: later rules are for later workloads."""
    gpus: str = "0"
    """GPUs it holds, for people."""


@dataclass(frozen=True, slots=True)
class ProjectView:
    name: str
    spec: ProjectSpec

    @property
    def pools(self) -> tuple[str, ...]:
        """Pools in which the project has a queue."""
        return tuple(quota.node_pool for quota in self.spec.quotas) or (names.DEFAULT_NODE_POOL,)


@dataclass(frozen=True, slots=True)
class WorkloadView:
    name: str
    namespace: str
    uid: str
    id: str
    """``run.ai/workload-id``, else the uid."""
    generation: int
    created_at: datetime | None
    deleting: bool
    managed: bool
    spec: WorkloadSpec
    status: WorkloadStatus
    errors: tuple[str, ...] = ()
    """What is wrong with the spec, each naming its field; nothing is made for such a workload."""
    project: ProjectView | None = None
    submitted_by: str = ""
    load: Load | None = None
    cluster: ClusterConfig = _DEFAULT_CONFIG

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def gang(self) -> bool:
        return self.spec.workers is not None

    @property
    def backoff_limit(self) -> int:
        limit = self.spec.backoff_limit
        return DEFAULT_BACKOFF_LIMIT if limit is None else limit

    @property
    def restart_policy(self) -> str:
        """Workspaces and inference stay up; what has an end runs once per attempt."""
        default = "Always" if self.spec.type in ("workspace", "inference") else "Never"
        return self.spec.restart_policy or default

    @property
    def shares_gpu(self) -> bool:
        return shares_gpu(self.spec.compute)

    def compute_of(self, index: int) -> Compute:
        """What pod ``index`` asks for: the first of a gang may ask for something else."""
        master = self.spec.master if self.gang and index == 0 else None
        return master.compute if master is not None and master.compute is not None else self.spec.compute

    @property
    def template(self) -> str:
        """Hash of what a change of makes new pods necessary. Of what is set: a new kind of field changes nothing."""
        spec = self.spec
        parts: list[object] = [
            spec.image,
            spec.image_pull_policy,
            spec.command,
            spec.args,
            spec.working_dir,
            spec.environment,
            spec.compute,
            spec.ports,
            spec.storage,
            spec.readiness_path,
            spec.shared_memory_mib,
        ]
        parts += [part for part in (spec.security, spec.readiness) if part is not None]
        return hashlib.sha256(json.dumps(to_dict(parts), sort_keys=True).encode()).hexdigest()[:10]

    @property
    def minimum(self) -> int:
        """Members with which a gang starts: all, unless it is elastic."""
        return self.spec.min_replicas or self.completions

    @property
    def counts_requests(self) -> bool:
        """Whether it scales by its requests: these then come through the activator, which counts them."""
        scaling = self.spec.autoscaling
        return scaling is not None and scaling.metric in ("concurrency", "throughput") and bool(self.spec.ports)

    @property
    def replicas(self) -> int:
        """Pods that an inference workload should have now."""
        scaling = self.spec.autoscaling
        if scaling is None:
            return 1
        wanted = self.status.replicas if self.status.replicas is not None else max(1, scaling.min_replicas)
        return max(scaling.min_replicas, min(wanted, scaling.max_replicas))

    @property
    def completions(self) -> int:
        """Pods that must succeed, or of a gang and of services: pods that must run."""
        if self.spec.type == "inference" and self.spec.workers is None:
            return self.replicas
        if self.spec.workers is not None:
            return self.spec.workers
        return self.spec.completions or self.spec.parallelism or 1

    @property
    def parallelism(self) -> int:
        if self.gang:
            return self.completions
        if self.spec.type == "inference":
            return self.completions
        return min(self.spec.parallelism or 1, self.completions)

    @property
    def priority_class(self) -> str:
        return self.spec.priority_class or _PRIORITY_BY_TYPE.get(self.spec.type, DEFAULT_PRIORITY_CLASS)

    @property
    def preemptibility(self) -> str:
        if self.spec.preemptibility:
            return self.spec.preemptibility
        return "preemptible" if PRIORITIES.get(self.priority_class, 50) < 100 else "non-preemptible"

    @property
    def pools(self) -> tuple[str, ...]:
        """Pools to try, in order."""
        defaults = self.project.spec.default_node_pools if self.project else ()
        return self.spec.node_pools or defaults or (names.DEFAULT_NODE_POOL,)

    @property
    def pool_label(self) -> str:
        """Key of the node label that names the pool."""
        return self.cluster.node_pool_label_key

    @property
    def node_types(self) -> tuple[str, ...]:
        """Types of nodes that the project allows for it; empty: all."""
        types = self.project.spec.node_types if self.project else None
        return types.of(self.spec.type) if types else ()

    @property
    def rules(self) -> AppliedRules:
        """The project's limits for it: those of its first moment, whatever the project says later."""
        if self.status.rules is not None:
            return self.status.rules
        rules = self.project.spec.scheduling_rules if self.project else None
        return applied_rules(rules, self.spec.type, self.preemptibility == "preemptible")

    @property
    def pool(self) -> str:
        """The pool to make pods for now."""
        return self.status.node_pool if self.status.node_pool in self.pools else self.pools[0]


def shares_gpu(compute: Compute) -> bool:
    return compute.gpu_portion_milli is not None or compute.gpu_memory_mib is not None


_PRIORITY_BY_TYPE = {"workspace": "build", "inference": "inference"}


def read_workload(
    obj: Mapping[str, Any], project: ProjectView | None, cluster: ClusterConfig = _DEFAULT_CONFIG
) -> WorkloadView:
    """The view of a manifest. Never raises: what cannot be read is in ``errors``."""
    meta = obj["metadata"]
    spec, errors = _spec(obj.get("spec"))
    labels = meta.get("labels") or {}
    return WorkloadView(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        id=labels.get(names.WORKLOAD_ID) or meta["uid"],
        generation=int(meta.get("generation") or 0),
        created_at=moment(meta.get("creationTimestamp")),
        deleting=bool(meta.get("deletionTimestamp")),
        managed=labels.get(names.MANAGED_BY) == names.MANAGED_BY_CONTROL_PLANE,
        spec=spec,
        status=_status(obj.get("status")),
        errors=errors,
        project=project,
        load=read_load(meta.get("annotations") or {}),
        cluster=cluster,
        submitted_by=(meta.get("annotations") or {}).get(names.SUBMITTED_BY) or labels.get(names.SUBMITTED_BY) or "",
    )


def _spec(data: object) -> tuple[WorkloadSpec, tuple[str, ...]]:
    try:
        spec = from_dict(WorkloadSpec, data)
    except (ValueError, TypeError) as error:
        return WorkloadSpec(type="training", image=""), (f"spec: {error}",)
    return spec, tuple(problems(spec))


def _status(data: object) -> WorkloadStatus:
    """The status last written; a status that cannot be read is as good as none, everything in it is found again."""
    try:
        return from_dict(WorkloadStatus, data or {})
    except (ValueError, TypeError):
        return WorkloadStatus()


def problems(spec: WorkloadSpec) -> list[str]:
    """Every mistake in a spec: field, what was given, what is allowed. Empty for a spec that can run."""
    found: list[str] = []
    if spec.type not in WORKLOAD_TYPES:
        found.append(f"spec.type: {spec.type!r} given, allowed are {', '.join(WORKLOAD_TYPES)}")
    if not _IMAGE.fullmatch(spec.image):
        found.append(f"spec.image: {spec.image!r} is not an image reference")
    counts = (
        ("workers", spec.workers, 1),
        ("completions", spec.completions, 1),
        ("parallelism", spec.parallelism, 1),
        ("backoffLimit", spec.backoff_limit, 0),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished, 0),
        ("terminationGracePeriodSeconds", spec.termination_grace_period_seconds, 0),
    )
    found += too_small("spec", counts)
    for name, value in (("workers", spec.workers), ("parallelism", spec.parallelism)):
        if value is not None and value > MAX_PODS:
            found.append(f"spec.{name}: {value} given, at most {MAX_PODS} are allowed")
    if spec.framework is not None and spec.framework.lower() not in FRAMEWORKS:
        found.append(f"spec.framework: {spec.framework!r} given, allowed are {', '.join(FRAMEWORKS)}")
    size = sum(len(text.encode()) for text in (*spec.command, *spec.args))
    if size > MAX_COMMAND:
        found.append(
            f"spec.command: {size} bytes with its arguments, at most {MAX_COMMAND} are allowed; mount a script"
        )
    if spec.workers is not None and (spec.completions is not None or spec.parallelism is not None):
        found.append("spec.workers: a gang has no completions or parallelism; give one or the other")
    if spec.restart_policy not in (None, "Always", "OnFailure", "Never"):
        found.append(f"spec.restartPolicy: {spec.restart_policy!r} given, allowed are Always, OnFailure, Never")
    if spec.preemptibility not in (None, "preemptible", "non-preemptible"):
        found.append(f"spec.preemptibility: {spec.preemptibility!r} given, allowed are preemptible, non-preemptible")
    if spec.priority_class is not None and spec.priority_class not in PRIORITIES:
        found.append(f"spec.priorityClass: {spec.priority_class!r} given, allowed are {', '.join(PRIORITIES)}")
    found += environment_problems(spec.environment, "spec.environment")
    return found + _compute_problems(spec.compute) + problems_of_parts(spec, _compute_problems)


def _compute_problems(compute: Compute, where: str = "spec.compute") -> list[str]:
    amounts = (
        ("gpuDevices", compute.gpu_devices, 0),
        ("cpuMilli", compute.cpu_milli, 0),
        ("cpuLimitMilli", compute.cpu_limit_milli, 0),
        ("memoryBytes", compute.memory_bytes, 0),
        ("memoryLimitBytes", compute.memory_limit_bytes, 0),
        ("gpuMemoryMib", compute.gpu_memory_mib, 1),
    )
    found = too_small(where, amounts)
    portion, memory = compute.gpu_portion_milli, compute.gpu_memory_mib
    if portion is not None and not 1 <= portion <= 999:
        found.append(f"{where}.gpuPortionMilli: {portion} given, must be 1 to 999 (a whole device leaves it out)")
    if portion is not None and memory is not None:
        found.append(f"{where}.gpuMemoryMib: give a portion of each device or its memory, not both")
    found += limit_problems(compute, where)
    for resource, count in (compute.extended_resources or {}).items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            found.append(
                f"{where}.extendedResources[{resource}]: {count!r} given, must be a whole number of at least 0"
            )
        elif "/" not in resource or resource == names.GPU_RESOURCE:
            found.append(f"{where}.extendedResources: {resource!r} given, needed is a name such as vendor.com/device")
    for name, request, limit in (
        ("cpuLimitMilli", compute.cpu_milli, compute.cpu_limit_milli),
        ("memoryLimitBytes", compute.memory_bytes, compute.memory_limit_bytes),
    ):
        if request is not None and limit is not None and limit < request:
            found.append(f"{where}.{name}: {limit} given, below the request of {request}")
    return found
