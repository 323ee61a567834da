"""What failed once need not be tried again in a harder form: a sound memory of failed shapes.

A gang is harder than a failed one when its constraints and kind of request are the same and, sorted, each of the failed
gang's pods asks no more than one of its own. Everything that decides success is compared: devices, device memory, MIG,
claims, extended resources, topology and the pods actually needed next (so elastic minimums count, KAI's B3 and B4).
"""

from collections.abc import Mapping

from agent.scheduler.conditions import Conditions
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.shapes import Shape

Size = tuple[int, ...]

COVERED = -1
"""The verdict on a profile that stays; any other is the number of failures in its scope that it was made after."""

Equals = tuple[object, ...]
"""What must be equal for two gangs to be compared at all."""


class Profile:
    """What a job needs next: what must be equal, and its pods' sizes, largest first. Equal ones are one object."""

    __slots__ = ("equals", "sizes")

    def __init__(self, equals: Equals, sizes: list[Size]) -> None:
        self.equals = equals
        self.sizes = sizes


class Profiles:
    """The profiles of a pool's jobs, worked out anew only for jobs that changed."""

    def __init__(self, conditions: Conditions | None) -> None:
        self._conditions = conditions
        self._of: dict[JobState, tuple[int, Profile | None]] = {}
        self._known: dict[tuple[object, ...], Profile] = {}

    def of(self, job: JobState) -> Profile | None:
        """None when the job needs no pod, or none that exists."""
        known = self._of.get(job)
        if known is None or known[0] != job.version:
            known = self._of[job] = (job.version, self._make(job))
        return known[1]

    def _make(self, job: JobState) -> Profile | None:
        tasks = job.root.next_tasks()
        if not tasks:
            return None
        sizes = [_size(tasks[0])] if len(tasks) == 1 else sorted(map(_size, tasks), reverse=True)
        equals = _signature(self._conditions, job, tasks)
        return self._known.setdefault((equals, *sizes), Profile(equals, sizes))

    def forget_absent(self, jobs: Mapping[str, JobState]) -> None:
        """Drop what is known about jobs that left the pool, once they are many."""
        if len(self._of) > 2 * len(jobs):
            self._of = {job: known for job, known in self._of.items() if jobs.get(job.key) is job}


def _signature(conditions: Conditions | None, job: JobState, tasks: list[TaskState]) -> tuple[object, ...]:
    kinds = {(_kind(task.shape), _neighbours(conditions, task)) for task in tasks}
    rules = job.root.rules
    spread = tuple(sorted(task.leaf.name for task in tasks)) if job.root.constrained_below else ()
    return (job.preemptible, tuple(sorted(kinds)) if len(kinds) > 1 else kinds.pop(), rules, spread)


def _kind(shape: Shape) -> tuple[object, ...]:
    names = tuple(name for name, _ in shape.extras)
    return (shape.rules, shape.kind, names, shape.request.claims, bool(shape.request.gpu_memory), shape.guaranteed)


def _neighbours(conditions: Conditions | None, task: TaskState) -> tuple[object, ...]:
    """What rules between pods see of it."""
    if conditions is None or not conditions.concerns(task):
        return ()
    return (task.pod.namespace, tuple(sorted(task.pod.labels.items())))


def _size(task: TaskState) -> Size:
    shape = task.shape
    request = shape.request
    return (
        shape.gpus,
        request.gpu_fraction,
        request.gpu_memory,
        request.gpu_devices,
        shape.cpu,
        shape.memory,
        *(count for _, count in shape.extras),
    )


def _harder(sizes: list[Size], failed: list[Size]) -> bool:
    """Whether the failed gang fits inside this one, pod by pod from the largest down."""
    if len(sizes) < len(failed):
        return False
    return all(
        len(mine) == len(theirs) and all(a >= b for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in zip(sizes, failed, strict=False)
    )


class FailedShapes:
    """Failed gangs of one action, by scope and signature; only the easiest ones are kept.

    ``by_priority``: whether a job of higher priority might succeed where one of lower priority failed.
    """

    def __init__(self, profiles: Profiles, *, by_priority: bool = True) -> None:
        self._profiles = profiles
        self._by_priority = by_priority
        self._known: dict[tuple[QueueState | None, Equals], list[tuple[int, list[Size]]]] = {}
        self._verdicts: dict[tuple[QueueState | None, Profile, int], int] = {}
        self._failures: dict[QueueState | None, int] = {}

    def covers(self, scope: QueueState | None, job: JobState) -> bool:
        """Whether this job is at least as hard as one that failed, and may take no more than that one could."""
        failures = self._failures.get(scope)
        if failures is None:
            return False
        profile = self._profiles.of(job)
        if profile is None:
            return True
        priority = job.priority if self._by_priority else 0
        key = (scope, profile, priority)
        verdict = self._verdicts.get(key, 0)
        if verdict not in (COVERED, failures):
            verdict = self._verdicts[key] = COVERED if self._judge(scope, profile, priority) else failures
        return verdict == COVERED

    def _judge(self, scope: QueueState | None, profile: Profile, priority: int) -> bool:
        known = self._known.get((scope, profile.equals), ())
        return any(priority <= other and _harder(profile.sizes, failed) for other, failed in known)

    def add(self, scope: QueueState | None, job: JobState) -> None:
        """Remember a failure; not of a gang that runs in part under a topology rule, since that binds only itself."""
        profile = self._profiles.of(job)
        if profile is None or (job.root.ruled and job.root.started):
            return
        priority = job.priority if self._by_priority else 0
        known = self._known.setdefault((scope, profile.equals), [])
        known[:] = [one for one in known if one[0] > priority or not _harder(one[1], profile.sizes)]
        known.append((priority, profile.sizes))
        self._failures[scope] = self._failures.get(scope, 0) + 1
