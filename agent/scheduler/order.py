"""Whose turn is it: the order of queues by entitlement and of jobs inside a queue.

A heap per parent queue. A queue's place depends on what it holds and on the next job of its best descendant, so only
the queues on the path of a job that was placed or taken are looked at again.
"""

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cmp_to_key

from agent.domain.quantities import MILLI, UNLIMITED
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.state import Session

Key = tuple[object, ...]
Entry = tuple[Key, int, "JobState"]
"""A job in line: its key, its number, itself."""

ALONE: Key = ()
"""The key of a queue that has nobody to compare with."""

ZERO_SHARE_FACTOR = (1, MILLI, MILLI)
"""A queue without any share counts what it holds a thousandfold (milli-GPU are a thousandfold already)."""


def rank_siblings(queues: Iterable[QueueState]) -> None:
    """Fix the part of the order that does not change inside a plan: smaller share first, then older, then name.

    Sorting is stable: it only asks whether a later one goes before an earlier one, and by age they are in order.
    """
    ordered = sorted(queues, key=lambda queue: (queue.queue.created, queue.name))
    ordered.sort(key=cmp_to_key(_by_share))
    for rank, queue in enumerate(ordered):
        queue.rank = rank


def _by_share(left: QueueState, right: QueueState) -> int:
    """Below zero when the left one has less of something and more of nothing."""
    a = [_bounded(value) for value in left.allocatable]
    b = [_bounded(value) for value in right.allocatable]
    return -1 if a != b and all(x <= y for x, y in zip(a, b, strict=True)) else 0


def _bounded(value: int) -> float:
    return float("inf") if value == UNLIMITED else value


def request_of(tasks: Iterable[TaskState], device_memory: int) -> tuple[int, int, int]:
    """What these pods would be charged, gpu-memory seen on a device of the given size."""
    gpu = cpu = memory = 0
    for task in tasks:
        shape = task.shape
        gpu += shape.gpu_cost(device_memory)
        cpu += shape.cpu
        memory += shape.memory
    return gpu, cpu, memory


def dominant_share(queue: QueueState, held: Vector, totals: Vector) -> float:
    """The largest part of its share that the queue holds of any resource. Written out: nothing is asked so often."""
    gpu, cpu, memory = held
    gpu_share, cpu_share, memory_share = queue.allocatable
    if gpu_share == UNLIMITED:
        gpu_share = totals[0]
    if cpu_share == UNLIMITED:
        cpu_share = totals[1]
    if memory_share == UNLIMITED:
        memory_share = totals[2]
    largest = gpu / gpu_share if gpu_share else float(gpu * ZERO_SHARE_FACTOR[0])
    part = cpu / cpu_share if cpu_share else float(cpu * ZERO_SHARE_FACTOR[1])
    if part > largest:
        largest = part
    part = memory / memory_share if memory_share else float(memory * ZERO_SHARE_FACTOR[2])
    if part > largest:
        largest = part
    return largest if largest > 0.0 else 0.0


def queue_key(queue: QueueState, held: Vector, after: Vector, totals: Vector) -> tuple[float, ...]:
    """Smaller goes first. ``held``: what the queue holds; ``after``: the same with (or without) its next job."""
    fair, deserved, shares = queue.fair, queue.deserved, queue.allocatable
    (gpu, cpu, memory), (d_gpu, d_cpu, d_memory) = after, deserved
    starved = (
        (d_gpu == UNLIMITED or gpu <= d_gpu)
        and (d_cpu == UNLIMITED or cpu <= d_cpu)
        and (d_memory == UNLIMITED or memory <= d_memory)
    )
    return (
        fair[0] < held[0] and fair[1] < held[1] and fair[2] < held[2],
        not starved,
        -queue.queue.priority,
        (shares[0] == 0 and gpu > 0) or (shares[1] == 0 and cpu > 0) or (shares[2] == 0 and memory > 0),
        dominant_share(queue, after, totals),
        dominant_share(queue, held, totals),
        queue.rank,
    )


def job_key(job: JobState) -> Key:
    """Higher priority first, then what is under its minimum, then at it, then above; then older."""
    known = job.sorted_by
    if known[0] != job.version:
        root = job.root
        growth = 0 if not root.satisfied else 2 if root.above_minimum else 1
        known = job.sorted_by = (job.version, (-job.priority, growth, *job.age))
    return known[1]


