"""The benchmark's cases of a living cluster: nothing changed, one arrival, churn. Snapshots share unchanged objects."""

import gc
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from agent.domain.groups import DEFAULT_SUBGROUP, PodGroup, Preemptibility, SubGroup
from agent.domain.pods import Pod, PodStatus, Request
from agent.domain.quantities import MILLI, NANOSECONDS
from agent.domain.queues import Queue, Share
from agent.scheduler import Config, Plan, Planner, Snapshot
from agent.scheduler.slices import STEPS_A_CYCLE
from bench import _scheduler_cases as cases

POOLS = ("default", "big")


def live_cases(only: str, largest: int, cycles: int) -> Iterator[dict]:
    count = min(1000, largest)
    if only in "idle":
        yield idle(count)
    if only in "one arrival":
        yield arrival(count)
    if only in "churn":
        yield churn("churn", count, cycles, Config(eviction_steps=STEPS_A_CYCLE))
    if only in "churn, each pass in one cycle":
        yield churn("churn, each pass in one cycle", count, cycles, Config())


def timed(
    planner: Planner, snapshot: Snapshot, now: int, config: Config | None = None, last: Plan | None = None
) -> tuple[Plan, float, float]:
    """The plan, wall seconds and CPU seconds. ``last``: the plan whose passes it goes on with."""
    begun, used = time.perf_counter(), time.process_time()
    decided = planner.plan(snapshot, now, config, last.passes if last else None)
    return decided, time.perf_counter() - begun, time.process_time() - used


def line(name: str, size: list[int], walls: list[float], cpus: list[float], outcome: str) -> dict:
    return {
        "case": name,
        "size": size,
        "seconds": round(min(walls), 4),
        "cpu_seconds": round(min(cpus), 4),
        "outcome": outcome,
    }


def idle(count: int) -> dict:
    """Every GPU taken; the second and later plans see new tuples of the same objects."""
    snapshot, planner = cases.full(count), Planner()
    planner.plan(snapshot, cases.NOW)
    walls, cpus, wrong = [], [], "ok"
    for step in range(1, 6):
        again = replace(snapshot, pods=(*snapshot.pods,), groups=(*snapshot.groups,), nodes=(*snapshot.nodes,))
        decided, wall, cpu = timed(planner, again, cases.NOW + step * NANOSECONDS)
        walls.append(wall)
        cpus.append(cpu)
        if decided.binds or decided.evictions or decided.nominations or decided.reasons:
            wrong = "the plan is not empty"
    return line("idle", [count, len(snapshot.pods)], walls, cpus, wrong)


def arrival(count: int) -> dict:
    """One job finishes, one arrives: exactly one bind, on the node that became free."""
    snapshot, planner = cases.full(count), Planner()
    planner.plan(snapshot, cases.NOW)
    walls, cpus, wrong = [], [], "ok"
    for step in range(5):
        gone = snapshot.pods[step * 7]
        pods = tuple(pod for pod in snapshot.pods if pod is not gone)
        groups = tuple(group for group in snapshot.groups if group.key != gone.group)
        new = PodGroup("bench", f"new-{step}", "queue-0", created=cases.NOW + step)
        pod = Pod(f"new-{step}-0", "bench", f"new-{step}-0", new.key, request=gone.request)
        snapshot = replace(snapshot, pods=(*pods, pod), groups=(*groups, new))
        decided, wall, cpu = timed(planner, snapshot, cases.NOW + step * NANOSECONDS)
        walls.append(wall)
        cpus.append(cpu)
        if [bind.node for bind in decided.binds] != [gone.node] or decided.evictions:
            wrong = f"binds {decided.binds}, must be one on {gone.node}"
        running = replace(pod, status=PodStatus.RUNNING, node=gone.node)
        snapshot = replace(snapshot, pods=(*pods, running))
    return line("one arrival", [count, len(snapshot.pods)], walls, cpus, wrong)


