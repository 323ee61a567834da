"""Ends that a workload's own rules set: it has run for too long, or its GPUs do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.operator.facts import PodFacts, moment
from agent.operator.workload import WorkloadView


@dataclass(frozen=True, slots=True)
class Limit:
    """``due``: when it is reached; the rest says why, for people."""

    due: datetime
    code: str
    text: str


def limits(view: WorkloadView, pods: Sequence[PodFacts]) -> list[Limit]:
    """Limits that count at present. A workload that does not run has none."""
    found = []
    running = [pod for pod in pods if pod.phase == "Running" and not pod.deleting]
    spec, started = view.spec, moment(view.status.started_at)
    if spec.time_limit_seconds is not None and started is not None and running:
        text = f"it has run for its time limit of {spec.time_limit_seconds} s"
        found.append(Limit(started + timedelta(seconds=spec.time_limit_seconds), "TimeLimitReached", text))
    idle = [pod.idle_since for pod in running if pod.gpu_milli or pod.idle_since]
    if spec.idle_gpu_limit_seconds is not None and idle and all(idle):
        since = max(at for at in idle if at is not None)
        text = f"its GPUs have done nothing for {spec.idle_gpu_limit_seconds} s"
        found.append(Limit(since + timedelta(seconds=spec.idle_gpu_limit_seconds), "IdleGpuLimitReached", text))
    return found
