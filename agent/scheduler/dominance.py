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


def _signature(conditions: Conditions | None, job: JobState, tasks: list[TaskState]) -> tuple[object, ...]:
    kinds = {(_kind(task.shape), _neighbours(conditions, task)) for task in tasks}
    return (job.preemptible, tuple(sorted(kinds)) if len(kinds) > 1 else kinds.pop(), job.root.rules)


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
    """Failed gangs of one action, by scope and signature; only the easiest ones are kept."""

    def __init__(self, conditions: Conditions | None = None) -> None:
        self._conditions = conditions
        self._known: dict[tuple[object, ...], list[tuple[int, list[Size]]]] = {}

    def covers(self, scope: QueueState | None, job: JobState, tasks: list[TaskState]) -> bool:
        """Whether this job is at least as hard as one that failed, and may take no more than that one could."""
        sizes = sorted(map(_size, tasks), reverse=True)
        known = self._known.get((scope, *_signature(self._conditions, job, tasks)), ())
        return any(job.priority <= priority and _harder(sizes, failed) for priority, failed in known)

    def add(self, scope: QueueState | None, job: JobState, tasks: list[TaskState]) -> None:
        sizes = sorted(map(_size, tasks), reverse=True)
        known = self._known.setdefault((scope, *_signature(self._conditions, job, tasks)), [])
        known[:] = [
            (priority, size) for priority, size in known if not (priority <= job.priority and _harder(size, sizes))
        ]
        known.append((job.priority, sizes))
