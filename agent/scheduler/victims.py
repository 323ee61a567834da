"""Who gives way first: the pods that may be taken, in batches, indexed by queue once per action.

A batch is what one step takes: a surplus pod of an elastic gang, a surplus sub-group, or all that is left of a gang.
Inside a queue the batches lie in reverse job order; between queues the most over-served queue comes first.
"""

import heapq
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy

from agent.domain.pods import PodStatus
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import ALONE, Key, queue_key
from agent.scheduler.state import Session


class Reversed:
    """Turns a string's order round inside a sort key."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: "Reversed") -> bool:
        return self.text > other.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


Amount = tuple[int, int, int]
"""(milli-GPU, milli-CPU, bytes)."""


class Batch:
    """Pods that leave together. ``core``: the gang has nothing left without them. ``dead``: no longer as indexed.
    ``name``: the same for the same pods.
    """

    __slots__ = ("amount", "core", "dead", "job", "key", "name", "tasks")

    def __init__(self, job: JobState, tasks: list[TaskState], core: bool, growth: int, number: int) -> None:
        self.job = job
        self.tasks = tasks
        self.core = core
        self.dead = False
        self.name = tasks[0].pod.uid if len(tasks) == 1 else " ".join(task.pod.uid for task in tasks)
        created, uid = job.age
        self.key = (job.priority, -growth, -created, Reversed(uid), number)
        self.amount: Amount = tasks[0].accounted if len(tasks) == 1 else _sum(tasks)

    def __lt__(self, other: "Batch") -> bool:
        return self.key < other.key


def _sum(tasks: list[TaskState]) -> Amount:
    gpu, cpu, memory = zip(*(task.accounted for task in tasks), strict=True)
    return sum(gpu), sum(cpu), sum(memory)


def batches_of(session: Session, job: JobState) -> list[Batch]:
    """The job's pods in the order they would be taken, by taking them and putting them back."""
    root = job.root
    if root.leaf and root.active and (root.active <= root.minimum or root.active == 1):
        return [Batch(job, [task for task in root.tasks if task.active], True, 1 if root.satisfied else 0, 0)]
    mark = session.mark()
    found: list[Batch] = []
    while True:
        growth = 0 if not root.satisfied else 2 if root.above_minimum else 1
        tasks, more = root.next_victims()
        if not tasks:
            break
        found.append(Batch(job, tasks, not more, growth, len(found)))
        for task in tasks:
            session.move(task, PodStatus.RELEASING, task.node, task.groups)
    session.undo(mark)
    return found


Heap = list[tuple[Key, int, QueueState, Batch]]
"""Sibling queues as a heap: place, number, queue, and the first victim under it."""

NOTHING = (0, 0, 0)


