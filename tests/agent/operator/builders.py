"""Workloads, pods and nodes in the operator's words, for tables of decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.operator.facts import ContainerFacts, GroupFacts, NodeFacts, PodFacts
from agent.operator.lifecycle import Decision, decide
from agent.operator.names import pod_name
from agent.operator.observed import Finding, Observation, find, status_of
from agent.operator.workload import ProjectView, WorkloadStatus, WorkloadView, problems
from agent.wire.objects import Compute, PoolQuota, ProjectSpec, WorkloadSpec

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
POOLS = ("default", "simulated", "a100")
VISION = ProjectView("vision", ProjectSpec("1", "vision", "runai-vision", "", tuple(PoolQuota(p) for p in POOLS)))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def view(status: WorkloadStatus | None = None, *, project: ProjectView | None = VISION, **spec: Any) -> WorkloadView:
    """Workload ``w``; keywords are fields of its spec, ``deleting`` and ``managed`` aside."""
    deleting, managed = spec.pop("deleting", False), spec.pop("managed", False)
    wanted = WorkloadSpec(**{"type": "training", "image": "example.local/busybox:1", **spec})
    return WorkloadView(
        "w", "runai-vision", "uid-w", "id-w", 1, ago(600), deleting, managed, wanted,
        status or WorkloadStatus(), tuple(problems(wanted)), project,
    )  # fmt: skip


def pod(index: int = 0, attempt: int = 0, **facts: Any) -> PodFacts:
    """A pending pod that no scheduler has seen."""
    name = pod_name("w", index, attempt)
    return replace(
        PodFacts(name, "runai-vision", f"uid-{name}", index, attempt, "Pending", created_at=ago(60)), **facts
    )


def waits(index: int = 0, why: str = "0 of 8 nodes fit", **facts: Any) -> PodFacts:
    return pod(index, unschedulable=why, unschedulable_since=facts.pop("since", ago(5)), **facts)


def starts(index: int = 0, waiting: str = "ContainerCreating", text: str = "", **facts: Any) -> PodFacts:
    state = ContainerFacts("main", waiting=waiting, waiting_message=text)
    placed = {"node": "n1", "scheduled_at": ago(30), "image": "repo/x:1", "containers": (state,)}
    return pod(index, **{**placed, **facts})


def runs(index: int = 0, attempt: int = 0, **facts: Any) -> PodFacts:
    state = ContainerFacts("main", ready=True, running=True, started_at=ago(20))
    return pod(index, attempt, **{"node": "n1", "phase": "Running", "ready": True, "containers": (state,), **facts})


def ends(
    index: int = 0, attempt: int = 0, code: int = 0, reason: str = "", end: float = 3600, **facts: Any
) -> PodFacts:
    """Ended ``end`` seconds ago after ten seconds."""
    state = ContainerFacts("main", exit_code=code, ended_reason=reason, started_at=ago(end + 10), finished_at=ago(end))
    phase = "Failed" if code else "Succeeded"
    return pod(index, attempt, **{"node": "n1", "phase": phase, "containers": (state,), **facts})


def node(name: str = "n1", **facts: Any) -> NodeFacts:
    return NodeFacts(name, **facts)


def decided(workload: WorkloadView, *pods: PodFacts) -> Decision:
    return decide(workload, pods, NOW)


def made(decision: Decision) -> list[str]:
    """``Kind/name`` of what is created, in order."""
    return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in decision.create]


def deleted(decision: Decision) -> list[str]:
    return sorted(pod.name for pod in decision.delete)


def seen(*pods: PodFacts, nodes: tuple[NodeFacts, ...] = (NodeFacts("n1"),), groups: tuple[GroupFacts, ...] = (),
         refused: str = "", invalid: bool = False) -> Observation:  # fmt: skip
    return Observation(pods, {item.name: item for item in nodes}, groups, refused, invalid)


def found(workload: WorkloadView, *pods: PodFacts, **more: Any) -> Finding:
    return find(workload, decided(workload, *pods), seen(*pods, **more), NOW)


def status(workload: WorkloadView, *pods: PodFacts, **more: Any) -> WorkloadStatus:
    return status_of(workload, decided(workload, *pods), seen(*pods, **more), NOW)


GPU = Compute(gpu_devices=1)
