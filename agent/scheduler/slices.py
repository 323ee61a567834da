"""Bounds the eviction work of one plan: a pass over all who wait is cut into slices of counted steps.

Searches for victims are nearly all of the work on a crowded cluster, and nobody who needs none should wait for them. So
a plan stops them after so many steps; the next one allocates again and goes on with the pass. Steps are counted, never
timed, so that the same input gives the same plan. In a pass each action lets its members try in the order of queues and
jobs, as without slices. Members are those who waited when it was first cut: whoever comes later is in the next pass, so
that nobody is overtaken for ever. A pool that is through waits for the others before it begins anew.

Inside one plan, what was promised is not given away. So that it is not between two plans either, those for whom others
were evicted come first when the next plan gives out room, until they have their place.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from agent.domain.pods import PodStatus
from agent.domain.reasons import Reason, reason
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.snapshot import CutSearch, Pass
from agent.scheduler.state import Session

STEPS_A_CYCLE = 7000
"""What the live scheduler lets a plan do: 70 ms or so where the benchmark was measured."""

TAKING = ("consolidation", "reclaim", "preempt")
"""The actions that make up a pass."""

TURN, VICTIM, TRIED, SIMULATED, MOVED = 8, 1, 2, 8, 3
"""Steps, some ten microseconds each: a job's turn, a victim looked at, a set of victims judged, one simulated, and each
pod in it.
"""


class Slice:
    """What one plan may do of a pool's pass. ``limit``: steps, 0 = any number; ``steps``: done so far.

    ``resting``: the pool is through and waits for others. ``still``: the pass would do nothing and is left out.
    ``cut``: the search that was ended in this plan. ``spent``: steps simulated in vain when the current action begins.
    ``won``: keys of the jobs for which room was taken.
    """

    __slots__ = (
        "_action",
        "_before",
        "_end",
        "_resting",
        "_resumes",
        "_still",
        "_turns",
        "cut",
        "limit",
        "spent",
        "steps",
        "won",
    )

    def __init__(
        self, limit: int = 0, before: Pass | None = None, *, resting: bool = False, still: bool = False
    ) -> None:
        self.limit = limit
        self.steps = 0
        self.cut: CutSearch | None = None
        self.spent = 0
        self.won: list[str] = []
        self._before = before or Pass()
        self._resting = resting
        self._still = still
        self._resumes = self._before.action
        self._action = ""
        self._turns: frozenset[str] | None = None
        self._end: Pass | None = None

    @property
    def promised(self) -> tuple[str, ...]:
        """Keys of the jobs that earlier plans took room for."""
        return self._before.promised

    @property
    def fresh(self) -> bool:
        """Whether a pass begins with this plan."""
        return not (self._resting or self._still or self._before.action)

    @property
    def over(self) -> bool:
        """Whether the pass ends with this plan."""
        return not self._resting and self._end is None

    @property
    def used_up(self) -> bool:
        return 0 < self.limit <= self.steps

    @property
    def sliced(self) -> bool:
        """Whether only some of those who wait belong to the current action."""
        return self._turns is not None

    @property
    def first(self) -> CutSearch | None:
        """The search that goes on in the current action."""
        return self._before.cut if self._action and self._action == self._before.action else None

    def begins(self, action: str, jobs: Iterable[JobState]) -> bool:
        """Whether the action has work in this plan. To be asked for each action, in order."""
        if self._resting or self._still or self._end is not None or self._resumes not in ("", action):
            return False
        before, self._action = self._before, action
        self._turns = before.turns if self._resumes else before.members if before.action else None
        self.spent = before.spent if self._resumes else 0
        self._resumes = ""
        if self.used_up:
            members = self._members(jobs)
            self._end = Pass(action, members, members, judged=before.judged, known=before.known)
        return self._end is None

    def has(self, job: JobState) -> bool:
        """Whether the job's turn in the current action is to come."""
        return self._turns is None or job.key in self._turns

    def stop(self, jobs: Iterable[JobState], rest: Iterable[JobState], spent: int) -> None:
        """End in the current action. ``rest``: whose turn is to come, besides the job of the search that was cut."""
        turns = frozenset(job.key for job in rest)
        if self.cut is not None:
            turns |= {self.cut.job}
        if turns:
            before = self._before
            self._end = Pass(
                self._action, self._members(jobs), turns, self.cut, spent, judged=before.judged, known=before.known
            )

    def _members(self, jobs: Iterable[JobState]) -> frozenset[str]:
        return self._before.members if self._before.action else frozenset(job.key for job in jobs if job.waiting)

    def close(self, actions: Sequence[str], jobs: Iterable[JobState], notes: dict[JobState, Reason]) -> Pass:
        """What the next plan goes on with. Adds to ``notes`` what earlier plans found, and whose turn is to come."""
        before, end = self._before, self._end
        found: dict[str, Reason] = {}
        judged: set[str] = set()
        for job in jobs:
            if not job.waiting:
                continue
            note = notes.get(job) or before.notes.get(job.key)
            if note is not None:
                found[job.key] = notes[job] = note
            if self._tried(job.key, actions):
                judged.add(job.key)
            elif note is None and job.root.ready:
                self._recall(job, notes)
        promised = self._still_promised(jobs)
        if self._resting:
            return replace(before, promised=promised)
        if end is None:
            return Pass(judged=frozenset(judged), known=found, promised=promised)
        return replace(end, notes=found, promised=promised)

    def _still_promised(self, jobs: Iterable[JobState]) -> tuple[str, ...]:
        """Who waits for room that others were evicted for."""
        winners = dict.fromkeys((*self._before.promised, *self.won))
        waits = {job.key for job in jobs if job.key in winners and any(map(_nominated, job.tasks))} if winners else ()
        return tuple(key for key in winners if key in waits)

    def _tried(self, key: str, actions: Sequence[str]) -> bool:
        """Whether the pass is through with a job: it has had its turn in each action."""
        before, end = self._before, self._end
        if self._resting or (before.action and key not in before.members):
            return False
        if end is None:
            return True
        last = next((action for action in reversed(actions) if action in TAKING), "")
        return end.action == last and key not in end.turns

    def _recall(self, job: JobState, notes: dict[JobState, Reason]) -> None:
        """What the last pass found out about a job that this one is not through with."""
        old = self._before.known.get(job.key)
        if old is not None:
            notes[job] = old
        elif job.key not in self._before.judged:
            notes[job] = reason("TurnToCome")