class Churn:
    """A cluster where jobs end and arrive; carries out plans at once."""

    def __init__(self, count: int) -> None:
        self.random = random.Random(1)
        self.nodes = tuple(replace(node, pool=POOLS[i % 2]) for i, node in enumerate(cases.nodes(count)))
        self.queues = self._queues(count)
        self.pods: dict[str, Pod] = {}
        self.groups: dict[str, PodGroup] = {}
        self.members: dict[str, list[str]] = {}
        self.number = 0
        self.now = cases.NOW

    @staticmethod
    def _queues(count: int) -> tuple[Queue, ...]:
        found = []
        for pool in POOLS:
            gpus = cases.GPUS * count // 2 * MILLI
            found += [Queue(f"dept-{i}.{pool}", "", pool, gpu=Share(gpus // 10)) for i in range(10)]
            found += [
                Queue(f"queue-{i}.{pool}", f"dept-{i // 10}.{pool}", pool, gpu=Share(gpus // 100), created=i)
                for i in range(100)
            ]
        return tuple(found)

    def arrive(self) -> None:
        """One job: mostly single GPUs, some gangs, some shares of a GPU, of different priorities."""
        self.number += 1
        roll, pool = self.random.random(), self.random.choice(POOLS)
        size, request = 1, Request(cpu=MILLI, memory=cases.GB, gpus=1)
        if roll < 0.15:
            size, request = self.random.choice((2, 4, 8)), Request(cpu=MILLI, memory=cases.GB, gpus=1)
        elif roll < 0.25:
            request = Request(cpu=MILLI, memory=cases.GB, gpu_fraction=self.random.choice((250, 500)))
        elif roll < 0.3:
            request = Request(cpu=MILLI, memory=cases.GB, gpus=self.random.choice((2, 4, 8)))
        priority = self.random.choice((50, 50, 50, 75, 100))
        kind = Preemptibility.PREEMPTIBLE if priority < 100 else Preemptibility.NON_PREEMPTIBLE
        name = f"job-{self.number:06d}"
        group = PodGroup(
            "bench",
            name,
            f"queue-{self.random.randrange(100)}.{pool}",
            pool=pool,
            priority=priority,
            preemptibility=kind,
            created=self.now + self.number,
            root=SubGroup(DEFAULT_SUBGROUP, size),
        )
        self.groups[group.key] = group
        self.members[group.key] = [f"{name}-{index}" for index in range(size)]
        for uid in self.members[group.key]:
            self.pods[uid] = Pod(uid, "bench", uid, group.key, request=request)

    def end(self, how_many: int) -> None:
        running = [key for key, uids in self.members.items() if self.pods[uids[0]].status == PodStatus.RUNNING]
        for key in self.random.sample(running, min(how_many, len(running))):
            for uid in self.members.pop(key):
                del self.pods[uid]
            del self.groups[key]

    def snapshot(self) -> Snapshot:
        return Snapshot(self.nodes, self.queues, tuple(self.groups.values()), tuple(self.pods.values()))

    def carry_out(self, decided: Plan) -> None:
        for eviction in decided.evictions:
            pod = self.pods[eviction.pod]
            self.pods[eviction.pod] = replace(pod, status=PodStatus.PENDING, node="", gpu_groups=())
        for bind in decided.binds:
            pod = self.pods[bind.pod]
            self.pods[bind.pod] = replace(pod, status=PodStatus.RUNNING, node=bind.node, gpu_groups=bind.gpu_groups)

    def broken(self, decided: Plan) -> str:
        """An invariant that does not hold after the plan: room on nodes, gangs started or evicted whole."""
        held: dict[str, int] = {}
        shared: dict[tuple[str, str], int] = {}
        for pod in self.pods.values():
            if pod.node:
                held[pod.node] = held.get(pod.node, 0) + pod.request.gpus
                for group in pod.gpu_groups:
                    shared[pod.node, group] = shared.get((pod.node, group), 0) + pod.request.gpu_fraction
        for (node, _), portion in shared.items():
            held[node] = held.get(node, 0) + 1
            if portion > MILLI:
                return f"a device of {node} is given {portion} of {MILLI}"
        for uid in {bind.pod for bind in decided.binds}:
            uids = self.members[self.pods[uid].group]
            if not all(self.pods[other].node for other in uids):
                return f"{self.pods[uid].group} started in part"
        for eviction in decided.evictions:
            uids = self.members[self.pods[eviction.pod].group]
            if not eviction.moved_to and any(self.pods[other].node for other in uids):
                return f"{self.pods[eviction.pod].group} was evicted in part"
        return next((f"{node} holds {count} GPUs" for node, count in held.items() if count > cases.GPUS), "")


def fill(world: Churn, planner: Planner) -> None:
    """Bring the cluster to 95 % of its GPUs."""
    goal = cases.GPUS * len(world.nodes) * 95 // 100
    while sum(pod.request.gpus or 0.5 for pod in world.pods.values() if pod.node) < goal:
        for _ in range(2000):
            world.arrive()
        world.carry_out(planner.plan(world.snapshot(), world.now))
        for key in [key for key, uids in world.members.items() if not world.pods[uids[0]].node]:
            for uid in world.members.pop(key):
                del world.pods[uid]
            del world.groups[key]


def churn(name: str, count: int, cycles: int, config: Config) -> dict:
    """p50 and p99 of a cycle's plan: 100 jobs end, 150 arrive in each; garbage is collected as in the live loop.

    With ``eviction_steps`` the cycles go on with each other's passes, as in the live loop.
    """
    world, planner = Churn(count), Planner()
    fill(world, planner)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 50)
    walls, cpus, wrong = [], [], ""
    decided, passes, binds, evictions = Plan(), [0], 0, 0
    for _ in range(cycles):
        world.now += NANOSECONDS
        world.end(count // 10)
        for _ in range(count * 15 // 100):
            world.arrive()
        decided, wall, cpu = timed(planner, world.snapshot(), world.now, config, decided)
        world.carry_out(decided)
        walls.append(wall)
        cpus.append(cpu)
        binds, evictions = binds + len(decided.binds), evictions + len(decided.evictions)
        passes[-1] += 1
        if not decided.unfinished:
            passes.append(0)
        wrong = wrong or world.broken(decided)
    return {
        "case": name,
        "size": [count, len(world.pods)],
        "seconds": round(statistics.median(walls), 4),
        "cpu_seconds": round(statistics.median(cpus), 4),
        "p99_seconds": round(statistics.quantiles(walls, n=100)[98], 4),
        "p99_cpu_seconds": round(statistics.quantiles(cpus, n=100)[98], 4),
        "cycles": cycles,
        "passes": len(passes) - 1,
        "longest_pass_cycles": max(passes),
        "binds": binds,
        "evictions": evictions,
        "outcome": wrong or "ok",
    }
