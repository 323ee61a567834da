"""What failed once need not be tried again in a harder form: a sound memory of failed shapes.

A gang is harder than a failed one when its constraints and kind of request are the same and, sorted, each of the failed
gang's pods asks no more than one of its own. Everything that decides success is compared: devices, device memory, MIG,
claims, extended resources, topology and the pods actually needed next (so elastic minimums count, KAI's B3 and B4).
"""

from agent.scheduler.conditions import Conditions
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.shapes import Shape

Size = tuple[int, ...]


Profile = tuple[int, tuple[object, ...], list[Size]]
"""A job's version, what must be equal, and the sizes of the pods it needs next, largest first."""


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
    ``profiles``: shared by the actions of a plan, since a job's profile changes only with the job.
    """

    def __init__(
        self, conditions: Conditions | None, profiles: dict[JobState, Profile], *, by_priority: bool = True
    ) -> None:
        self._conditions = conditions
        self._profiles = profiles
        self._by_priority = by_priority
        self._known: dict[tuple[object, ...], list[tuple[int, list[Size]]]] = {}

    def _profile(self, job: JobState) -> Profile | None:
        known = self._profiles.get(job)
        if known is None or known[0] != job.version:
            tasks = job.root.next_tasks()
            if not tasks:
                return None
            sizes = [_size(tasks[0])] if len(tasks) == 1 else sorted(map(_size, tasks), reverse=True)
            known = self._profiles[job] = (job.version, _signature(self._conditions, job, tasks), sizes)
        return known

    def covers(self, scope: QueueState | None, job: JobState) -> bool:
        """Whether this job is at least as hard as one that failed, and may take no more than that one could."""
        if not self._known:
            return False
        profile = self._profile(job)
        if profile is None:
            return True
        known = self._known.get((scope, profile[1]))
        if known is None:
            return False
        priority = job.priority if self._by_priority else 0
        return any(priority <= other and _harder(profile[2], failed) for other, failed in known)

    def add(self, scope: QueueState | None, job: JobState) -> None:
        """Remember a failure; not of a gang that runs in part under a topology rule, since that binds only itself."""
        profile = self._profile(job)
        if profile is None or (job.root.ruled and job.root.started):
            return
        priority = job.priority if self._by_priority else 0
        known = self._known.setdefault((scope, profile[1]), [])
        known[:] = [one for one in known if one[0] > priority or not _harder(one[1], profile[2])]
        known.append((priority, profile[2]))