class JobQueue:
    """All candidate jobs; ``pop`` gives the one whose turn it is, as entitlements stand at that moment.

    ``lines``: the jobs of each queue in order, in lists that become this object's own.
    ``depth``: only so many first jobs of each queue. ``fixed``: requests to reckon with instead of the jobs' own.
    ``dismiss``: jobs that need not be tried any more leave the line without a turn.
    """

    def __init__(
        self,
        session: Session,
        lines: Mapping[QueueState, list[Entry]],
        totals: Vector,
        device_memory: int,
        key: Callable[[JobState], Key] = job_key,
        depth: int | None = None,
        fixed: Mapping[JobState, tuple[int, int, int]] | None = None,
        dismiss: Callable[[JobState], bool] | None = None,
    ) -> None:
        self._session = session
        self._totals = totals
        self._device_memory = device_memory
        self._key = key
        self._fixed = fixed or {}
        self._dismiss = dismiss
        self._jobs = dict(lines)
        self._heaps: dict[QueueState | None, list[tuple[Key, int, int, QueueState]]] = {}
        self._version: dict[QueueState, int] = {}
        self._best: dict[QueueState, JobState | None] = {}
        self._requests: dict[JobState, tuple[int, tuple[int, int, int]]] = {}
        if depth is not None:
            self._jobs = {queue: line[:depth] for queue, line in lines.items()}
        everyone = {ancestor for queue in self._jobs for ancestor in queue.path}
        self._peers = Counter(queue.parent for queue in everyone)
        self._left = sum(map(len, self._jobs.values()))
        if self._left > 1 or dismiss is not None:
            self._refresh(everyone)
        self._touched: set[QueueState] = set()
        self._seen = len(session.charges)

    def push(self, job: JobState) -> None:
        heapq.heappush(self._jobs[job.queue], (self._key(job), job.index, job))
        self._touched.add(job.queue)
        self._left += 1

    def pop(self) -> JobState | None:
        """The next job, or None when all are done."""
        if self._dismiss is None and self._left < 2:
            return self._pop_last()
        charges, touched = self._session.charges, self._touched
        if self._seen < len(charges):
            touched.update(charges[self._seen :])
            self._seen = len(charges)
        if touched:
            self._refresh({ancestor for queue in touched for ancestor in queue.path if ancestor in self._version})
            touched.clear()
        queue = self._top(None)
        while queue is not None and queue.children:
            queue = self._top(queue)
        if queue is None:
            return None
        job = heapq.heappop(self._jobs[queue])[2]
        touched.add(queue)
        self._left -= 1
        return job

    def rest(self) -> Iterator[JobState]:
        """Who is still in line, in no order."""
        return (entry[2] for line in self._jobs.values() for entry in line)

    def _pop_last(self) -> JobState | None:
        """Without comparing: there is nobody to compare with."""
        for queue, line in self._jobs.items():
            if line:
                self._left = 0
                self._touched.add(queue)
                return line.pop()[2]
        return None

    def request(self, job: JobState) -> tuple[int, int, int]:
        """What the job's next pods would be charged."""
        if job in self._fixed:
            return self._fixed[job]
        known = self._requests.get(job)
        if known is None or known[0] != job.version:
            known = (job.version, request_of(job.root.next_tasks(), self._device_memory))
            self._requests[job] = known
        return known[1]

    def _refresh(self, dirty: set[QueueState]) -> None:
        for queue in sorted(dirty, key=lambda queue: (-len(queue.path), queue.index)):
            version = self._version[queue] = self._version.get(queue, 0) + 1
            best = self._find_best(queue)
            self._best[queue] = best
            if best is not None:
                key = self._queue_key(queue, best) if self._peers[queue.parent] > 1 else ALONE
                heapq.heappush(self._heaps.setdefault(queue.parent, []), (key, queue.index, version, queue))

    def _queue_key(self, queue: QueueState, best: JobState) -> Key:
        held, request = queue.allocated, self.request(best)
        after = [held[0] + request[0], held[1] + request[1], held[2] + request[2]]
        return queue_key(queue, held, after, self._totals)

    def _find_best(self, queue: QueueState) -> JobState | None:
        if queue.children:
            top = self._top(queue)
            return None if top is None else self._best[top]
        heap, dismiss = self._jobs.get(queue), self._dismiss
        while heap:
            if dismiss is None or not dismiss(heap[0][2]):
                return heap[0][2]
            heapq.heappop(heap)
        return None

    def _top(self, parent: QueueState | None) -> QueueState | None:
        heap = self._heaps.get(parent)
        while heap:
            _, _, version, queue = heap[0]
            if self._version[queue] == version:
                return queue
            heapq.heappop(heap)
        return None


def lines_of(jobs: Iterable[JobState], key: Callable[[JobState], Key] = job_key) -> dict[QueueState, list[Entry]]:
    """These jobs by queue, in order."""
    lines: dict[QueueState, list[Entry]] = {}
    for job in jobs:
        insort(lines.setdefault(job.queue, []), (key(job), job.index, job))
    return lines
