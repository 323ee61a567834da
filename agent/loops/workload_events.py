"""Events about workloads, for people: how they ended, and trouble that does not mend itself, once, when it begins.

An Event may be lost: the status and its conditions carry what lasts.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from agent.kube.errors import KubeError
from agent.kube.protocol import Kube, Obj
from agent.operator.workload import WorkloadStatus, WorkloadView
from agent.wire.phases import Phase

log = structlog.get_logger(__name__)

_TOLD = {Phase.COMPLETED: "Normal", Phase.FAILED: "Warning", Phase.STOPPED: "Normal", Phase.DEGRADED: "Warning"}
_TROUBLES = frozenset(
    {
        "ImagePullFailed",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "MountFailed",
        "SandboxFailed",
        "PreparationFailed",
        "CreateRefused",
        "NoQuotaInNodePool",
        "NoProject",
    }
)
"""Codes of what does not mend itself."""


async def tell(kube: Kube, view: WorkloadView, status: WorkloadStatus, now: datetime) -> None:
    """What is new in ``status`` and worth an Event, if anything."""
    if status.phase != view.status.phase and status.phase in _TOLD:
        event = _event(view, status, status.phase.value, _TOLD[status.phase], now)
    elif (code := trouble(status)) and code != trouble(view.status):
        event = _event(view, status, code, "Warning", now)
    else:
        return
    try:
        await kube.create(event)
    except KubeError as error:
        log.info("event_lost", workload=view.key, error=error.message)


def trouble(status: WorkloadStatus) -> str:
    """The code of what stands in its way and does not mend itself; "" if nothing does."""
    return next((reason.code for reason in status.reasons if reason.code in _TROUBLES), "")


def _event(view: WorkloadView, status: WorkloadStatus, reason: str, kind: str, now: datetime) -> Obj:
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"apiVersion": "run.ai/v1", "kind": "Workload", "name": view.name, "namespace": view.namespace}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{view.name[:200]}.{reason.lower()}.{int(now.timestamp() * 1000):x}",
            "namespace": view.namespace,
        },
        "involvedObject": about | {"uid": view.uid},
        "type": kind,
        "reason": reason,
        "message": status.message[:1000],
        "source": {"component": "runai-operator"},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