class VictimIndex:
    """All batches of one pool, followed job by job. Jobs that changed are looked at again when the next search starts.

    Totals and sizes are kept for leaf queues and for every queue above them.
    """

    def __init__(self, session: Session, jobs: Iterable[JobState]) -> None:
        self._session = session
        self._versions: dict[JobState, int] = {}
        self._batches: dict[JobState, list[Batch]] = {}
        self._lines: dict[QueueState, list[Batch]] = {}
        self._starts: dict[QueueState, int] = {}
        self._below: dict[QueueState | None, dict[QueueState, None]] = {}
        self._heaps: dict[QueueState, tuple[tuple[int, int], Heap]] = {}
        self._keys: dict[QueueState, tuple[int, Batch, Key]] = {}
        self._stamps: dict[QueueState, int] = {}
        self._totals: dict[QueueState, int] = {}
        self._sizes: dict[QueueState, dict[int, int]] = {}
        self._dead: dict[QueueState, int] = {}
        for job in jobs:
            if job.preemptible and job.root.started:
                self._enter(job)
                self._line_of(job.queue).extend(self._batches[job])
        for line in self._lines.values():
            line.sort()

    def below(self, parent: QueueState | None) -> Iterable[QueueState]:
        """The children of a queue (None: the top queues) that have victims under them, or had."""
        return self._below.get(parent, ())

    def beside(self, queue: QueueState) -> Iterator[QueueState]:
        """The queues beside another's path, on every level, that have victims under them, or had."""
        for mine in queue.path:
            yield from (other for other in self.below(mine.parent) if other is not mine)

    def total(self, queue: QueueState) -> int:
        """Milli-GPU of all batches under the queue."""
        return self._totals.get(queue, 0)

    def largest(self, queue: QueueState) -> int:
        """Milli-GPU of the largest batch under the queue."""
        return max((size for size, count in self._sizes.get(queue, {}).items() if count > 0), default=0)

    def _line_of(self, leaf: QueueState) -> list[Batch]:
        line = self._lines.get(leaf)
        if line is None:
            line = self._lines[leaf] = []
            for queue in leaf.path:
                self._below.setdefault(queue.parent, {})[queue] = None
        return line

    def _kill(self, batch: Batch) -> None:
        batch.dead = True
        self._dead[batch.job.queue] = self._dead.get(batch.job.queue, 0) + 1
        self._book(batch, -1)

    def _book(self, batch: Batch, sign: int) -> None:
        """Count the batch in (1) or out (-1) for its queue and those above."""
        size = batch.amount[0]
        for queue in batch.job.queue.path:
            self._totals[queue] = self._totals.get(queue, 0) + sign * size
            sizes = self._sizes.setdefault(queue, {})
            sizes[size] = sizes.get(size, 0) + sign
            self._stamps[queue] = self._stamps.get(queue, 0) + 1

    def _enter(self, job: JobState) -> None:
        found = [batch for batch in batches_of(self._session, job) if not (job.semi and batch.core)]
        self._batches[job] = found
        for batch in found:
            self._book(batch, 1)
        self._versions[job] = job.version

    def renew(self, jobs: Iterable[JobState]) -> None:
        """Look again at jobs that gave pods or got them."""
        for job in jobs:
            if not job.preemptible or self._versions.get(job) == job.version:
                continue
            for batch in self._batches.pop(job, ()):
                self._kill(batch)
            if not job.root.started:
                self._versions[job] = job.version
                continue
            self._enter(job)
            line = self._line_of(job.queue)
            for batch in self._batches[job]:
                insort(line, batch, lo=self._starts.get(job.queue, 0))

    def forget_absent(self, jobs: Mapping[str, JobState]) -> None:
        """Drop the batches of jobs that left the pool, and what depends on the shares of another plan."""
        self._heaps.clear()
        self._keys.clear()
        for job in [job for job in self._batches if jobs.get(job.key) is not job]:
            for batch in self._batches.pop(job):
                self._kill(batch)
        for job in [job for job in self._versions if jobs.get(job.key) is not job]:
            del self._versions[job]
        for queue, dead in self._dead.items():
            line = self._lines[queue]
            if dead > len(line) // 2:
                line[:] = [batch for batch in line if not batch.dead]
                self._dead[queue] = self._starts[queue] = 0

    def first(self, queue: QueueState) -> Batch | None:
        """The queue's first live batch."""
        line = self._lines.get(queue, [])
        start = self._starts.get(queue, 0)
        while start < len(line) and line[start].dead:
            start += 1
        self._starts[queue] = start
        return line[start] if start < len(line) else None

    def line(self, queue: QueueState) -> Iterator[Batch]:
        """The queue's live batches, first victim first."""
        self.first(queue)
        line = self._lines.get(queue, [])
        for index in range(self._starts[queue], len(line)):
            if not line[index].dead:
                yield line[index]

    def under(self, queue: QueueState) -> Iterator[Batch]:
        """The live batches of all leaf queues under this one."""
        if not queue.children:
            yield from self.line(queue)
        for child in self.below(queue) if queue.children else ():
            yield from self.under(child)

    def heap(self, parent: QueueState, totals: Vector) -> Heap:
        """The queues below this one in the order in which they would give way, for all to share and none to change."""
        stamp = (parent.version, self._stamps.get(parent, 0))
        known = self._heaps.get(parent)
        if known is not None and known[0] == stamp:
            return known[1]
        bests = []
        for queue in self.below(parent):
            if queue.children:
                under = self.heap(queue, totals)
                best = under[0][3] if under else None
            else:
                best = self.first(queue)
            if best is not None:
                bests.append((queue, best))
        heap = self.heap_of(bests, totals)
        self._heaps[parent] = (stamp, heap)
        return heap

    def heap_of(self, bests: list[tuple[QueueState, Batch]], totals: Vector) -> Heap:
        """Siblings with their first victims as a heap; one that is alone needs no place."""
        if len(bests) == 1:
            return [(ALONE, queue.index, queue, best) for queue, best in bests]
        heap = [(self._key(queue, best, totals), queue.index, queue, best) for queue, best in bests]
        heapq.heapify(heap)
        return heap

    def _key(self, queue: QueueState, best: Batch, totals: Vector) -> Key:
        """The queue's place while nothing was taken from it, worked out once."""
        known = self._keys.get(queue)
        if known is None or known[0] != queue.version or known[1] is not best:
            known = self._keys[queue] = (queue.version, best, _victim_key(queue, best, NOTHING, totals))
        return known[2]


