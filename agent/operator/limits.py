"""Ends that a workload's own limits and its project's set: it has run for too long, or its GPUs do nothing."""

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
    spec, started, rules = view.spec, moment(view.status.started_at), view.rules
    longest, whose = _shorter(spec.time_limit_seconds, rules.time_limit_seconds)
    if longest is not None and started is not None and running:
        text = f"it has run for {whose} time limit of {longest} s"
        found.append(Limit(started + timedelta(seconds=longest), "TimeLimitReached", text))
    idle = [pod.idle_since for pod in running if pod.gpu_milli or pod.idle_since]
    longest, whose = _shorter(spec.idle_gpu_limit_seconds, rules.idle_gpu_limit_seconds)
    if longest is not None and idle and all(idle):
        since = max(at for at in idle if at is not None)
        text = f"its GPUs have done nothing for {whose} limit of {longest} s"
        found.append(Limit(since + timedelta(seconds=longest), "IdleGpuLimitReached", text))
    return found


def _shorter(own: int | None, rule: int | None) -> tuple[int | None, str]:
    """The limit that is reached first, and whose it is."""
    if rule is not None and (own is None or rule < own):
        return rule, "its project's"
    return own, "its"
