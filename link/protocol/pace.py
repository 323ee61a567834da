"""How fast: token buckets, jittered holds, spreads. Pure: time and chance come in as arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.wire import limits


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: ``rate`` tokens a second up to ``burst``. Times in seconds of one monotonic clock."""

    rate: float
    burst: float
    tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> Bucket:
        return cls(rate, burst, burst, now)


def take(bucket: Bucket, now: float, cost: float = 1.0) -> tuple[Bucket, float]:
    """The bucket afterwards, and seconds to wait: 0 means taken. Costs above the burst pass when the bucket is full."""
    tokens = min(bucket.burst, bucket.tokens + max(0.0, now - bucket.at) * bucket.rate)
    need = min(cost, bucket.burst)
    if tokens >= need:
        return replace(bucket, tokens=tokens - need, at=now), 0.0
    return replace(bucket, tokens=tokens, at=now), (need - tokens) / bucket.rate


def hold_ms(wanted_ms: int, chance: float) -> int:
    """How long to hold a poll: what the agent wants up to the limit, jittered by 10 %. ``chance`` in [0, 1)."""
    base = max(0, min(wanted_ms, limits.HOLD_MS))
    return int(base * (1 + limits.HOLD_JITTER * (2 * chance - 1)))


def retry_after_ms(low_ms: int, high_ms: int, chance: float) -> int:
    """Uniform in the window, so that refused callers do not come back together."""
    return low_ms + int((high_ms - low_ms) * chance)
