"""Rows of the workloads room as JSON of the public contract. Units there: devices, cores and quantities."""

import shlex
from typing import Any

from agent.wire.phases import Phase
from runai_cp.lib.renderers import timestamp
from workloads.models import DesiredPhase, Event, Pod, Workload
from workloads.services import HistoryRecord
from workloads.services.rows import spec_of
from workloads.specs.api_shapes import spec_json
from workloads.specs.compile import request_from_spec
from workloads.specs.phases import may_suspend
from workloads.specs.quantities import memory_text
from workloads.specs.request import SubmitRequest, from_json

ACCEPTED = {"code": 202, "message": "Request has been accepted."}
PENDING_REASONS = {"NonPreemptibleOverQuota", "OverLimit"}
Json = dict[str, Any]


def type_name(workload_type: str) -> str:
    return workload_type.title()


def workload(row: Workload, tenant_id: int) -> Json:
    """An item of the list. Names must be joined: ``Workload.objects.for_list()``."""
    return _identity(row, tenant_id) | _state(row) | _asked(row)


def _identity(row: Workload, tenant_id: int) -> Json:
    project = row.project
    return {
        "id": str(row.pk),
        "name": row.name,
        "type": type_name(row.type),
        "tenantId": tenant_id,
        "clusterId": str(row.cluster_id),
        "projectId": str(project.pk),
        "projectName": project.name,
        "departmentId": str(project.department_id),
        "departmentName": project.department.name,
        "namespace": project.namespace,
        "source": row.source,
        "submittedBy": row.submitted_by,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "completedAt": timestamp(row.completed_at),
        "deletedAt": timestamp(row.deleted_at),
    }


def _state(row: Workload) -> Json:
    return {
        "phase": row.phase,
        "phaseMessage": row.message,
        "phaseReason": row.reasons[0].get("code") if row.reasons else None,
        "phaseUpdatedAt": timestamp(row.phase_since),
        "k8sPhase": row.phase,
        "k8sPhaseUpdatedAt": timestamp(row.phase_since),
        "conditions": [],
        "runningPods": row.running_pods,
        "allocatedResources": {"gpu": row.allocated_gpu_milli / 1000},
        "currentNodePools": row.node_pools,
        "actionsSupport": {
            "delete": row.desired_phase != DesiredPhase.DELETED,
            "suspend": may_suspend(Phase(row.phase), row.desired_phase),
        },
    }


def _asked(row: Workload) -> Json:
    compute = row.spec.get("compute") or {}
    return {
        "priority": row.priority,
        "priorityClassName": row.priority_class,
        "preemptible": row.preemptible,
        "category": row.category,
        "distributedFramework": row.framework,
        "requestedPods": _pods(row),
        "workloadRequestedResources": _resources(
            compute, row.requested_gpu_milli, row.requested_cpu_milli, row.requested_memory_bytes
        ),
        "podsRequestedResources": _resources(
            compute, _pod_gpu_milli(compute), compute.get("cpuMilli"), compute.get("memoryBytes")
        ),
        "requestedNodePools": row.requested_node_pools,
        "images": [row.image],
        "command": shlex.join(row.spec.get("command") or []),
        "arguments": shlex.join(row.spec.get("args") or []),
    }


def workload_detail(row: Workload, tenant_id: int) -> Json:
    """The list's item with conditions, variables and the reasons why it waits."""
    variables = {item["name"]: item.get("value", "") for item in row.spec.get("environment") or []}
    return workload(row, tenant_id) | {
        "conditions": [_condition(item) for item in row.conditions],
        "environmentVariables": variables,
        "pendingSchedulingMessages": [
            {
                "nodePool": item.get("nodePool") or "default",
                "phaseReason": item["code"],
                "reason": item.get("message", ""),
                "userMessage": item.get("message", ""),
            }
            for item in row.reasons
            if item.get("code") in PENDING_REASONS
        ],
        "additionalFields": {
            "reasons": row.reasons,
            "failedAttempts": row.failed_attempts,
            "readyPods": row.ready_pods,
            "startedAt": timestamp(row.started_at),
            "managed": row.managed,
        },
    }


def native(row: Workload) -> Json:
    """The envelope of a training, workspace or distributed training, with the spec as asked."""
    request = request_of(row)
    return {
        "name": row.name,
        "requestedName": row.name,
        "workloadId": str(row.pk),
        "projectId": str(row.project_id),
        "departmentId": str(row.project.department_id),
        "clusterId": str(row.cluster_id),
        "createdBy": row.submitted_by,
        "createdAt": timestamp(row.created_at),
        "deletedAt": timestamp(row.deleted_at),
        "desiredPhase": row.desired_phase,
        "actualPhase": row.phase,
        "spec": spec_json(request),
    }