def anyone(batch: Batch) -> bool:
    """No batch is protected."""
    return True


class VictimWalk:
    """One search's way through the victims: queues compared as if what was popped before were gone.

    ``queues``: the victims under these may be taken, if ``wanted``; none is above another. ``again`` starts over, from
    the state of the cluster at which the walk was made.
    """

    def __init__(
        self,
        index: VictimIndex,
        queues: Iterable[QueueState],
        totals: Vector,
        wanted: Callable[[Batch], bool],
    ) -> None:
        self.index = index
        self._wanted = wanted
        self._totals = totals
        self._taken: dict[QueueState, list[int]] = {}
        self._lines: dict[QueueState, Iterator[Batch]] = {}
        self._heaps: dict[QueueState | None, Heap] = {}
        self._own: set[QueueState | None] = set()
        groups: dict[QueueState | None, list[tuple[QueueState, Batch]]] = {}
        depths: dict[QueueState | None, int] = {}
        for queue in queues:
            best = self._best(queue)
            if best is not None:
                groups.setdefault(queue.parent, []).append((queue, best))
                depths.update((above.parent, len(above.path)) for above in queue.path)
        for parent in sorted(depths, key=lambda parent: -depths[parent]):
            heap = self._heaps[parent] = index.heap_of(groups.get(parent, []), totals)
            if heap and parent is not None:
                groups.setdefault(parent.parent, []).append((parent, heap[0][3]))
        self._start = dict(self._heaps)

    def _best(self, queue: QueueState) -> Batch | None:
        """The first victim under a queue; the heaps under it are made ready."""
        if not queue.children:
            first = self.index.first(queue)
            return first if first is None or self._wanted(first) else next(self._line(queue), None)
        if self._wanted is anyone:
            heap = self.index.heap(queue, self._totals)
            for child in self.index.below(queue):
                if child.children:
                    self._best(child)
        else:
            found = [(child, best) for child in self.index.below(queue) if (best := self._best(child)) is not None]
            heap = self.index.heap_of(found, self._totals)
        self._heaps[queue] = heap
        return heap[0][3] if heap else None

    def again(self) -> "VictimWalk":
        """The same walk from its beginning."""
        walk = copy(self)
        walk._taken = {}
        walk._lines = {}
        walk._heaps = dict(self._start)
        walk._own = set()
        return walk

    def _line(self, queue: QueueState) -> Iterator[Batch]:
        """The queue's batches that may be taken, from the first."""
        line = self.index.line(queue)
        return line if self._wanted is anyone else (batch for batch in line if self._wanted(batch))

    def _following(self, queue: QueueState, batch: Batch) -> Batch | None:
        """The batch after this one."""
        line = self._lines.get(queue)
        if line is None:
            line = self._lines[queue] = self._line(queue)
            for passed in line:
                if passed is batch:
                    break
        return next(line, None)

    def pop(self) -> Batch | None:
        """The next victim batch, or None."""
        heaps = self._heaps
        heap = heaps.get(None)
        if not heap:
            return None
        while True:
            _, _, queue, batch = heap[0]
            if not queue.children:
                break
            heap = heaps[queue]
        best = self._following(queue, batch)
        amount = batch.amount
        for mine in queue.path:
            parent = mine.parent
            heap = heaps[parent]
            if parent not in self._own:
                self._own.add(parent)
                heap = heaps[parent] = heap[:]
            taken = self._taken.get(mine)
            if taken is None:
                taken = self._taken[mine] = [0, 0, 0]
            taken[0] += amount[0]
            taken[1] += amount[1]
            taken[2] += amount[2]
            if best is None:
                heapq.heappop(heap)
            elif len(self._start[parent]) == 1:
                heap[0] = (ALONE, mine.index, mine, best)
            else:
                heapq.heapreplace(heap, (_victim_key(mine, best, taken, self._totals), mine.index, mine, best))
            best = heap[0][3] if heap else None
        return batch


def _victim_key(queue: QueueState, batch: Batch, taken: Sequence[int], totals: Vector) -> Key:
    """The queue order turned round: the queue that would be served last gives way first."""
    gpu, cpu, memory = queue.allocated
    less_gpu, less_cpu, less_memory = batch.amount
    held = [gpu - taken[0], cpu - taken[1], memory - taken[2]]
    after = [held[0] - less_gpu, held[1] - less_cpu, held[2] - less_memory]
    beyond, late, priority, shareless, share, share_held, rank = queue_key(queue, held, after, totals)
    return (-beyond, -late, -priority, -shareless, -share, -share_held, -rank)
