"""Who gives way first: the pods that may be taken, in batches, indexed by queue once per action.

A batch is what one step takes: a surplus pod of an elastic gang, a surplus sub-group, or all that is left of a gang.
Inside a queue the batches lie in reverse job order; between queues the most over-served queue comes first.
"""

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
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


class Batch:
    """Pods that leave together. ``core``: the gang has nothing left without them. ``dead``: no longer as indexed."""

    __slots__ = ("amount", "core", "dead", "job", "key", "tasks")

    def __init__(self, job: JobState, tasks: list[TaskState], core: bool, growth: int, number: int) -> None:
        self.job = job
        self.tasks = tasks
        self.core = core
        self.dead = False
        created, uid = job.age
        self.key = (job.priority, -growth, -created, Reversed(uid), number)
        self.amount = [sum(task.accounted[index] for task in tasks) for index in range(3)]

    def __lt__(self, other: "Batch") -> bool:
        return self.key < other.key


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


class VictimIndex:
    """All batches of one action. Jobs that changed are looked at again when the next search starts."""

    def __init__(self, session: Session, jobs: Iterable[JobState]) -> None:
        self._session = session
        self._versions: dict[JobState, int] = {}
        self._batches: dict[JobState, list[Batch]] = {}
        self._lines: dict[QueueState, list[Batch]] = {}
        self._starts: dict[QueueState, int] = {}
        self.keys: dict[QueueState, tuple[int, Batch, Key]] = {}
        self._totals: dict[QueueState, int] = {}
        self._sizes: dict[QueueState, dict[int, int]] = {}
        self._dead: dict[QueueState, int] = {}
        for job in jobs:
            if job.preemptible and any(leaf.active for leaf in job.root.leaves()):
                self._enter(job)
                self._lines.setdefault(job.queue, []).extend(self._batches[job])
        for line in self._lines.values():
            line.sort()

    def queues(self) -> Iterable[QueueState]:
        return self._lines.keys()

    def total(self, queue: QueueState) -> int:
        """Milli-GPU of all the queue's batches."""
        return self._totals.get(queue, 0)

    def largest(self, queue: QueueState) -> int:
        """Milli-GPU of the queue's largest batch."""
        return max((size for size, count in self._sizes.get(queue, {}).items() if count > 0), default=0)

    def _kill(self, batch: Batch) -> None:
        queue = batch.job.queue
        batch.dead = True
        self._dead[queue] = self._dead.get(queue, 0) + 1
        self._totals[queue] -= batch.amount[0]
        self._sizes[queue][batch.amount[0]] -= 1

    def _enter(self, job: JobState) -> None:
        found = [batch for batch in batches_of(self._session, job) if not (job.semi and batch.core)]
        self._batches[job] = found
        queue = job.queue
        for batch in found:
            self._totals[queue] = self._totals.get(queue, 0) + batch.amount[0]
            sizes = self._sizes.setdefault(queue, {})
            sizes[batch.amount[0]] = sizes.get(batch.amount[0], 0) + 1
        self._versions[job] = job.version

    def renew(self, jobs: Iterable[JobState]) -> None:
        """Look again at jobs that gave pods or got them."""
        for job in jobs:
            if not job.preemptible or self._versions.get(job) == job.version:
                continue
            for batch in self._batches.pop(job, ()):
                self._kill(batch)
            if not any(leaf.active for leaf in job.root.leaves()):
                continue
            self._enter(job)
            line = self._lines.setdefault(job.queue, [])
            for batch in self._batches[job]:
                insort(line, batch, lo=self._starts.get(job.queue, 0))

    def forget_absent(self, jobs: Mapping[str, JobState]) -> None:
        """Drop the batches of jobs that left the pool, and what depends on the shares of another plan."""
        self.keys.clear()
        for job in [job for job in self._batches if jobs.get(job.key) is not job]:
            for batch in self._batches.pop(job):
                self._kill(batch)
            self._versions.pop(job, None)
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


