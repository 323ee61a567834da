"""``plan``: a snapshot in, decisions out. Pure and deterministic; each node pool is planned on its own.

Work on a pool: take in, divide fairly, run the actions in order on one undoable working copy, read off the decisions.
``Planner`` keeps the working copy between plans and only looks at what changed; its plans are those of ``plan``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.domain.nodes import NodePool
from agent.domain.reasons import Reason
from agent.scheduler.allocate import allocate
from agent.scheduler.consolidate import consolidate
from agent.scheduler.context import Context
from agent.scheduler.dominance import Profiles
from agent.scheduler.filters import Filter, classify, label_keys
from agent.scheduler.intake import Intake, take_in
from agent.scheduler.placement import Placer, Strategy
from agent.scheduler.preempt import preempt
from agent.scheduler.reclaim import reclaim
from agent.scheduler.refresh import refresh
from agent.scheduler.results import Results
from agent.scheduler.room import Room
from agent.scheduler.shapes import device_memory
from agent.scheduler.shares import count_requests, share_out, totals_of
from agent.scheduler.slices import Slices
from agent.scheduler.snapshot import Config, Pass, Plan, Snapshot
from agent.scheduler.stale import evict_stale
from agent.scheduler.state import Session
from agent.scheduler.stillness import Stillness
from agent.scheduler.victims import VictimIndex

RUNNERS: Mapping[str, Callable[[Context], None]] = {
    "allocate": allocate,
    "consolidation": consolidate,
    "reclaim": reclaim,
    "preempt": preempt,
    "stalegangeviction": evict_stale,
}

LONGEST_LOG = 200_000
"""Ledger changes after which the caches that read the log start afresh."""


@dataclass(slots=True)
class _Kept:
    """What stays of a pool between plans: its placer's rankings, rooms and victims, each reading the ledger's log."""

    placer: Placer
    profiles: Profiles
    keys: tuple[tuple[str, ...], bool]
    rooms: dict[tuple[int, int], Room] = field(default_factory=dict)
    victims: VictimIndex | None = None
    still: Stillness = field(default_factory=Stillness)


def plan(snapshot: Snapshot, now: int, config: Config | None = None, passes: Mapping[str, Pass] | None = None) -> Plan:
    """What to do about the cluster at ``now`` (ns). Never raises on bad objects: they are in ``Plan.refused``.

    ``passes``: those of the plan before, where ``config.eviction_steps`` bounds the eviction work of one plan.
    """
    return Planner().plan(snapshot, now, config, passes)


class Planner:
    """Plans one snapshot after another. A new snapshot should share unchanged objects with the one before."""

    def __init__(self, stopwatch: Callable[[], float] = lambda: 0.0) -> None:
        """``stopwatch``: seconds since whenever, for ``spent``: what each action of the last plan took."""
        self.spent: dict[str, float] = {}
        self._stopwatch = stopwatch
        self._before: Snapshot | None = None
        self._intake = Intake()
        self._kept: dict[str, _Kept] = {}

    def plan(
        self,
        snapshot: Snapshot,
        now: int,
        config: Config | None = None,
        passes: Mapping[str, Pass] | None = None,
    ) -> Plan:
        """As the function ``plan``; the same answer whatever was planned before."""
        config, self.spent = config or Config(), {}
        before, self._before = self._before, None
        if before is None or not refresh(self._intake, before, snapshot):
            self._intake = take_in(snapshot)
            self._kept = {}
        intake = self._intake
        refused = dict(intake.refused)
        groups: dict[str, tuple[Reason, ...]] = {
            key.removeprefix("group/"): (why,) for key, why in refused.items() if key.startswith("group/")
        }
        results = Results(reasons=groups, pod_reasons=dict(intake.unplaced))
        planned = [one for one in intake.sessions.items() if not config.pools or one[0] in config.pools]
        for name, session in planned:
            self._keep(session, name, intake.pools.get(name))
        still = {name for name, _ in planned if self._is_still(name, config, snapshot)}
        slices = Slices(config.eviction_steps, planned, passes, still)
        for name, session in planned:
            kept = self._kept[name]
            context = _prepare(intake, name, snapshot, now, config, kept)
            context.slice = slices.next(name)
            if name in still:
                context.notes.update(kept.still.notes)
            else:
                kept.still.begin(fresh=context.slice.fresh, before=passes.get(name) if passes else None)
            for action in config.actions:
                if runner := RUNNERS.get(action):
                    began = self._stopwatch()
                    runner(context)
                    self.spent[action] = self.spent.get(action, 0.0) + self._stopwatch() - began
            slices.close(name, context.slice, config.actions, context.jobs, context.notes)
            kept.still.end(context, over=context.slice.over, after=slices.passes.get(name))
            results.read(context)
            session.undo(0)
            kept.victims = context.victims
        self._before = snapshot
        return results.plan(refused, slices.passes)

    def _is_still(self, name: str, config: Config, snapshot: Snapshot) -> bool:
        """Whether what failed in the pool's last pass would fail again."""
        return self._kept[name].still.holds(config, snapshot.usage, touched=name in self._intake.touched)

    def _keep(self, session: Session, name: str, pool: NodePool | None) -> None:
        """Have the pool's caches, made anew when a new kind of constraint or too long a log makes them useless."""
        shapes = self._intake.shapes[name]
        keys = label_keys(shape.constraints for shape in shapes.all())
        kept = self._kept.get(name)
        if kept is None or kept.keys != keys or len(session.changes) > LONGEST_LOG:
            session.changes.clear()
            classify(session.nodes, *keys)
            victims = kept.victims if kept else None
            profiles = kept.profiles if kept else Profiles(session.conditions)
            placer = Placer(session, session.nodes, _strategy(pool or NodePool(name)), Filter())
            self._kept[name] = _Kept(placer, profiles, keys, victims=victims)


def _strategy(pool: NodePool) -> Strategy:
    return Strategy(
        gpu_spread=pool.gpu_placement == "spread",
        cpu_spread=pool.cpu_placement == "spread",
        device_spread=(pool.device_placement or pool.gpu_placement) == "spread",
        join_shared=pool.gpu_placement != "spread" if pool.join_shared is None else pool.join_shared,
    )


def _prepare(intake: Intake, pool: str, snapshot: Snapshot, now: int, config: Config, kept: _Kept) -> Context:
    """Divide fairly and set up one pool's planning."""
    session = intake.sessions[pool]
    sizes = [device_memory(state.node.gpu_memory) for state in session.nodes if state.gpus]
    smallest, largest = (min(sizes), max(sizes)) if sizes else (device_memory(0), device_memory(0))
    totals = totals_of(session.nodes)
    jobs = list(session.jobs.values())
    session.charges.clear()
    count_requests(jobs, session.queues.values(), smallest)
    share_out(session, totals, k_value=config.k_value, usage=snapshot.usage)
    kept.profiles.forget_absent(session.jobs)
    if kept.victims is not None:
        kept.victims.forget_absent(session.jobs)
    return Context(
        config=config,
        now=now,
        pool=pool,
        session=session,
        jobs=jobs,
        placer=kept.placer,
        profiles=kept.profiles,
        totals=totals,
        smallest_device=smallest,
        largest_device=largest,
        node_count=len(snapshot.nodes),
        reclaim_protects=bool(config.reclaim_min_runtime)
        or any(queue.queue.reclaim_min_runtime for queue in session.queues.values()),
        topologies=intake.topologies,
        rooms=kept.rooms,
        victims=kept.victims,
    )
