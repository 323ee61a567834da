"""How far a workload is: attempts, successes and failures, read from its pods and its last written status only.

A *unit* is what restarts together: one pod, or a whole gang. A pod's label tells its attempt, and the status keeps the
attempts of units whose pods somebody removed; memory holds nothing, so an operator that dies at any line and starts
again counts the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.operator.facts import PodFacts
from agent.operator.workload import WorkloadView

_LEADER_ENDS_IT = frozenset({"pytorch", "tf", "tensorflow", "mpi", "xgboost", "jax"})
"""Frameworks whose first pod (master, chief, launcher) decides the end of the job."""
LEADER_GRACE = timedelta(seconds=30)
"""After the leader's success the others get so long to end by themselves."""


@dataclass(frozen=True, slots=True)
class Unit:
    first: int
    indexes: tuple[int, ...]
    attempt: int
    pods: tuple[PodFacts, ...]
    """Pods of this attempt."""
    older: tuple[PodFacts, ...]
    """Pods of earlier attempts that are still there."""
    failed: PodFacts | None
    """The pod that ended this attempt, if one did."""
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Progress:
    units: tuple[Unit, ...]
    strays: tuple[PodFacts, ...]
    """Pods with an index the workload does not have (any more)."""
    failures: int
    last_failure: PodFacts | None

    @property
    def attempts(self) -> dict[str, int]:
        return {str(unit.first): unit.attempt for unit in self.units if unit.attempt}

    @property
    def succeeded_indexes(self) -> tuple[int, ...]:
        return tuple(unit.first for unit in self.units if unit.succeeded)


def progress_of(view: WorkloadView, pods: Iterable[PodFacts], now: datetime) -> Progress:
    """Where every unit stands."""
    by_index: dict[int, list[PodFacts]] = defaultdict(list)
    for pod in pods:
        by_index[pod.index].append(pod)
    count = view.completions
    groups = [tuple(range(count))] if view.gang else [(index,) for index in range(count)]
    done = parse_indexes(view.status.succeeded_indexes)
    units = tuple(_unit(view, indexes, by_index, done, now) for indexes in groups)
    failed = [unit.failed for unit in units if unit.failed is not None]
    failed += [pod for unit in units for pod in unit.older if _failed(pod)]
    failures = sum(unit.attempt + (unit.failed is not None) for unit in units)
    if view.restart_policy == "OnFailure":
        failures += sum(pod.restarts for unit in units for pod in unit.pods)
    return Progress(
        units=units,
        strays=tuple(pod for index, found in by_index.items() if index >= count for pod in found),
        failures=failures,
        last_failure=max(failed, key=_ended, default=None),
    )


def _unit(
    view: WorkloadView,
    indexes: tuple[int, ...],
    by_index: Mapping[int, Sequence[PodFacts]],
    done: frozenset[int],
    now: datetime,
) -> Unit:
    pods = [pod for index in indexes for pod in by_index.get(index, ())]
    attempt = max([view.status.attempts.get(str(indexes[0]), 0), *(pod.attempt for pod in pods)])
    current = tuple(pod for pod in pods if pod.attempt == attempt)
    failed = [pod for pod in current if _failed(pod)]
    return Unit(
        first=indexes[0],
        indexes=indexes,
        attempt=attempt,
        pods=current,
        older=tuple(pod for pod in pods if pod.attempt < attempt),
        failed=min(failed, key=_ended, default=None),
        succeeded=_succeeded(view, indexes, current, done, now),
    )


def _failed(pod: PodFacts) -> bool:
    """A pod that somebody deletes ends by a signal: that is no failure of the workload's."""
    return pod.phase == "Failed" and not pod.disrupted and not pod.deleting


def _succeeded(
    view: WorkloadView, indexes: tuple[int, ...], current: Sequence[PodFacts], done: frozenset[int], now: datetime
) -> bool:
    if indexes[0] in done:
        return True
    ended = [pod for pod in current if pod.phase == "Succeeded" and not pod.deleting]
    until = leader_until(view, ended)
    return len(ended) == len(indexes) or (until is not None and until <= now)


def leader_until(view: WorkloadView, ended: Sequence[PodFacts]) -> datetime | None:
    """When the job of a framework is over because its leader succeeded; None while it has not, or does not decide."""
    if not view.gang or (view.spec.framework or "").lower() not in _LEADER_ENDS_IT:
        return None
    leader = next((pod for pod in ended if pod.index == 0 and pod.phase == "Succeeded"), None)
    if leader is None:
        return None
    return (leader.finished_at or datetime.min.replace(tzinfo=UTC)) + LEADER_GRACE


def _ended(pod: PodFacts) -> tuple[datetime, str]:
    """Order of failures: by end, then by name; one that tells no time counts from its creation."""
    return pod.finished_at or pod.created_at or datetime.min.replace(tzinfo=UTC), pod.name


def parse_indexes(text: str) -> frozenset[int]:
    """``0-2,7`` → {0, 1, 2, 7}; what cannot be read is left out."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        if low.isdigit() and (not high or high.isdigit()):
            found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)


def format_indexes(indexes: Iterable[int]) -> str:
    """{0, 1, 2, 7} → ``0-2,7``."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
