"""A small cluster in a few words, for the scheduler's tests: objects by name, plans as dictionaries."""

from dataclasses import dataclass, field, replace

from agent.domain.constraints import UNCONSTRAINED, Constraints
from agent.domain.groups import DEFAULT_SUBGROUP, PodGroup, SubGroup, TopologyConstraint, preemptibility_of
from agent.domain.nodes import DeviceClaim, DeviceSlice, Node, NodePool, Topology
from agent.domain.pods import Pod, PodStatus, Request
from agent.domain.quantities import MILLI, NANOSECONDS, UNLIMITED
from agent.domain.queues import Queue, Share
from agent.scheduler import Config, Plan, Snapshot, plan

NOW = 1_800_000_000 * NANOSECONDS
MINUTE = 60 * NANOSECONDS
GIB = 1 << 30


@dataclass
class Decided:
    """A plan by pod name."""

    plan: Plan

    @property
    def bound(self) -> dict[str, str]:
        return {bind.pod: bind.node for bind in self.plan.binds}

    @property
    def nominated(self) -> dict[str, str]:
        return {one.pod: one.node for one in self.plan.nominations}

    @property
    def evicted(self) -> set[str]:
        return {one.pod for one in self.plan.evictions if not one.moved_to}

    @property
    def moved(self) -> dict[str, str]:
        return {one.pod: one.moved_to for one in self.plan.evictions if one.moved_to}

    @property
    def devices(self) -> dict[str, tuple[str, ...]]:
        return {bind.pod: bind.gpu_groups for bind in self.plan.binds}

    def codes(self, job: str) -> list[str]:
        return [why.code for why in self.plan.reasons.get(f"team/{job}", ())]

    def text(self, job: str) -> str:
        return "; ".join(why.text for why in self.plan.reasons.get(f"team/{job}", ()))


@dataclass
class Cluster:
    """Collects objects; later jobs are younger. GPUs and cores are given as plain numbers."""

    nodes: list[Node] = field(default_factory=list)
    queues: list[Queue] = field(default_factory=list)
    groups: list[PodGroup] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    pools: list[NodePool] = field(default_factory=list)
    topologies: list[Topology] = field(default_factory=list)
    slices: list[DeviceSlice] = field(default_factory=list)
    claims: list[DeviceClaim] = field(default_factory=list)

    def node(self, name: str, gpus: int = 8, *, cores: int = 64, memory: int = 512 * GIB, **more) -> "Cluster":
        base = {"gpu_memory": 40_000, "max_pods": 110}
        self.nodes.append(Node(name, cpu=cores * MILLI, memory=memory, gpus=gpus, **(base | more)))
        return self

    def queue(
        self, name: str, quota: float = 0, *, limit: float = UNLIMITED, weight: int = 1, parent: str = "", **more
    ) -> "Cluster":
        gpu = Share(
            UNLIMITED if quota == UNLIMITED else round(quota * MILLI),
            UNLIMITED if limit == UNLIMITED else round(limit * MILLI),
            weight,
        )
        self.queues.append(Queue(name, parent, gpu=gpu, created=len(self.queues), **more))
        return self

    def job(
        self,
        name: str,
        queue: str,
        pods: int = 1,
        gpus: int = 1,
        *,
        on: str | list[str] = "",
        least: int | None = None,
        priority: int = 50,
        fraction: float = 0,
        request: Request | None = None,
        constraints: Constraints = UNCONSTRAINED,
        labels: dict[str, str] | None = None,
        root: SubGroup | None = None,
        subgroups: list[str] | None = None,
        topology: TopologyConstraint | None = None,
        devices: list[tuple[str, ...]] | None = None,
        statuses: list[PodStatus] | None = None,
        preemptibility: str = "",
        age: int | None = None,
        **group,
    ) -> "Cluster":
        """A gang of ``pods`` equal pods; ``on``: the node (or one node per pod, "" = waiting) where they run."""
        places = [on] * pods if isinstance(on, str) else [*on, *[""] * (pods - len(on))]
        tree = root or SubGroup(DEFAULT_SUBGROUP, pods if least is None else least, topology=topology)
        created = NOW - (1000 - len(self.groups) if age is None else age) * MINUTE
        facts = {"last_start": NOW - MINUTE if any(places) else None, "created": created, "priority": priority}
        kind = preemptibility_of(preemptibility, priority)
        group = {"uid": name, "preemptibility": kind, "root": tree, **facts, **group}
        self.groups.append(PodGroup("team", name, queue, **group))
        wish = request or Request(
            cpu=MILLI,
            memory=GIB,
            gpus=0 if fraction else gpus,
            gpu_fraction=round(fraction * MILLI),
        )
        for index, place in enumerate(places):
            status = PodStatus.RUNNING if place else PodStatus.PENDING
            facts = {"request": wish, "constraints": constraints, "labels": labels or {}, "node": place}
            facts["status"] = statuses[index] if statuses else status
            facts["subgroup"] = subgroups[index] if subgroups else ""
            facts["gpu_groups"] = devices[index] if devices else ()
            self.pods.append(Pod(f"{name}-{index}", "team", f"{name}-{index}", f"team/{name}", created=index, **facts))
        return self

    def snapshot(self) -> Snapshot:
        return Snapshot(
            nodes=tuple(self.nodes),
            queues=tuple(self.queues),
            groups=tuple(self.groups),
            pods=tuple(self.pods),
            pools=tuple(self.pools),
            topologies=tuple(self.topologies),
            slices=tuple(self.slices),
            claims=tuple(self.claims),
        )

    def plan(self, *actions: str, now: int = NOW, **config) -> Decided:
        """Plan with the named actions (all when none is named)."""
        settings = Config(**config)
        if actions:
            settings = replace(settings, actions=actions)
        return Decided(plan(self.snapshot(), now, settings))

    def carry_out(self, decided: Decided, now: int = NOW) -> None:
        """What the cluster looks like once the plan is done: evicted pods wait again, bound ones run, gangs that are in
        part since ``now`` are marked."""
        marks = dict.fromkeys(decided.plan.stale, now) | dict.fromkeys(decided.plan.no_longer_stale)
        for index, group in enumerate(self.groups):
            if group.key in marks:
                self.groups[index] = replace(group, stale_since=marks[group.key])
        gone = {eviction.pod for eviction in decided.plan.evictions}
        binds = {bind.pod: bind for bind in decided.plan.binds}
        for index, pod in enumerate(self.pods):
            if pod.uid in gone:
                self.pods[index] = replace(pod, status=PodStatus.PENDING, node="", gpu_groups=())
            elif pod.uid in binds:
                bind = binds[pod.uid]
                self.pods[index] = replace(pod, status=PodStatus.RUNNING, node=bind.node, gpu_groups=bind.gpu_groups)
