"""A ``Workload`` manifest as a REST request: read the YAML, say what is wrong with it, translate.

Pure but for reading the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.wire.codec import from_dict
from agent.wire.labels import DEFAULT_NODE_POOL, PROJECT_NAMESPACE_PREFIX, SIMULATED_NODE_POOL
from agent.wire.objects import GROUP_VERSION, WorkloadSpec


class BadManifest(ValueError):
    """Not a workload; the text names the field, what was given and what is allowed."""


@dataclass(frozen=True)
class Manifest:
    name: str
    project: str
    spec: WorkloadSpec
    body: dict[str, Any]
    """The manifest as it stands in the file."""

    @property
    def endless(self) -> bool:
        """It runs until somebody ends it: its right state is Running."""
        return self.spec.type in ("workspace", "inference")

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
    return Manifest(name, namespace.removeprefix(PROJECT_NAMESPACE_PREFIX), spec, found)


def request(manifest: Manifest, *, name: str, project_id: str, cluster_id: str) -> tuple[str, dict[str, Any]]:
    """Path and body of the POST that submits it under ``name``: the whole manifest, every field of it."""
    metadata = {"name": name, "projectId": project_id, "clusterId": cluster_id}
    return "/api/v2/workloads", {"metadata": metadata, "manifest": manifest.body}
