"""How many replicas an inference workload needs: the autoscaler's arithmetic, from an observed load and the time.

The load is what the activator (requests) and the metrics role (GPU use) write on the Workload as annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.operator.facts import moment
from agent.wire.objects import Autoscaling

CONCURRENCY = "run.ai/load-concurrency"
THROUGHPUT = "run.ai/load-throughput"
GPU_USE = "run.ai/load-gpu-utilization"
LAST_REQUEST = "run.ai/load-last-request"
"""Annotations: averages over the last seconds as decimal text, and when the last request came."""
TOLERANCE = 0.1
MOST_AT_ONCE = 2.0
"""It grows at most by this factor in one step (but always by one)."""


@dataclass(frozen=True, slots=True)
class Load:
    concurrency: float = 0.0
    throughput: float = 0.0
    gpu_use: float | None = None
    """Percent, average over its pods."""
    last_request: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    replicas: int
    low_since: datetime | None = None
    check_at: datetime | None = None


def read_load(annotations: Mapping[str, str]) -> Load | None:
    """None where nobody has measured."""
    if not any(key in annotations for key in (CONCURRENCY, THROUGHPUT, GPU_USE)):
        return None
    gpu = _number(annotations.get(GPU_USE))
    return Load(
        _number(annotations.get(CONCURRENCY)) or 0.0,
        _number(annotations.get(THROUGHPUT)) or 0.0,
        gpu,
        moment(annotations.get(LAST_REQUEST)),
    )


def _number(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def scale(
    rule: Autoscaling,
    current: int,
    load: Load | None,
    now: datetime,
    *,
    low_since: datetime | None,
    since: datetime | None,
) -> Scale:
    """Replicas for now. Up at once, down after the delay, to zero after the retention.

    ``low_since``: since when fewer would have done. ``since``: when it was last seen to start, for the first retention.
    """
    current = max(rule.min_replicas, min(current, rule.max_replicas))
    if load is None or rule.metric is None:
        return Scale(current)
    needed = _needed(rule, current, load)
    if needed == 0 and current > 0:
        return _to_zero(rule, current, load, now, since)
    if needed >= current:
        most = max(current + 1, round(current * MOST_AT_ONCE)) if current else rule.max_replicas
        return Scale(min(needed, most, rule.max_replicas))
    begun = low_since or now
    due = begun + timedelta(seconds=rule.scale_down_delay_seconds)
    if due > now:
        return Scale(current, begun, due)
    return Scale(max(needed, rule.min_replicas))


def _needed(rule: Autoscaling, current: int, load: Load) -> int:
    if rule.metric == "gpu-utilization":
        total = (load.gpu_use or 0.0) * current
    else:
        total = load.concurrency if rule.metric == "concurrency" else load.throughput
    exact = total / rule.threshold
    if current and abs(exact - current) <= TOLERANCE * current:
        return current
    needed = int(exact) + (exact > int(exact))
    return max(needed, rule.min_replicas, 1 if rule.metric == "gpu-utilization" else 0)


def _to_zero(rule: Autoscaling, current: int, load: Load, now: datetime, since: datetime | None) -> Scale:
    """Nothing is asked of it: first down to one, then, long enough after the last request, to none."""
    last = max((at for at in (load.last_request, since) if at is not None), default=now)
    due = last + timedelta(seconds=max(rule.scale_to_zero_retention_seconds, rule.scale_down_delay_seconds))
    if due <= now:
        return Scale(0)
    down = last + timedelta(seconds=rule.scale_down_delay_seconds)
    if current > 1 and down <= now:
        return Scale(1, None, due)
    return Scale(current, None, min(at for at in (due, down) if at > now))
