"""What a person asked for, exactly as asked: the one value that form, REST, YAML and clone all end in.

Amounts stay text (``gpu_portion="1.5"``), so that an error can repeat what was given: ``validate``
judges and ``compile`` reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.wire import codec
from agent.wire.objects import Autoscaling, EnvVar, Mount, Port, Probe, RoleSpec, Security, Toleration
from workloads.specs.problems import Problem, SpecError
from workloads.specs.quantities import number

TRAINING, WORKSPACE, DISTRIBUTED, INFERENCE = "training", "workspace", "distributed", "inference"

SOURCE_CONSOLE, SOURCE_CLI, SOURCE_OTHER = "Control-plane", "CLI", "Other"


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    name: str
    project_id: str
    """The project's id: digits as text."""
    image: str
    cluster_id: str | None = None
    """UUID. Optional: the project knows its cluster; a different one is an error."""
    type: str = TRAINING
    name_is_prefix: bool = False
    """The server appends a dash and random characters to ``name``."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    environment: tuple[EnvVar, ...] = ()
    image_pull_policy: str | None = None
    gpu_devices: str | None = None
    """Whole devices of one pod; with a portion or memory, that much of each of them."""
    gpu_portion: str | None = None
    gpu_memory: str | None = None
    gpu_portion_limit: str | None = None
    """What it may use of each device while nobody else needs it; at least the portion."""
    gpu_memory_limit: str | None = None
    extended_resources: dict[str, int] | None = None
    """Other countable resources of a pod by name, such as MIG slices."""
    cpu: str | None = None
    cpu_limit: str | None = None
    memory: str | None = None
    memory_limit: str | None = None
    workers: int | None = None
    """Pods of a gang (distributed): all start or none."""
    framework: str | None = None
    completions: int | None = None
    parallelism: int | None = None
    node_pools: tuple[str, ...] = ()
    node_type: str | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str | None = None
    preemptibility: str | None = None
    category: str | None = None
    restart_policy: str | None = None
    backoff_limit: int | None = None
    ttl_seconds_after_finished: int | None = None
    termination_grace_period_seconds: int | None = None
    master: RoleSpec | None = None
    min_replicas: int | None = None
    slots_per_worker: int | None = None
    ssh_auth_mount_path: str | None = None
    clean_pod_policy: str | None = None
    ports: tuple[Port, ...] = ()
    storage: tuple[Mount, ...] = ()
    autoscaling: Autoscaling | None = None
    time_limit_seconds: int | None = None
    idle_gpu_limit_seconds: int | None = None
    image_pull_secrets: tuple[str, ...] = ()
    shared_memory_mib: int | None = None
    readiness_path: str | None = None
    readiness: Probe | None = None
    security: Security | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


PARTS = (
    "master",
    "min_replicas",
    "slots_per_worker",
    "ssh_auth_mount_path",
    "clean_pod_policy",
    "ports",
    "storage",
    "autoscaling",
    "time_limit_seconds",
    "idle_gpu_limit_seconds",
    "image_pull_secrets",
    "shared_memory_mib",
    "readiness_path",
    "readiness",
    "security",
)
"""Fields that go to the cluster as they are; the cluster's own rules judge them."""


def to_json(request: SubmitRequest) -> dict[str, object]:
    """As stored beside the compiled spec; absent fields are left out."""
    return codec.to_dict(request)  # type: ignore[no-any-return]


def from_json(data: dict[str, object]) -> SubmitRequest:
    """The inverse of ``to_json``. Raises ``ValueError`` for data of another shape."""
    return codec.from_dict(SubmitRequest, data)


def split_gpus(text: str) -> tuple[str | None, str | None]:
    """One number of GPUs, as a form or a flag takes it → ``(gpu_devices, gpu_portion)``.

    ``2`` is two devices, ``0.5`` is half of one. Raises ``SpecError`` on ``gpu_devices`` for everything between.
    """
    text = text.strip()
    if not text:
        return None, None
    allowed = "a whole number of devices (2) or a part of one device (0.5)"
    try:
        value = number(text)
    except ValueError:
        raise SpecError([Problem("gpu_devices", text, allowed)])
    if value == value.to_integral_value():
        return str(int(value)), None
    if 0 < value < 1:
        return "1", text
    if value > 1:
        devices = math.ceil(value)
        allowed += f"; for {text} in all, ask for {devices} devices and a portion of each"
    raise SpecError([Problem("gpu_devices", text, allowed)])
