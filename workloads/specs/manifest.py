"""A ``Workload`` as YAML: read one that a person wrote, write the one that goes to the cluster."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import yaml

from agent.wire import codec, labels
from agent.wire.objects import GROUP_VERSION, Compute, WorkloadSpec
from workloads.specs.compile import request_from_spec
from workloads.specs.problems import Problem, SpecError, shown
from workloads.specs.request import SubmitRequest

KIND = "Workload"
FIELD = "manifest"
ALLOWED = f"one YAML object of kind {KIND}, apiVersion {GROUP_VERSION}, with metadata.name and spec.image"
MAX_CHARACTERS = 64 * 1024


def read_manifest(text: str, *, project_id: str, cluster_id: str | None) -> SubmitRequest:
    """The request in a manifest, for the given project; what it asks is judged later, like any request.

    Raises ``SpecError`` on field ``manifest`` for YAML that is not a workload.
    """
    body = _load(text)
    kind, version = body.get("kind"), body.get("apiVersion")
    if kind != KIND or version != GROUP_VERSION:
        raise _error(f"kind {shown(kind or '')} of apiVersion {shown(version or '')}")
    metadata, spec = body.get("metadata"), body.get("spec")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str):
        raise _error("an object without metadata.name")
    if not isinstance(spec, dict):
        raise _error("an object without spec")
    if unknown := [*_unknown(WorkloadSpec, spec), *_unknown(Compute, spec.get("compute"), "compute.")]:
        raise _error(f"unknown fields of spec: {', '.join(unknown)}")
    try:
        compiled = codec.from_dict(WorkloadSpec, {"type": "training", **spec})
    except (ValueError, TypeError) as error:
        raise _error(str(error))
    return request_from_spec(compiled, name=name, project_id=project_id, cluster_id=cluster_id)


def _unknown(of: type, data: object, prefix: str = "") -> list[str]:
    """Fields that nobody would read: a mistyped one must not be dropped in silence."""
    known = {codec.camel(item.name) for item in fields(of)}
    return sorted(f"{prefix}{shown(str(key))}" for key in data if key not in known) if isinstance(data, dict) else []


def namespace_of(text: str) -> str | None:
    """``metadata.namespace`` of a manifest, if it names one. Raises ``SpecError`` as ``read_manifest``."""
    metadata = _load(text).get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    return namespace if isinstance(namespace, str) else None


def _load(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise _error(f"{len(text)} characters")
    try:
        documents = [item for item in yaml.safe_load_all(text) if item is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _error(_where(error))
    if len(documents) != 1:
        raise _error(f"{len(documents)} YAML documents")
    if not isinstance(documents[0], dict):
        raise _error(f"a YAML {type(documents[0]).__name__}")
    return documents[0]


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return "text that is not YAML"
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f"text that is not YAML: line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _error(given: str) -> SpecError:
    return SpecError([Problem(FIELD, given, ALLOWED)])


def workload_manifest(
    spec: WorkloadSpec,
    *,
    workload_id: str,
    object_name: str,
    namespace: str,
    project: str,
    cluster_id: str,
    submitted_by: str,
) -> dict[str, Any]:
    """The desired document of a workload: a whole manifest, applied by the agent as it stands."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": KIND,
        "metadata": {
            "name": object_name,
            "namespace": namespace,
            "labels": {
                labels.WORKLOAD_ID: workload_id,
                labels.PROJECT: project,
                labels.CLUSTER_ID: cluster_id,
                labels.MANAGED_BY: labels.MANAGED_BY_CONTROL_PLANE,
            },
            "annotations": {labels.SUBMITTED_BY: submitted_by},
        },
        "spec": codec.to_dict(spec),
    }


def plain_manifest(spec: WorkloadSpec, *, object_name: str, namespace: str) -> dict[str, Any]:
    """The same workload as a person would write it for kubectl: no ids, no owner."""
    # Not ``in ([], {}, False)``: 0 equals False, and 0 retries is another wish than the default's.
    said = {key: value for key, value in codec.to_dict(spec).items() if value is not False and value not in ([], {})}
    return {
        "apiVersion": GROUP_VERSION,
        "kind": KIND,
        "metadata": {"name": object_name, "namespace": namespace},
        "spec": said,
    }


def to_yaml(manifest: dict[str, Any]) -> str:
    """As people read it; escaped where a text holds line breaks that YAML would fold into spaces."""
    text = str(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    if any(character in text for character in "\x85\u2028\u2029"):
        return str(yaml.safe_dump(manifest, sort_keys=False))
    return text
