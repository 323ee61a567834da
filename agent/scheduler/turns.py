"""Whose turn it is after some victims were evicted, with places that are all alike: the order of queues, counted."""

from agent.domain.quantities import UNLIMITED
from agent.scheduler.context import Context
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import Key, queue_key, request_of
from agent.scheduler.victims import Amount, Batch

Player = tuple[Key, int, Amount, int, "Batch | None"]
"""Place in its queue's line, job's number, what it asks for, how many places that is, the victim (None: the gang)."""


class Turns:
    """The gang and its victims, once all victims are gone. One place per victim's pod besides those that are ``free``
    anyhow; each party takes what it needs when its turn comes, whole or not at all.
    """

    def __init__(
        self, context: Context, job: JobState, tasks: list[TaskState], batches: list[Batch], free: int
    ) -> None:
        self._totals = context.totals
        self._job = job
        self._batches = batches
        self._places = free + sum(len(batch.tasks) for batch in batches)
        self._held: dict[QueueState, Vector] = {}
        self._lines: dict[QueueState, list[Player]] = {}
        self._below: dict[QueueState | None, dict[QueueState, None]] = {}
        request = request_of(tasks, context.smallest_device)
        self._enter(job.queue, ((), job.index, request, len(tasks), None))
        for batch in batches:
            victim = batch.job
            key = (-victim.priority, *victim.age)
            self._enter(victim.queue, (key, victim.index, batch.amount, len(batch.tasks), batch))
        for line in self._lines.values():
            line.sort(key=lambda player: player[:2], reverse=True)

    def _enter(self, leaf: QueueState, player: Player) -> None:
        self._lines.setdefault(leaf, []).append(player)
        amount = player[2] if player[4] is not None else (0, 0, 0)
        for queue in leaf.path:
            self._below.setdefault(queue.parent, {})[queue] = None
            held = self._held.setdefault(queue, list(queue.allocated))
            for index in range(3):
                held[index] -= amount[index]

    def gone(self) -> list[Batch] | None:
        """The victims that find no place again, or None when the gang finds none."""
        places = self._places
        back: set[int] = set()
        placed = False
        while (leaf := self._next(None)) is not None:
            _, _, request, count, batch = self._lines[leaf].pop()
            fits = count <= places and not self._over(leaf, request, gang=batch is None)
            if batch is None:
                if not fits:
                    return None
                placed = True
            elif fits:
                back.add(id(batch))
            if fits:
                places -= count
                for queue in leaf.path:
                    held = self._held[queue]
                    for index in range(3):
                        held[index] += request[index]
            if placed and not places:
                break
        return [batch for batch in self._batches if id(batch) not in back]

    def _next(self, parent: QueueState | None) -> QueueState | None:
        """The leaf queue whose turn it is."""
        found: list[tuple[QueueState, QueueState]] = []
        for queue in self._below[parent]:
            leaf = self._next(queue) if queue.children else queue if self._lines[queue] else None
            if leaf is not None:
                found.append((queue, leaf))
        if len(found) < 2:
            return found[0][1] if found else None
        return min(found, key=lambda pair: (self._key(*pair), pair[0].index))[1]

    def _key(self, queue: QueueState, leaf: QueueState) -> Key:
        held, request = self._held[queue], self._lines[leaf][-1][2]
        return queue_key(queue, held, [held[index] + request[index] for index in range(3)], self._totals)

    def _over(self, leaf: QueueState, request: Amount, *, gang: bool) -> bool:
        """Whether a limit, or the quota of what cannot be preempted, forbids it."""
        fixed = gang and self._job.nonpreemptible
        for queue in leaf.path:
            held = self._held[queue]
            for index in range(3):
                wanted, limit, quota = request[index], queue.limit[index], queue.deserved[index]
                if wanted and limit != UNLIMITED and limit < held[index] + wanted:
                    return True
                if fixed and wanted and quota != UNLIMITED and quota < queue.nonpreemptible[index] + wanted:
                    return True
        return False
