"""Who waits: the jobs with pods that have no place, by queue and in order, sorted once per plan for all actions."""

from collections.abc import Callable, Iterable

from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState
from agent.scheduler.order import Entry, Key

Lines = dict[QueueState, list[Entry]]


class Waiting:
    """Whoever waits in a plan has a pending pod when it begins; a queue whose jobs changed is sorted again.

    ``key``: the order of jobs inside a queue.
    """

    def __init__(self, jobs: Iterable[JobState], key: Callable[[JobState], Key]) -> None:
        self._key = key
        self._jobs: dict[QueueState, list[JobState]] = {}
        self._versions: dict[QueueState, list[int]] = {}
        self._lines: Lines = {}
        for job in jobs:
            if job.waiting:
                self._jobs.setdefault(job.queue, []).append(job)

    def lines(self, wanted: Callable[[JobState], bool] | None = None) -> Lines:
        """Sorted lists of their own of the jobs that can be tried now: ready, waiting, and wanted."""
        found: Lines = {}
        for queue, jobs in self._jobs.items():
            versions = [job.version for job in jobs]
            if self._versions.get(queue) != versions:
                self._versions[queue] = versions
                entries = [(self._key(job), job.index, job) for job in jobs if job.waiting and job.root.ready]
                self._lines[queue] = sorted(entries)
            line = self._lines[queue]
            line = line[:] if wanted is None else [entry for entry in line if wanted(entry[2])]
            if line:
                found[queue] = line
        return found
