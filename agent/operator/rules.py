"""Mistakes in ports, mounts, replicas and roles of a workload's spec: field, what was given, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.operator import security
from agent.operator.bounds import too_small
from agent.wire.objects import (
    ACCESS_MODES,
    CLEAN_POD_POLICIES,
    METRICS,
    MOUNT_KINDS,
    SERVICE_TYPES,
    Compute,
    EnvVar,
    Mount,
    WorkloadSpec,
)

_ENV = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_NEEDS = {
    "pvc": ("name",),
    "configMap": ("name",),
    "secret": ("name",),
    "hostPath": ("source",),
    "nfs": ("server", "source"),
    "git": ("source",),
    "s3": ("source",),
}


def problems_of_parts(spec: WorkloadSpec, compute_problems: Callable[[Compute, str], list[str]]) -> list[str]:
    """Everything beyond the plain fields. ``compute_problems(compute, where)`` judges the master's own request."""
    found = _replicas(spec) + _ports(spec) + _storage(spec) + _limits(spec) + _ssh(spec) + _pull_secrets(spec)
    found += security.problems(spec)
    if spec.master is not None:
        if spec.workers is None:
            found.append("spec.master: only a distributed workload has a master")
        found += environment_problems(spec.master.environment, "spec.master.environment")
        if spec.master.compute is not None:
            found += compute_problems(spec.master.compute, "spec.master.compute")
    return found


def _ssh(spec: WorkloadSpec) -> list[str]:
    path = spec.ssh_auth_mount_path
    if path is None:
        return []
    found = []
    if (spec.framework or "").lower() != "mpi" or (spec.workers or 0) < 2:
        found.append("spec.sshAuthMountPath: only an MPI workload of at least 2 workers has a launcher that uses ssh")
    if not path.startswith("/") or not path.strip("/") or any(sign in path for sign in ':"\n'):
        found.append(
            f"spec.sshAuthMountPath: {path!r} given, needed is an absolute path, such as that of the user's .ssh"
        )
    return found


def _pull_secrets(spec: WorkloadSpec) -> list[str]:
    """The API server takes any name, and no image would be pulled with it."""
    return [
        f"spec.imagePullSecrets[{index}]: {name!r} given, needed is the name of a Secret of the namespace, each once"
        for index, name in enumerate(spec.image_pull_secrets)
        if len(name) > 253 or not _OBJECT_NAME.fullmatch(name) or name in spec.image_pull_secrets[:index]
    ]


def environment_problems(variables: tuple[EnvVar, ...], where: str) -> list[str]:
    found, seen = [], set()
    for index, variable in enumerate(variables):
        field = f"{where}[{index}]"
        if not _ENV.fullmatch(variable.name):
            found.append(f"{field}.name: {variable.name!r} is not a name of a variable")
        elif variable.name in seen:
            found.append(f"{field}.name: {variable.name!r} is given twice")
        seen.add(variable.name)
        if (variable.secret or variable.config_map) and not variable.key:
            found.append(f"{field}.key: needed to take a value from a Secret or ConfigMap")
        if (
            sum(1 for source in (variable.secret, variable.config_map, variable.field_path, variable.value) if source)
            > 1
        ):
            found.append(f"{field}: give one of value, secret, configMap and fieldPath")
    return found


def _replicas(spec: WorkloadSpec) -> list[str]:
    found = []
    if spec.min_replicas is not None and spec.workers is None:
        found.append("spec.minReplicas: only a distributed workload is elastic; give workers, its maximum")
    elif spec.min_replicas is not None and spec.workers is not None and not 1 <= spec.min_replicas <= spec.workers:
        found.append(f"spec.minReplicas: {spec.min_replicas} given, must be from 1 to workers, {spec.workers}")
    scaling = spec.autoscaling
    if scaling is None:
        return found
    if spec.type != "inference":
        found.append(f"spec.autoscaling: {spec.type} workloads do not scale; only inference does")
    if scaling.min_replicas < 0:
        found.append(f"spec.autoscaling.minReplicas: {scaling.min_replicas} given, must be at least 0")
    if scaling.max_replicas < max(1, scaling.min_replicas):
        least = max(1, scaling.min_replicas)
        found.append(f"spec.autoscaling.maxReplicas: {scaling.max_replicas} given, must be at least {least}")
    if scaling.threshold < 1:
        found.append(f"spec.autoscaling.threshold: {scaling.threshold} given, must be at least 1")
    if scaling.metric is not None and scaling.metric not in METRICS:
        found.append(f"spec.autoscaling.metric: {scaling.metric!r} given, allowed are {', '.join(METRICS)}")
    if scaling.metric is None and scaling.max_replicas > max(1, scaling.min_replicas):
        found.append(f"spec.autoscaling.metric: missing; to scale, name one of {', '.join(METRICS)}")
    if scaling.metric in ("concurrency", "throughput") and not spec.ports:
        found.append(f"spec.ports: missing; {scaling.metric} is counted at the first port")
    if scaling.min_replicas == 0 and scaling.metric == "gpu-utilization":
        found.append("spec.autoscaling.minReplicas: 0 given; scaling to zero needs concurrency or throughput")
    return found