def request_of(row: Workload) -> SubmitRequest:
    """As asked, or as far as the spec that kubectl gave tells."""
    if row.request:
        return from_json(row.request)
    return request_from_spec(
        spec_of(row), name=row.name, project_id=str(row.project_id), cluster_id=str(row.cluster_id)
    )


def pod(row: Pod, tenant_id: int) -> Json:
    """A pod. Project and workload must be joined: ``Pod.objects.with_names()``."""
    shape = {
        "id": str(row.uid),
        "name": row.name,
        "priorityClassName": row.workload.priority_class if row.workload else "",
        "workloadId": str(row.workload_id),
        "workloadName": row.workload.name if row.workload else "",
        "clusterId": str(row.cluster_id),
        "nodeName": row.node or None,
        "createdAt": timestamp(row.created_at),
        "completedAt": timestamp(row.finished_at),
        "containers": [
            {"name": name, "image": row.image, "startedAt": timestamp(row.started_at)} for name in row.containers
        ],
        "currentNodePool": row.node_pool or None,
        "requestedNodePools": row.workload.requested_node_pools if row.workload else [],
        "allocatedResources": {
            "gpu": row.gpu_milli / 1000,
            "cpu": row.cpu_milli / 1000,
            "cpuMemory": memory_text(row.memory_bytes),
        },
        "k8sPhase": row.phase,
        "k8sPhaseUpdatedAt": timestamp(row.updated_at),
        "ip": row.ip or None,
        "tenantId": tenant_id,
        "updatedAt": timestamp(row.updated_at),
        "deletedAt": timestamp(row.deleted_at),
        "reason": row.reason,
        "message": row.message,
        "exitCode": row.exit_code,
        "attempt": row.attempt,
        "replicaIndex": row.replica_index,
        "simulated": row.simulated,
        "gpuDevices": row.gpu_devices,
    }
    if row.project:
        shape |= {"projectId": str(row.project_id), "projectName": row.project.name}
    return shape


def event(row: Event) -> Json:
    shape: Json = {
        "id": str(row.uid),
        "createdAt": timestamp(row.last_at),
        "type": row.type,
        "clusterId": str(row.cluster_id),
        "message": row.message,
        "reason": row.reason,
        "source": row.source,
        "count": row.count,
    }
    if row.object_uid:
        shape["involvedObject"] = {
            "uid": str(row.object_uid),
            "kind": row.kind,
            "name": row.name,
            "namespace": row.namespace,
        }
    return shape


def history_record(record: HistoryRecord) -> Json:
    kind = "Event" if record.event else "PhaseUpdate"
    spec: Json = {}
    if record.event:
        spec["event"] = event(record.event)
    if record.change:
        spec["phaseUpdate"] = {"phase": record.change.phase, "phaseMessage": record.change.message}
    return {"meta": {"creationTimestamp": timestamp(record.at), "type": kind}, "spec": spec}


def _pods(row: Workload) -> Json:
    spec = row.spec
    pods: Json = {"number": row.requested_pods}
    for key in ("parallelism", "completions"):
        if spec.get(key) is not None:
            pods[key] = spec[key]
    return pods


def _pod_gpu_milli(compute: Json) -> int:
    portion = 0 if compute.get("gpuMemoryMib") else compute.get("gpuPortionMilli") or 1000
    return int(compute.get("gpuDevices") or 0) * int(portion)


def _resources(compute: Json, gpu_milli: int, cpu_milli: int | None, memory_bytes: int | None) -> Json:
    found: Json = {"gpu": {"request": gpu_milli / 1000}}
    if compute.get("gpuPortionMilli"):
        found["gpuRequestType"] = "portion"
    if compute.get("gpuMemoryMib"):
        found["gpuRequestType"] = "memory"
        found["gpuMemory"] = {"request": f"{compute['gpuMemoryMib']}Mi"}
    if cpu_milli:
        found["cpu"] = {"request": cpu_milli / 1000}
    if memory_bytes:
        found["cpuMemory"] = {"request": memory_text(memory_bytes)}
    return found


def _condition(item: Json) -> Json:
    return {
        "type": item.get("type", ""),
        "status": item.get("status", ""),
        "reason": item.get("reason", ""),
        "message": item.get("message", ""),
        "lastTransitionTime": item.get("lastTransitionTime"),
    }
