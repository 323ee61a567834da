"""The columns of a workload's row that come from its spec, and its document from its row."""

from typing import Any

from agent.wire import codec
from agent.wire.objects import WorkloadSpec
from workloads.models import Workload
from workloads.specs.compile import category, is_preemptible, priority, totals
from workloads.specs.manifest import workload_manifest


def spec_columns(spec: WorkloadSpec, asked_category: str | None = None) -> dict[str, Any]:
    """Spec as JSON, and the facts of it that lists filter, sort and show."""
    every = totals(spec)
    return {
        "spec": codec.to_dict(spec),
        "type": spec.type,
        "image": spec.image[:512],
        "priority": priority(spec),
        "priority_class": (spec.priority_class or "")[:63],
        "preemptible": is_preemptible(spec),
        "category": (asked_category or category(spec.type))[:63],
        "framework": (spec.framework or "")[:16],
        "requested_pods": every.pods,
        "requested_gpu_milli": every.gpu_milli,
        "requested_cpu_milli": every.cpu_milli,
        "requested_memory_bytes": every.memory_bytes,
        "requested_node_pools": list(spec.node_pools),
    }


def spec_of(workload: Workload) -> WorkloadSpec:
    return codec.from_dict(WorkloadSpec, workload.spec)


def document_key(workload: Workload) -> str:
    return f"workload/{workload.pk}"


def document(workload: Workload, spec: WorkloadSpec) -> dict[str, Any]:
    """The manifest the cluster shall hold. The row's project must be loaded with its scope."""
    return workload_manifest(
        spec,
        workload_id=str(workload.pk),
        object_name=workload.object_name,
        namespace=workload.project.namespace,
        project=workload.project.name,
        cluster_id=str(workload.cluster_id),
        submitted_by=workload.submitted_by,
    )