def _ports(spec: WorkloadSpec) -> list[str]:
    found, inside, outside, named = [], set(), set(), set()
    for index, port in enumerate(spec.ports):
        field = f"spec.ports[{index}]"
        if not 1 <= port.container <= 65535:
            found.append(f"{field}.container: {port.container} given, allowed is 1 to 65535")
        if port.container in inside:
            found.append(f"{field}.container: {port.container} is given twice")
        if port.service_type not in SERVICE_TYPES:
            found.append(f"{field}.serviceType: {port.service_type!r} given, allowed are {', '.join(SERVICE_TYPES)}")
        external = port.external if port.external is not None else port.container
        if external in outside and port.container not in inside:
            found.append(f"{field}.external: {external} is given twice")
        if port.service_type == "NodePort" and port.external is not None and not 30000 <= port.external <= 32767:
            found.append(f"{field}.external: {port.external} given, a node port is from 30000 to 32767")
        if port.name is not None and (not _PORT_NAME.fullmatch(port.name) or port.name in named):
            found.append(
                f"{field}.name: {port.name!r} given, needed are lowercase letters, digits and dashes, each once"
            )
        inside.add(port.container)
        outside.add(external)
        named.add(port.name)
    return found


def _storage(spec: WorkloadSpec) -> list[str]:
    found, paths = [], set()
    for index, mount in enumerate(spec.storage):
        field = f"spec.storage[{index}]"
        if mount.kind not in MOUNT_KINDS:
            found.append(f"{field}.kind: {mount.kind!r} given, allowed are {', '.join(MOUNT_KINDS)}")
        if not mount.path.startswith("/") or ":" in mount.path:
            found.append(f"{field}.path: {mount.path!r} given, needed is an absolute path without a colon")
        if mount.path in paths:
            found.append(f"{field}.path: {mount.path!r} is given twice")
        paths.add(mount.path)
        found += [f"{field}.{name}: needed for {mount.kind}" for name in _missing(mount)]
        found += _new_claim(mount, field)
        if mount.kind == "hostPath" and ".." in (mount.source or "").split("/"):
            found.append(f"{field}.source: {mount.source!r} given, must not contain '..'")
        if mount.kind == "git" and (mount.source or "").startswith("-"):
            found.append(f"{field}.source: {mount.source!r} given, needed is the URL of a repository")
    return found


def _new_claim(mount: Mount, where: str) -> list[str]:
    """Mistakes in a claim that is to be made: field, what was given, what is allowed."""
    claim = mount.claim
    if claim is None:
        return []
    found = []
    if mount.kind != "pvc":
        found.append(f"{where}.claim: only a mount of kind pvc has one, {mount.kind!r} given")
    if claim.size_mib < 1:
        found.append(f"{where}.claim.sizeMib: {claim.size_mib} given, must be at least 1")
    if claim.ephemeral and mount.name:
        found.append(f"{where}.name: {mount.name!r} given for an ephemeral claim, which is the workload's own")
    if not claim.access_modes or not set(claim.access_modes) <= set(ACCESS_MODES):
        given = ", ".join(claim.access_modes)
        found.append(f"{where}.claim.accessModes: {given!r} given, allowed are {', '.join(ACCESS_MODES)}")
    return found


def _missing(mount: Mount) -> list[str]:
    if mount.kind == "pvc" and mount.claim is not None:  # it gets a name of its own
        return []
    return [name for name in _NEEDS.get(mount.kind, ()) if not getattr(mount, name)]


def _limits(spec: WorkloadSpec) -> list[str]:
    bounds = (
        ("slotsPerWorker", spec.slots_per_worker, 1),
        ("timeLimitSeconds", spec.time_limit_seconds, 1),
        ("idleGpuLimitSeconds", spec.idle_gpu_limit_seconds, 1),
        ("sharedMemoryMib", spec.shared_memory_mib, 1),
    )
    found = too_small("spec", bounds)
    if spec.clean_pod_policy not in (None, *CLEAN_POD_POLICIES):
        allowed = ", ".join(CLEAN_POD_POLICIES)
        found.append(f"spec.cleanPodPolicy: {spec.clean_pod_policy!r} given, allowed are {allowed}")
    if spec.readiness_path is not None and not (spec.readiness_path.startswith("/") and spec.ports):
        found.append(f"spec.readinessPath: {spec.readiness_path!r} given, needed are a path from / on and a port")
    return found


def limit_problems(compute: Compute, where: str) -> list[str]:
    """Mistakes in what a pod may use of a device beyond its request."""
    found = []
    for unit, request, limit, most in (
        ("PortionLimitMilli", compute.gpu_portion_milli, compute.gpu_portion_limit_milli, 1000),
        ("MemoryLimitMib", compute.gpu_memory_mib, compute.gpu_memory_limit_mib, None),
    ):
        if limit is None:
            continue
        field = f"{where}.gpu{unit}"
        if request is None:
            found.append(f"{field}: {limit} given without a request of the same kind")
        elif limit < request:
            found.append(f"{field}: {limit} given, below the request of {request}")
        elif most is not None and limit > most:
            found.append(f"{field}: {limit} given, at most {most} are allowed")
    return found