def _nominated(task: TaskState) -> bool:
    return task.status == PodStatus.PIPELINED and task.pod.status == PodStatus.PENDING


class Slices:
    """The slices of all pools of one plan. Pools with work share the steps; what one leaves goes to those after it.

    ``still``: pools whose pass would do nothing.
    """

    def __init__(
        self,
        total: int,
        pools: Iterable[tuple[str, Session]],
        before: Mapping[str, Pass] | None,
        still: Collection[str] = (),
    ) -> None:
        self.passes: dict[str, Pass] = {}
        self._left = total
        self._on = total > 0
        self._before = (before or {}) if self._on else {}
        self._still = still
        names = [name for name, session in pools if self._on and name not in still and _waits(session)]
        going = [name for name in names if self._before.get(name, Pass()).action]
        self._going = bool(going)
        self._busy = going or names

    def next(self, pool: str) -> Slice:
        """The pool's slice; at least one step, for 0 would mean any number."""
        if not self._on or pool in self._still:
            return Slice(still=pool in self._still)
        before = self._before.get(pool)
        if pool not in self._busy:
            return Slice(1, before, resting=self._going)
        return Slice(max(self._left // (len(self._busy) - self._busy.index(pool)), 1), before)

    def close(
        self, pool: str, done: Slice, actions: Sequence[str], jobs: Iterable[JobState], notes: dict[JobState, Reason]
    ) -> None:
        """Keep how far the pool's pass has come."""
        if self._on:
            self._left = max(self._left - done.steps, 0)
            self.passes[pool] = done.close(actions, jobs, notes)


def _waits(session: Session) -> bool:
    return any(job.waiting for job in session.jobs.values())
