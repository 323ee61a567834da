"""The status of a project: whether it is ready, and what its queues hold as the scheduler reported it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from agent.operator.workload import ProjectView
from agent.wire import labels
from agent.wire.codec import to_dict
from agent.wire.reports import QueueReport

_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
}


def quantity(value: object) -> Decimal:
    """A Kubernetes quantity as a number: ``500m`` → 0.5, ``1Gi`` → 1073741824. Unreadable ones count 0."""
    text = str(value).strip()
    digits = text.rstrip("mkMGTKi")
    try:
        return Decimal(digits) * _SUFFIXES[text[len(digits) :]]
    except (InvalidOperation, KeyError):
        return Decimal(0)


def project_status(
    view: ProjectView, queues: Iterable[Mapping[str, Any]], trouble: str, *, ready: bool
) -> dict[str, Any]:
    """``status`` of a Project. ``queues``: its Queue objects; ``trouble``: what keeps it from being ready."""
    if trouble:
        phase, message = "NotReady", trouble
    else:
        phase, message = ("Ready", "") if ready else ("Creating", "making its namespace")
    reports = sorted((queue_report(queue) for queue in queues), key=lambda report: report.name)
    return {
        "phase": phase,
        "message": message,
        "namespace": view.spec.namespace,
        "queues": [to_dict(report) for report in reports],
    }


def queue_report(queue: Mapping[str, Any]) -> QueueReport:
    """What one Queue holds, from its status (KAI's shape: resource name → quantity)."""
    meta, status = queue["metadata"], queue.get("status") or {}
    allocated, requested = status.get("allocated") or {}, status.get("requested") or {}
    firm, fair = status.get("allocatedNonPreemptible") or {}, status.get("fairShare")
    return QueueReport(
        name=meta["name"],
        node_pool=(meta.get("labels") or {}).get(labels.NODE_POOL) or labels.DEFAULT_NODE_POOL,
        allocated_gpu_milli=_gpu(allocated),
        allocated_non_preemptible_gpu_milli=_gpu(firm),
        requested_gpu_milli=_gpu(requested),
        fair_share_gpu_milli=_gpu(fair) if fair else None,
        allocated_cpu_milli=int(quantity(allocated.get("cpu", 0)) * 1000),
        allocated_memory_bytes=int(quantity(allocated.get("memory", 0))),
    )


def _gpu(amounts: Mapping[str, Any]) -> int:
    value = amounts.get(labels.GPU_RESOURCE, amounts.get("gpu", 0))
    return int(quantity(value) * 1000)
