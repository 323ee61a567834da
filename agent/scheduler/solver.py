"""The search for the least harmful set of victims that lets a gang start.

Grow the gang: 1, 2, 4 … pods, then a binary search; what was needed for fewer pods is kept for more. For each size
victims are added in order, and after each one small candidate sets are tried: first the victims of single nodes, then
the smallest sets of nodes that could hold the gang. Bounds reject almost every candidate before it is simulated.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.room import Promise, Wanted
from agent.scheduler.simulation import Outcome, simulate
from agent.scheduler.slices import MOVED, SIMULATED, TRIED, VICTIM
from agent.scheduler.snapshot import CutSearch
from agent.scheduler.victims import Batch, VictimWalk

JOB_STEPS, ACTION_STEPS, LEAST_STEPS = 40_000, 60_000, 500
"""Steps that may be simulated in vain: for one job, for all jobs of an action, and for each job that comes after the
action's are used up, so that one hard job never ends the action for those behind it (KAI's B16).
"""

SIMULATION = 20
"""Steps that a simulation costs besides one per pod it moves."""


def nothing_known(tasks: list[TaskState], batches: list[Batch]) -> bool:
    """Every set of victims has to be tried."""
    return False


@dataclass(slots=True)
class Search:
    """One job's search. ``walk``: the victims in order; ``valid`` judges an outcome; ``most`` caps victim jobs;
    ``hopeless`` knows some sets of victims that need not be simulated.
    """

    context: Context
    job: JobState
    tasks: list[TaskState]
    walk: VictimWalk
    valid: Callable[[Outcome], bool]
    most: int = -1
    hopeless: Callable[[list[TaskState], list[Batch]], bool] = nothing_known
    failed: set[tuple[int, frozenset[str]]] = field(default_factory=set)
    spent: int = 0
    _again: bool = False

    def __post_init__(self) -> None:
        first = self.context.slice.first
        if first is not None and first.job == self.job.key:
            self.failed, self.spent, self._again = set(first.failed), first.spent, True

    def note(self, fingerprint: tuple[int, frozenset[str]], cost: int) -> None:
        """A set of victims was of no use. What a search that goes on had to go through again is not counted."""
        self.failed.add(fingerprint)
        self.spent += cost
        self.context.spent += cost
        if self._again:
            self.context.slice.steps, self._again = 0, False

    def cut(self) -> bool:
        """Whether it ends here, to go on in the next plan: the slice is used up, and something new was tried."""
        part = self.context.slice
        if part.used_up and not self._again and part.cut is None:
            part.cut = CutSearch(self.job.key, self.spent, frozenset(self.failed))
        return part.cut is not None

    @property
    def budget(self) -> int:
        return JOB_STEPS if self.context.spent < ACTION_STEPS else LEAST_STEPS


Generator = Callable[["Probe"], Iterator[list[Batch]]]


def solve(search: Search) -> Outcome | None:
    """The first outcome that works, left standing on the working copy, or None with nothing changed; then
    ``Slice.cut`` says whether the search goes on in the next plan.
    """
    for generator in (node_local, multi_node):
        outcome = _grow(search, generator)
        if outcome is not None or search.context.slice.cut is not None:
            return outcome
    return None


def _grow(search: Search, generator: Generator) -> Outcome | None:
    session, count = search.context.session, len(search.tasks)
    recorded: list[Batch] = []
    best, step, failed_at = 0, 1, count + 1
    while best < count and best + 1 < failed_at:
        size = min(step, count) if failed_at > count else (best + failed_at) // 2
        found = _probe(search, generator, size, recorded)
        if search.context.slice.cut is not None:
            return None
        if found is None:
            failed_at = size
            if best == 0:
                return None
            continue
        outcome, used = found
        if size == count:
            return outcome
        session.undo(outcome.mark)
        best, recorded, step = size, used, size * 2
    if not best:
        return None
    found = _probe(search, generator, count, recorded)
    return found[0] if found else None


class Probe:
    """The state of one probe: what may be taken so far, by node, on top of what is recorded.

    ``ranked``: the nodes with victims that could hold the smallest pod, by (capacity, first seen, index), tightest
    first; ``rest``: what fits on all other nodes without evictions. Both are kept current batch by batch if ``ranks``.
    """

    def __init__(self, search: Search, tasks: list[TaskState], recorded: list[Batch], *, ranks: bool) -> None:
        context = search.context
        self._ranks = ranks
        self.wanted = Wanted(tasks, context.smallest_device)
        self.room = context.room_for(tasks, self.wanted.unit)
        self.recorded = recorded
        self.base = Promise(self.room)
        self.all = Promise(self.room)
        for batch in recorded:
            self.base.add(batch.tasks)
            self.all.add(batch.tasks)
        self.by_node: dict[int, list[Batch]] = {}
        self.extra: dict[int, dict[int, int]] = {}
        self.ranked: list[tuple[int, int, int]] = []
        self.rest = [self.base.fits, self.base.total]
        self._rank: dict[int, tuple[int, int, int]] = {}
        self._seen: dict[int, int] = {}
        self.latest: Batch | None = None

    def add(self, batch: Batch) -> None:
        """Take one more batch into consideration."""
        self.latest = batch
        self.all.add(batch.tasks)
        amounts: dict[int, int] = {}
        for task in batch.tasks:
            if task.node is not None:
                amounts[task.node.index] = amounts.get(task.node.index, 0) + task.accounted[0]
        for index in amounts:
            mine = self.extra.get(index)
            if mine is None:
                self.by_node[index] = []
                mine = self.extra[index] = {}
                self._seen[index] = len(self._seen)
            self.by_node[index].append(batch)
            for other, amount in amounts.items():
                mine[other] = mine.get(other, 0) + amount
            if self._ranks:
                self._place(index)

    def _place(self, index: int) -> None:
        """Put a node where its capacity now belongs."""
        capacity = self.all.on(index)
        old = self._rank.get(index)
        if old is not None:
            self.ranked.pop(bisect_left(self.ranked, old))
        elif capacity >= self.wanted.unit and capacity >= 0:
            before = max(self.base.on(index), 0)
            self.rest[0] -= before // self.room.unit
            self.rest[1] -= before
        else:
            return
        entry = self._rank[index] = (capacity, self._seen[index], index)
        insort(self.ranked, entry)


def _probe(
    search: Search, generator: Generator, size: int, recorded: list[Batch]
) -> tuple[Outcome, list[Batch]] | None:
    """Try to place the first ``size`` pods; the outcome stands, with the batches it used."""
    tasks = search.tasks[:size]
    probe = Probe(search, tasks, recorded, ranks=generator is multi_node)
    known = set(map(id, recorded))
    if recorded and probe.wanted.possible(probe.base.fits, probe.base.total):
        found = _try(search, tasks, recorded)
        if found:
            return found, recorded
    walk, work = search.walk.again(), search.context.slice
    victims: set[JobState] = {batch.job for batch in recorded}
    while (batch := walk.pop()) is not None:
        work.steps += VICTIM
        if id(batch) in known:
            continue
        victims.add(batch.job)
        if 0 <= search.most < len(victims):
            return None
        probe.add(batch)
        if not probe.wanted.possible(probe.all.fits, probe.all.total):
            continue
        for extra in generator(probe):
            chosen = recorded + extra
            found = _try(search, tasks, chosen)
            if found:
                return found, chosen
            if search.spent > search.budget or search.cut():
                return None
    return None


def _try(search: Search, tasks: list[TaskState], batches: list[Batch]) -> Outcome | None:
    """Simulate a set of victims unless the same failed before; undone when the action does not allow the outcome."""
    work = search.context.slice
    work.steps += TRIED
    fingerprint = (len(tasks), frozenset([batch.name for batch in batches]))
    if fingerprint in search.failed:
        return None
    pods = len(tasks) + sum(len(batch.tasks) for batch in batches)
    if not search.hopeless(tasks, batches):
        work.steps += SIMULATED + MOVED * pods
        outcome = simulate(search.context, search.job, tasks, batches)
        if outcome is not None:
            if search.valid(outcome):
                return outcome
            search.context.session.undo(outcome.mark)
    search.note(fingerprint, SIMULATION + pods)
    return None


def node_local(probe: Probe) -> Iterator[list[Batch]]:
    """Only the victims of one node, for each node of the latest victim."""
    assert probe.latest is not None
    seen: set[int] = set()
    for task in probe.latest.tasks:
        if task.node is None or task.node.index in seen:
            continue
        index = task.node.index
        seen.add(index)
        if probe.wanted.possible(*probe.base.with_more(probe.extra[index])):
            yield list(probe.by_node[index])


def multi_node(probe: Probe) -> Iterator[list[Batch]]:
    """The smallest sets of nodes that could hold the gang, tightest nodes first, growing by 1, 2, 4 …"""
    ranked, unit = list(probe.ranked), probe.room.unit
    fits, total = probe.rest
    needed = 0
    for capacity, _, _ in ranked:
        needed += 1
        fits += capacity // unit
        total += capacity
        if probe.wanted.possible(fits, total):
            break
    chosen: dict[int, Batch] = {}
    taken, step = 0, 0
    while taken < len(ranked):
        size = min(needed + step, len(ranked))
        for _, _, index in ranked[taken:size]:
            chosen.update((id(batch), batch) for batch in probe.by_node[index])
        taken = size
        yield list(chosen.values())
        step = max(step * 2, 1)
