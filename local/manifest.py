"""A ``Workload`` manifest as a REST request: read the YAML, say what is wrong with it, translate.

Pure but for reading the file.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.wire.codec import from_dict
from agent.wire.labels import DEFAULT_NODE_POOL, PROJECT_NAMESPACE_PREFIX, SIMULATED_NODE_POOL
from agent.wire.objects import GROUP_VERSION, Compute, WorkloadSpec


class BadManifest(ValueError):
    """Not a workload; the text names the field, what was given and what is allowed."""


@dataclass(frozen=True)
class Manifest:
    name: str
    project: str
    spec: WorkloadSpec

    @property
    def needs_a_real_node(self) -> bool:
        """True unless it asks for simulated nodes only: there nothing really runs."""
        return set(self.spec.node_pools or (DEFAULT_NODE_POOL,)) != {SIMULATED_NODE_POOL}


def read(path: Path) -> Manifest:
    """Raises ``BadManifest``; ``OSError`` when the file cannot be read."""
    try:
        documents = [item for item in yaml.safe_load_all(path.read_text()) if item is not None]
    except yaml.YAMLError as error:
        raise BadManifest(f"{path}: not YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise BadManifest(f"{path}: expected one YAML object, got {len(documents)}")
    found = documents[0]
    if (found.get("apiVersion"), found.get("kind")) != (GROUP_VERSION, "Workload"):
        raise BadManifest(f"{path}: expected kind Workload of {GROUP_VERSION}, got {found.get('kind')!r}")
    metadata = found.get("metadata") or {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not isinstance(name, str):
        raise BadManifest(f"{path}: metadata.name is missing")
    if not isinstance(namespace, str) or not namespace.startswith(PROJECT_NAMESPACE_PREFIX):
        raise BadManifest(f"{path}: metadata.namespace is {namespace!r}; expected {PROJECT_NAMESPACE_PREFIX}<project>")
    try:
        spec = from_dict(WorkloadSpec, found.get("spec"))
    except ValueError as error:
        raise BadManifest(f"{path}: {error}") from error
    return Manifest(name, namespace.removeprefix(PROJECT_NAMESPACE_PREFIX), spec)


def request(manifest: Manifest, *, name: str, project_id: str, cluster_id: str) -> tuple[str, dict[str, Any]]:
    """Path below ``/api/v1`` and body of the POST that submits it under ``name``."""
    spec = manifest.spec
    optional: dict[str, Any] = {
        "command": shlex.join(spec.command) or None,
        "args": shlex.join(spec.args) or None,
        "workingDir": spec.working_dir,
        "imagePullPolicy": spec.image_pull_policy,
        "environmentVariables": [{"name": one.name, "value": one.value} for one in spec.environment] or None,
        "nodePools": list(spec.node_pools) or None,
        "nodeType": spec.node_type,
        "priorityClass": spec.priority_class,
        "preemptibility": spec.preemptibility,
        "backoffLimit": spec.backoff_limit,
        "restartPolicy": spec.restart_policy,
        "completions": spec.completions,
        "parallelism": spec.parallelism,
        "autoDeletionTimeAfterCompletionSeconds": spec.ttl_seconds_after_finished,
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
        "numWorkers": spec.workers,
        "distributedFramework": spec.framework,
    }
    body = {"image": spec.image, "compute": _compute(spec.compute)}
    body |= {key: value for key, value in optional.items() if value is not None}
    kind = {"distributed": "distributed", "workspace": "workspaces"}.get(spec.type, "trainings")
    return f"/workloads/{kind}", {"name": name, "projectId": project_id, "clusterId": cluster_id, "spec": body}


def _compute(compute: Compute) -> dict[str, Any]:
    """The REST contract's units: devices, portions and cores as numbers, memory as text."""
    body: dict[str, Any] = {"gpuDevicesRequest": compute.gpu_devices} if compute.gpu_devices else {}
    if compute.gpu_portion_milli is not None:
        body |= {"gpuRequestType": "portion", "gpuPortionRequest": compute.gpu_portion_milli / 1000}
    if compute.gpu_memory_mib is not None:
        body |= {"gpuRequestType": "memory", "gpuMemoryRequest": f"{compute.gpu_memory_mib}Mi"}
    for name, milli in (("cpuCoreRequest", compute.cpu_milli), ("cpuCoreLimit", compute.cpu_limit_milli)):
        if milli is not None:
            body[name] = milli / 1000
    memory = (("cpuMemoryRequest", compute.memory_bytes), ("cpuMemoryLimit", compute.memory_limit_bytes))
    return body | {name: str(amount) for name, amount in memory if amount is not None}
