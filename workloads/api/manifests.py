"""``/api/v2/workloads`` of the contract: a whole manifest of the kind ``Workload``, with every field that the cluster
takes, whatever the routes of a type carry."""

import base64
import binascii
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from agent.wire.codec import camel
from agent.wire.objects import GROUP_VERSION
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.renderers import timestamp
from tenants.context import current_tenant
from workloads.api.lists import workload_of
from workloads.api.native import source_of
from workloads.models import DesiredPhase, Workload
from workloads.services import (
    delete_workload,
    delivery,
    replace_workload,
    request_of_yaml,
    submit_workload,
    workload_yaml,
)
from workloads.services.rows import document, spec_of
from workloads.specs.manifest import KIND, plain_manifest
from workloads.specs.request import SubmitRequest

Json = dict[str, Any]
_METADATA = {"name": "metadata.name", "project_id": "metadata.projectId", "cluster_id": "metadata.clusterId"}
_COMPUTE = {
    "gpu_devices": "gpuDevices",
    "gpu_portion": "gpuPortionMilli",
    "gpu_memory": "gpuMemoryMib",
    "gpu_portion_limit": "gpuPortionLimitMilli",
    "gpu_memory_limit": "gpuMemoryLimitMib",
    "extended_resources": "extendedResources",
    "cpu": "cpuMilli",
    "cpu_limit": "cpuLimitMilli",
    "memory": "memoryBytes",
    "memory_limit": "memoryLimitBytes",
}


class ManifestListView(ApiView):
    allow = {"POST": Action.WORKLOAD_CREATE}

    def post(self, request: Request) -> Response:
        data = body(request)
        asked = _metadata(data)
        project = str(asked["projectId"]) if asked.get("projectId") not in (None, "") else None
        text = _manifest(data)
        try:
            wanted = request_of_yaml(actor=self.actor, text=text, project_id=project)
            workload = submit_workload(actor=self.actor, request=_named(wanted, asked), source=source_of(request))
        except Invalid as error:
            raise Invalid(*(replace(item, field=path_of(item.field)) for item in error.fields)) from error
        return Response(_shape(workload), status=202)


class ManifestView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW, "PUT": Action.WORKLOAD_UPDATE, "DELETE": Action.WORKLOAD_DELETE}

    def get(self, request: Request, workload_id: UUID) -> Response:
        workload = workload_of(self.actor, workload_id)
        return Response({"workload": _shape(workload), "syncInfo": _sync(workload)})

    def put(self, request: Request, workload_id: UUID) -> Response:
        """Another manifest, or another priority or category of the one it has."""
        workload, data = workload_of(self.actor, workload_id), body(request)
        asked = _changes(data)
        try:
            changed = self._change(workload, data, asked)
        except Invalid as error:
            raise Invalid(*(replace(item, field=path_of(item.field)) for item in error.fields)) from error
        return Response(_shape(changed), status=202)

    @transaction.atomic
    def _change(self, workload: Workload, data: Json, asked: Json) -> Workload:
        """What the call leaves out is as the locked row has it: a change made meanwhile is not taken back."""
        row: Workload = Workload.objects.with_names().select_for_update(of=("self",)).get(pk=workload.pk)
        text = _manifest(data) if _has_manifest(data) else workload_yaml(row)
        wanted = request_of_yaml(actor=self.actor, text=text, project_id=str(row.project_id))
        wanted = replace(
            wanted,
            priority_class=asked.get("priority") or wanted.priority_class,
            category=asked.get("category") or wanted.category or row.category,
        )
        return replace_workload(actor=self.actor, workload=row, request=wanted)

    def delete(self, request: Request, workload_id: UUID) -> Response:
        workload = workload_of(self.actor, workload_id)
        delete_workload(actor=self.actor, workload=workload)
        return Response(_shape(workload_of(self.actor, workload_id)), status=202)


def _has_manifest(data: Json) -> bool:
    return data.get("manifest") is not None or data.get("manifestBase64Encoded") is not None


