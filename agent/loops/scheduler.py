"""The scheduler role: changes wake it, it plans with the pure core, and carries the plan out.

Event-driven: a pending pod starts a cycle at once when nothing is going on; while cycles and binds keep the process
busy, changes pile up and the next cycle takes them all. Time alone starts a cycle only while something waits that time
can change. ``docs/scheduler-live.md`` follows one decision from watch to bind, and what happens where a process dies.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from agent.config import Settings
from agent.kube.mirror import Mirror
from agent.kube.mirror.checking import differences
from agent.kube.resources import (
    DEVICE_CLASS,
    NAMESPACE,
    NODE,
    NODE_POOL,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_GROUP,
    PRIORITY_CLASS,
    QUEUE,
    RESOURCE_CLAIM,
    RESOURCE_SLICE,
    STORAGE_CLASS,
    TOPOLOGY,
    WORKLOAD_KIND,
)
from agent.loops.clocks import SteadyClock
from agent.loops.configured import ConfigChanged, Configured, effective, planning
from agent.loops.context import Context
from agent.loops.execution import Executor
from agent.loops.lookups import Lookups
from agent.loops.queue_status import QueueReporter
from agent.loops.reporting import Reporter
from agent.loops.reservations import Reservations
from agent.loops.scheduler_metrics import BACKLOG, CHECKS, DEFECTS, EVENTS, PENDING, QueueMetrics, measure
from agent.loops.usage_history import UsageHistory
from agent.scheduler.planner import Planner
from agent.scheduler.snapshot import Pass, Plan, Snapshot

log = structlog.get_logger(__name__)

HOT = True
"""A standby reads along, so that its first plan is not the first time that it sees the cluster."""
TICK_S = 1.0
"""While something waits, a cycle at least this often: delays run out, minimum run times pass."""
STANDBY_S = 0.05
"""How often a process that must not plan looks whether it may."""
SETTLE_S = 0.002
SETTLE_MOST = 10
"""Before a cycle, wait for so long without a change, and at most so many times."""
PLANS_MOST = 4
"""How often a cycle plans again because pods were found that hold a node unaccounted; it settles at the second."""
REST = 0.2
BUSY_REST = 1.0
"""After a cycle, pause this many times as long as it took, so that watches and binds get their turn; longer while
binds are on their way, for then the cycle that follows is worth more."""
BUSY_BACKLOG = 8
GOING_S = 1.0
"""Victims of ours that leave keep the process busy for so long after the last change."""
CHECK_CYCLES = 200
CHECK_SHARE = 1000
"""Every so many cycles, in a quiet moment, what we know is compared with what the stores say read anew; the next time
is not before this many times as long as that took."""

_AT_START = ("scheduler_names", "node_pool_label", "queue_label")
"""Settings that decide which objects are ours: read once."""

_DEVICES = (DEVICE_CLASS, RESOURCE_SLICE, RESOURCE_CLAIM)
_OPTIONAL = {NODE_POOL, TOPOLOGY, POD_GROUP, QUEUE, WORKLOAD_KIND, *_DEVICES}
_READ_FIRST = (STORAGE_CLASS, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, *_DEVICES)
_KINDS = (PRIORITY_CLASS, NAMESPACE, WORKLOAD_KIND, TOPOLOGY, NODE_POOL, QUEUE, POD_GROUP, NODE, *_READ_FIRST, POD)


async def run(context: Context) -> None:
    """Schedule until cancelled. Raises what no retry can mend; the process is then started again."""
    await Scheduler(context).run()


class Scheduler:
    """Wires stores, mirror, planner, executor and reporters together."""

    def __init__(self, context: Context) -> None:
        kube = context.kube
        self._context = context
        self._configured = Configured(context.informers)
        self._settings = settings = effective(context.settings, self._configured.spec)
        self._config = planning(self._configured.spec, settings.node_pools)
        self._wake = asyncio.Event()
        self._clock = SteadyClock()
        self._changes = 0
        self._moved_at = 0.0
        self._cycles_since_check = 0
        self._check_after = 0.0
        self._planner = Planner(time.perf_counter)
        self._passes: Mapping[str, Pass] = {}
        self._pass_began: int | None = None
        self._mirror = self._empty_mirror(settings)
        self._lookups = Lookups(kube, self._mirror)
        informers = context.informers
        self._informers = {kind: informers.of(kind, optional=kind in _OPTIONAL) for kind in _KINDS}
        stores = {kind: informer.store for kind, informer in self._informers.items()}
        self._stores = stores
        told = {"queue": stores[QUEUE], "node": stores[NODE], "group": stores[POD_GROUP], "pod": stores[POD]}
        self._reporter = Reporter(kube, self._mirror, told, leading=self._leading, busy=self._busy)
        self._reservations = Reservations(
            kube,
            self._mirror,
            stores[POD],
            stores[NODE],
            leading=self._leading,
            image=settings.reservation_image,
            enabled=settings.gpu_reservations,
            mine=self._plans,
        )
        self._figures = QueueMetrics()
        self._usage = UsageHistory(kube, leading=self._leading, shard="-".join(settings.node_pools))
        self._executor = Executor(
            kube,
            self._mirror,
            leading=self._leading,
            on_bound=self._reporter.bound,
            on_failed=self._reporter.bind_failed,
            on_evicted=self._reporter.evicted,
            reservations=self._reservations,
        )
        self._queues = QueueReporter(
            kube, stores[QUEUE], self._snapshot, groups=stores[POD_GROUP], leading=self._leading, busy=self._busy
        )

    def _empty_mirror(self, settings: Settings) -> Mirror:
        return Mirror(
            settings.scheduler_names,
            pool_label=settings.node_pool_label,
            queue_label=settings.queue_label,
            gpu_placement=settings.placement_gpu,
            cpu_placement=settings.placement_cpu,
            wake=self._woken,
            clock=self._clock,
        )

    def _leading(self) -> bool:
        return self._context.leading

    def _busy(self) -> bool:
        """Whether writes that can wait should: binds are on their way, or victims go one after the other."""
        going = bool(self._mirror.demand.leaving) and time.monotonic() - self._moved_at < GOING_S
        return going or not self._executor.idle

    def _plans(self, node: str) -> bool:
        """Whether the node is in a pool of ours."""
        known, pools = self._mirror.supply.node(node), self._settings.node_pools
        return not pools or (known is not None and known.pool in pools)

    def _snapshot(self) -> Snapshot:
        return self._mirror.snapshot(self._clock())

    def _woken(self) -> None:
        self._changes += 1
        self._moved_at = time.monotonic()
        self._wake.set()
        self._lookups.poke()

    async def run(self) -> None:
        for informer in self._informers.values():
            await informer.synced()
        self._attach()
        self._context.board.offer(self._snapshot)
        # What was just read stays for long: the collector need not walk through it again and again. Of what comes later
        # it looks at little at a time (8 ms; 45 ms at 50,000), since a pod may wait for the plan that it interrupts.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 100, 50)
        log.info("scheduling", nodes=len(self._stores[NODE]), pods=len(self._stores[POD]))
        with self._figures.offered():
            await self._work()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._executor.run())
            group.create_task(self._reporter.run())
            group.create_task(self._queues.run())
            group.create_task(self._lookups.run())
            group.create_task(self._reservations.run())
            group.create_task(self._usage.run())
            group.create_task(self._follow_config())
            group.create_task(self._cycles())

    async def _follow_config(self) -> None:
        """Take over what the RunaiConfig says, now and at every change. What was read at the start ends the process."""
        changed = asyncio.Event()
        changed.set()
        self._configured.on_change(changed.set)
        while True:
            await changed.wait()
            changed.clear()
            spec = self._configured.spec
            wanted = effective(self._context.settings, spec)
            for name in _AT_START:
                if getattr(wanted, name) != getattr(self._settings, name):
                    raise ConfigChanged(f"{name} is {getattr(wanted, name)!r} now")
            self._mirror.set_placement(wanted.placement_gpu, wanted.placement_cpu)
            self._usage.configure(spec.scheduler.fairness)
            config = planning(spec, wanted.node_pools)
            if config != self._config:
                self._config, self._planner = config, Planner(time.perf_counter)
                log.info("planning_changed", config=repr(config))
                self._woken()

    def _attach(self) -> None:
        """Feed the mirror: first what others are read with, pods last."""
        mirror, stores = self._mirror, self._stores
        stores[PRIORITY_CLASS].on_change(mirror.on_priority_class)
        stores[NAMESPACE].on_change(mirror.on_namespace)
        stores[WORKLOAD_KIND].on_change(mirror.on_workload_kind)
        stores[TOPOLOGY].on_change(mirror.on_topology)
        stores[NODE_POOL].on_change(mirror.on_node_pool)
        stores[QUEUE].on_change(mirror.on_queue)
        stores[POD_GROUP].on_change(mirror.on_group)
        stores[POD_GROUP].on_change(self._reporter.on_group)
        stores[NODE].on_change(mirror.on_node)
        stores[STORAGE_CLASS].on_change(mirror.on_storage_class)
        stores[PERSISTENT_VOLUME].on_change(mirror.on_volume)
        stores[PERSISTENT_VOLUME_CLAIM].on_change(mirror.on_claim)
        for kind in _DEVICES:
            stores[kind].on_change(mirror.on_device)
        stores[POD].on_change(mirror.on_pod)
        stores[POD].on_change(self._reservations.on_pod)

    async def _cycles(self) -> None:
        self._wake.set()
        while True:
            await self._wait()
            await self._settle()
            self._wake.clear()
            if not self._context.leading or self._deaf():
                self._stand_by()
                await asyncio.sleep(STANDBY_S)
                self._wake.set()
                continue
            took = self._cycle()
            self._context.health.set(True)
            self._check()
            await asyncio.sleep(took * (BUSY_REST if self._executor.backlog > BUSY_BACKLOG else REST))

    def _stand_by(self) -> None:
        if self._deaf():
            self._context.health.set(False, "waiting for the API server")
        else:
            self._context.health.set(True, "waiting for its turn")

    async def _wait(self) -> None:
        """Until something happened, or for a tick while something waits."""
        if not self._mirror.restless():
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _settle(self) -> None:
        """Let what is arriving arrive: who asks together is judged together, whoever's pod was read first."""
        for _ in range(SETTLE_MOST):
            seen = self._changes
            await asyncio.sleep(SETTLE_S)
            if self._changes == seen:
                return

    def _deaf(self) -> bool:
        """Whether a watch has been silent for so long that what we know may be old."""
        return any(informer.is_stale for informer in (self._informers[POD], self._informers[NODE]))

    def _cycle(self) -> float:
        """One plan and its consequences. Returns how long it took, in seconds."""
        started = time.perf_counter()
        now, seen = self._clock(), self._changes
        snapshot, decided = self._plan(now)
        self._go_on(decided, seen)
        self._executor.carry_out(decided)
        self._mirror.note(decided, now)
        self._reporter.take(decided, now)
        self._queues.take(decided.shares)
        self._usage.observe(now, decided.shares, snapshot.nodes)
        took = time.perf_counter() - started
        self._measure(decided, took)
        return took

    def _go_on(self, decided: Plan, seen: int) -> None:
        """The next cycle at once while a pass of evictions goes on, or when things changed since it began.

        ``seen``: changes before the plan. Who came during a pass, or was judged before a change, has the next one.
        """
        began = seen if self._pass_began is None else self._pass_began
        self._passes, self._pass_began = decided.passes, began if decided.unfinished else None
        if decided.unfinished or began != seen:
            self._wake.set()

    def _check(self) -> None:
        """Now and then: is the incremental snapshot what a full rebuild would be? If not, that is a defect of ours."""
        self._cycles_since_check += 1
        calm = self._executor.idle and not self._mirror.demand.assumed and not self._mirror.demand.leaving
        if not calm or self._cycles_since_check < CHECK_CYCLES or time.monotonic() < self._check_after:
            return
        started = time.monotonic()
        found = differences(self._mirror, self._stores, self._clock())
        CHECKS.inc()
        if found:
            DEFECTS.inc(len(found))
            log.error("snapshot_differs_from_rebuild", differences=found)
        self._cycles_since_check = 0
        self._check_after = time.monotonic() + CHECK_SHARE * (time.monotonic() - started)

    def _plan(self, now: int) -> tuple[Snapshot, Plan]:
        """A plan in which every pod that holds a node is counted there, whatever became of its queue or group."""
        for _ in range(PLANS_MOST):
            snapshot = self._mirror.snapshot(now)
            if usage := self._usage.shares(now):
                snapshot = replace(snapshot, usage=usage)
            decided = self._decide(snapshot, now)
            if not self._mirror.charge_nodes(self._mirror.unaccounted(decided)):
                return snapshot, decided
        log.error("unaccounted_pods", count=len(self._mirror.unaccounted(decided)))
        return snapshot, replace(decided, binds=(), evictions=())

    def _decide(self, snapshot: Snapshot, now: int) -> Plan:
        """The plan. What the planner keeps between plans must not be the end of us: without it once more, then fail."""
        try:
            return self._planner.plan(snapshot, now, self._config, self._passes)
        except Exception:
            log.exception("plan_failed")
            self._planner = Planner(time.perf_counter)
            return self._planner.plan(snapshot, now, self._config)

    def _measure(self, decided: Plan, took: float) -> None:
        measure(decided, took, self._planner.spent)
        self._figures.take(decided.shares)
        PENDING.set(len(self._mirror.demand.pending))
        BACKLOG.set(self._executor.backlog)
        EVENTS.set(len(self._reporter.events))
        if decided.binds or decided.evictions:
            log.debug("planned", binds=len(decided.binds), evictions=len(decided.evictions), seconds=round(took, 4))