def anyone(batch: Batch) -> bool:
    """No batch is protected."""
    return True


class VictimWalk:
    """One search's way through the victims: queues compared as if what was popped before were gone.

    ``again`` starts over, from the state of the cluster at which the walk was made.
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
        self._keys = index.keys
        self._taken: dict[QueueState, list[int]] = {}
        self._lines: dict[QueueState, Iterator[Batch]] = {}
        self._next: dict[QueueState, Batch] = {}
        self._heaps: dict[QueueState | None, list[tuple[Key, int, QueueState]]] = {}
        self._single: QueueState | None = None
        inner: dict[QueueState, None] = {}
        for queue in queues:
            first = index.first(queue)
            if first is not None and wanted is not anyone and not wanted(first):
                first = next(self._line(queue), None)
            if first is not None:
                self._next[queue] = first
                inner.update(dict.fromkeys(queue.path[1:]))
        if len(self._next) == 1:
            self._single = next(iter(self._next))
            return
        self._peers = Counter(queue.parent for queue in (*self._next, *inner))
        for queue, batch in self._next.items():
            self._heaps.setdefault(queue.parent, []).append((self._key(queue, batch), queue.index, queue))
        for queue in sorted(inner, key=lambda queue: -len(queue.path)):
            heapq.heapify(self._heaps[queue])
            self._push(queue)
        heapq.heapify(self._heaps.get(None, []))

    def again(self) -> "VictimWalk":
        """The same walk from its beginning."""
        walk = copy(self)
        walk._taken = {}
        walk._lines = {}
        walk._next = dict(self._next)
        walk._heaps = {parent: heap[:] for parent, heap in self._heaps.items()}
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
        queue = self._single or self._find_leaf()
        batch = self._next.pop(queue, None) if queue is not None else None
        if queue is None or batch is None:
            return None
        following = self._following(queue, batch)
        if following is not None:
            self._next[queue] = following
        if self._single is None:
            for ancestor in queue.path:
                taken = self._taken.setdefault(ancestor, [0, 0, 0])
                for index in range(3):
                    taken[index] += batch.amount[index]
            self._repush(queue)
        return batch

    def _find_leaf(self) -> QueueState | None:
        parent: QueueState | None = None
        while heap := self._heaps.get(parent):
            queue = heap[0][2]
            if not queue.children:
                return queue
            parent = queue
        return None

    def _repush(self, leaf: QueueState) -> None:
        for queue in leaf.path:
            heapq.heappop(self._heaps[queue.parent])
            self._push(queue)

    def _push(self, queue: QueueState) -> None:
        best = self._best(queue)
        if best is not None:
            heapq.heappush(self._heaps.setdefault(queue.parent, []), (self._key(queue, best), queue.index, queue))

    def _best(self, queue: QueueState) -> Batch | None:
        while queue.children:
            heap = self._heaps.get(queue)
            if not heap:
                return None
            queue = heap[0][2]
        return self._next.get(queue)

    def _key(self, queue: QueueState, batch: Batch) -> Key:
        """The queue order turned round: the queue that would be served last gives way first."""
        if self._peers[queue.parent] < 2:
            return ALONE
        taken = self._taken.get(queue)
        if taken is not None:
            return _victim_key(queue, batch, taken, self._totals)
        known = self._keys.get(queue)
        if known is None or known[0] != queue.version or known[1] is not batch:
            known = self._keys[queue] = (queue.version, batch, _victim_key(queue, batch, [0, 0, 0], self._totals))
        return known[2]


def _victim_key(queue: QueueState, batch: Batch, taken: Vector, totals: Vector) -> Key:
    gpu, cpu, memory = queue.allocated
    held = [gpu - taken[0], cpu - taken[1], memory - taken[2]]
    less = batch.amount
    after = [held[0] - less[0], held[1] - less[1], held[2] - less[2]]
    return tuple(-part for part in queue_key(queue, held, after, totals))
