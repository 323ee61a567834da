"""Would it start now? A sentence from the project's quota and the pool's free GPUs, while the form is filled. Pure.

The scheduler decides; this says what it will look at. Amounts in milli-GPU, -1 is unlimited.
"""

from dataclasses import dataclass

UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Place:
    """One project in one node pool."""

    project: str
    pool: str
    quota: int
    limit: int
    used: int
    used_non_preemptible: int
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Verdict:
    tone: str
    """``ok`` or ``wait``."""
    sentence: str


def verdict(place: Place | None, asked: int, preemptible: bool) -> Verdict:
    """The first thing that stands in the way, or what happens when it starts."""
    if asked == 0:
        return Verdict("ok", "No GPU asked: it starts as soon as a node has room for its CPU and memory.")
    if place is None:
        return Verdict("wait", "The cluster has not reported this pool yet; it will queue until it does.")
    p = place
    if p.limit != UNLIMITED and p.used + asked > p.limit:
        return Verdict("wait", f"Will queue: {p.project} holds {_n(p.used)} of its limit of {_n(p.limit)} in {p.pool}.")
    if not preemptible and p.quota != UNLIMITED and p.used_non_preemptible + asked > p.quota:
        left = max(0, p.quota - p.used_non_preemptible)
        return Verdict(
            "wait",
            f"Will queue: {p.project} has {_n(left)} of {_n(p.quota)} left in {p.pool}, and non-preemptible work must "
            "fit in the quota.",
        )
    if asked > p.total:
        return Verdict("wait", f"Cannot start in {p.pool}: it asks {_n(asked)} GPUs and the pool has {_n(p.total)}.")
    if asked > p.free:
        return Verdict("wait", f"Will queue: {p.pool} has {_n(p.free)} free GPUs now, this asks {_n(asked)}.")
    over = p.used + asked - p.quota
    if p.quota != UNLIMITED and over > 0:
        return Verdict(
            "ok",
            f"Will run over quota by {_n(over)}: {p.pool} has {_n(p.free)} free GPUs now, and these may be reclaimed "
            "when their owners need them.",
        )
    return Verdict("ok", f"Fits the quota of {p.project} in {p.pool}; {_n(p.free - asked)} GPUs stay free in the pool.")


def _n(milli: int) -> str:
    return f"{milli / 1000:g}"