def _changes(data: Json) -> Json:
    """Raises ``Invalid`` for metadata of the wrong shape, and for what would be another workload."""
    found = data.get("metadata") or {}
    if not isinstance(found, dict):
        raise Invalid(FieldError("metadata", "must be an object with priority or category", found))
    for key, value in found.items():
        if key not in ("priority", "category"):
            raise Invalid(FieldError(f"metadata.{key}", "cannot change; allowed are priority, category", None))
        if not isinstance(value, (str, type(None))):
            raise Invalid(FieldError(f"metadata.{key}", "must be text", value))
    return found


def path_of(field: str) -> str:
    """A request's attribute, with an index perhaps, as the caller wrote it."""
    name, bracket, rest = field.partition("[")
    if name == "manifest":
        return field
    if name in _METADATA:
        return _METADATA[name]
    inner = f"compute.{_COMPUTE[name]}" if name in _COMPUTE else camel(name)
    return f"manifest.spec.{inner}{bracket}{rest}"


def _metadata(data: Json) -> Json:
    """Raises ``Invalid`` for metadata of the wrong shape."""
    found = data.get("metadata")
    if not isinstance(found, dict):
        raise Invalid(FieldError("metadata", "must be an object with projectId, and name where it differs", found))
    for key in ("name", "clusterId", "priority", "category", "preemptibility"):
        if not isinstance(found.get(key), (str, type(None))):
            raise Invalid(FieldError(f"metadata.{key}", "must be text", found[key]))
    return found


def _manifest(data: Json) -> str:
    """The manifest as text; JSON is YAML. Raises ``Invalid`` unless exactly one form of it is given."""
    given, encoded = data.get("manifest"), data.get("manifestBase64Encoded")
    if (given is None) == (encoded is None):
        raise Invalid(FieldError("manifest", "give either manifest or manifestBase64Encoded", None))
    if encoded is None:
        return json.dumps(given)
    try:
        return base64.b64decode(str(encoded), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Invalid(FieldError("manifestBase64Encoded", "must be base64 of YAML in UTF-8", None)) from error


def _named(wanted: SubmitRequest, asked: Json) -> SubmitRequest:
    """What the metadata of the call says wins over the manifest."""
    return replace(
        wanted,
        name=asked.get("name") or wanted.name,
        name_is_prefix=asked.get("useGivenNameAsPrefix") is True,
        cluster_id=asked.get("clusterId") or wanted.cluster_id,
        priority_class=asked.get("priority") or wanted.priority_class,
        category=asked.get("category") or wanted.category,
        preemptibility=asked.get("preemptibility") or wanted.preemptibility,
    )


def _shape(row: Workload) -> Json:
    """``WorkloadV2``. Names must be joined: ``with_names()``."""
    group, _, version = GROUP_VERSION.partition("/")
    spec = spec_of(row)
    metadata = {
        "id": str(row.pk),
        "name": row.name,
        "projectId": str(row.project_id),
        "projectName": row.project.name,
        "departmentId": str(row.project.department_id),
        "departmentName": row.project.department.name,
        "clusterId": str(row.cluster_id),
        "tenantId": current_tenant().pk,
        "gvk": {"group": group, "version": version, "kind": KIND},
        "priority": row.priority_class or None,
        "category": row.category or None,
        "preemptibility": "preemptible" if row.preemptible else "non-preemptible",
        "createdAt": timestamp(row.created_at),
        "createdBy": row.submitted_by,
        "updatedAt": timestamp(row.updated_at),
        "updatedBy": row.submitted_by,
        "deletedAt": timestamp(row.deleted_at),
    }
    return {
        "metadata": {key: value for key, value in metadata.items() if value is not None},
        "desiredPhase": row.desired_phase,
        "workloadManifest": document(row, spec),
        "rawManifest": plain_manifest(spec, object_name=row.name, namespace=row.project.namespace),
    }


def _sync(row: Workload) -> Json:
    """How far the cluster is with it."""
    found = delivery(row)
    if row.desired_phase == DesiredPhase.DELETED:
        status = "Deleted" if row.deleted_at else "Deleting"
    elif found.taken:
        status = "Synced"
    else:
        status = "Failed" if found.refused else "Queued"
    return {"status": status, **({"message": found.message} if found.message else {})}
