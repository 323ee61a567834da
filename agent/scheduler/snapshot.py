"""What goes into ``plan`` and what comes out: the cluster at one moment, and the decisions about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.domain.groups import PodGroup
from agent.domain.nodes import DeviceClaim, DeviceSlice, Node, NodePool, Topology
from agent.domain.pods import Pod
from agent.domain.quantities import NANOSECONDS
from agent.domain.queues import Queue, UsageShare
from agent.domain.reasons import Reason

ACTIONS = ("allocate", "consolidation", "reclaim", "preempt", "stalegangeviction")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment. Order does not matter to the outcome; equal objects should be the same objects.

    Keep unchanged nodes, pods and groups as the very same objects from one snapshot to the next: ``Planner`` then only
    looks at what changed. ``pods`` are those of our scheduler names (running, pending, releasing; finished ones of a
    still living group too); others' use of a node is ``Node.foreign``. ``usage``: per queue name, for time-aware
    fairness. Nodes without an entry in ``pools`` use that pool's defaults (bin-pack).
    """

    nodes: tuple[Node, ...] = ()
    queues: tuple[Queue, ...] = ()
    groups: tuple[PodGroup, ...] = ()
    pods: tuple[Pod, ...] = ()
    pools: tuple[NodePool, ...] = ()
    topologies: tuple[Topology, ...] = ()
    slices: tuple[DeviceSlice, ...] = ()
    claims: tuple[DeviceClaim, ...] = ()
    usage: Mapping[str, UsageShare] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Config:
    """How to plan. Durations in ns. ``k_value`` in thousandths (1000 = KAI's 1.0).

    ``max_consolidation_victims`` -1 = any number. ``staleness_grace`` negative = stale gangs are never evicted.
    ``queue_depth``: per action, how many workloads of a queue are tried in one plan (absent = all).
    ``allow_consolidating_reclaim``: victims that find another place at once do not count as reclaimed.
    ``reclaim_resolve`` "lca" or "queue": which queue's minimum run time protects a victim.

    Extras, off by default because they change the order: ``reservation`` keeps nodes for the first gang that is stuck,
    others fill in only what ends in time or lies elsewhere; ``ageing`` (ns per point of priority, 0 = off) lets waiting
    workloads of a queue rise; ``wait_estimates``: for how many waiting workloads a start time is worked out.
    ``pools``: only these node pools are planned, where each has a scheduler of its own; empty: all.
    ``eviction_steps``: after so many steps of work (some ten microseconds each, see ``slices``) no more searches for
    victims begin in a plan; the next plan goes on where this one stopped if it is given its ``Plan.passes``. 0 = all
    that is to be done.
    """

    actions: tuple[str, ...] = ACTIONS
    k_value: int = 1000
    saturation_multiplier: int = 1000
    max_consolidation_victims: int = 16
    allow_consolidating_reclaim: bool = True
    staleness_grace: int = 60 * NANOSECONDS
    preempt_min_runtime: int = 0
    reclaim_min_runtime: int = 0
    reclaim_resolve: str = "lca"
    reservation: bool = False
    ageing: int = 0
    wait_estimates: int = 0
    pools: tuple[str, ...] = ()
    queue_depth: Mapping[str, int] = field(default_factory=dict, hash=False)
    eviction_steps: int = 0


@dataclass(frozen=True, slots=True)
class CutSearch:
    """A search for victims that a plan ended in the middle.

    ``spent``: steps that it simulated in vain. ``failed``: what it tried, each as (number of pods, names of victims).
    """

    job: str
    spent: int = 0
    failed: frozenset[tuple[int, frozenset[str]]] = frozenset()


@dataclass(frozen=True, slots=True)
class Pass:
    """How far a pool's pass of eviction work has come: every member tries each action that takes room once.

    ``action``: where it goes on; "" = it is over. ``members``: keys of the pod groups that belong to the pass;
    ``turns``: those of them whose turn in ``action`` is to come; ``cut``: the search that goes on first.
    ``spent``: steps simulated in vain in ``action``. ``notes``: what was found out in this pass, by pod group key;
    ``judged`` and ``known``: whom the pass before had tried, and what was found out there. ``promised``: who still
    waits for the room for which others were evicted: they come first in the next plan, in this order.
    """

    action: str = ""
    members: frozenset[str] = frozenset()
    turns: frozenset[str] = frozenset()
    cut: CutSearch | None = None
    spent: int = 0
    notes: Mapping[str, Reason] = field(default_factory=dict, hash=False)
    judged: frozenset[str] = frozenset()
    known: Mapping[str, Reason] = field(default_factory=dict, hash=False)
    promised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind this pod to the node now. ``resource_type`` Regular, Fraction or MigInstance.

    ``gpu_groups``: one name per shared device (existing or new; a new one takes a whole free device: any free one).
    ``gpu_portion`` milli-GPU of each of ``gpu_devices`` devices (1000 = whole). ``numa_zones``: predicted zones.
    ``devices``: per claim key the device names given.
    """

    pod: str
    node: str
    gpu_groups: tuple[str, ...] = ()
    resource_type: str = "Regular"
    gpu_devices: int = 0
    gpu_portion: int = 1000
    numa_zones: tuple[str, ...] = ()
    devices: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Eviction:
    """Delete this pod. ``by``: key of the workload that takes the room ("" for stale gangs).

    ``moved_to``: the node where it restarts, when the move was planned.
    """

    pod: str
    node: str
    action: str
    reason: Reason
    by: str = ""
    moved_to: str = ""
    moved_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nomination:
    """The pod waits for room that is being freed on the node; do nothing but remember it (status.nominatedNodeName)."""

    pod: str
    node: str
    gpu_groups: tuple[str, ...] = ()
    numa_zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueShares:
    """What the division gave, per resource in ``quantities.RESOURCES`` order (milli-GPU, milli-CPU, bytes)."""

    deserved: tuple[int, int, int]
    fair_share: tuple[int, int, int]
    allocated: tuple[int, int, int]
    requested: tuple[int, int, int]
    limit: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions, in the order to carry them out.

    ``reasons``: per pod group key, why it (or the rest of it) does not run, deepest known cause first; absent = it runs
    or is being placed. ``pod_reasons``: per pod uid, for the pods that wait. ``refused``: what was left out of planning
    as bad input, by "kind/name". ``started``: groups that got their minimum in this plan (write last-start);
    ``stale`` / ``no_longer_stale``: groups whose stale timestamp must be written / removed. ``shares`` per queue name.
    ``waits``: per pod group key, when it is expected to start (ns), where asked for and known. ``ahead``: per pod group
    key, how many other waiting workloads of its queue come before it (absent = none); it changes often.
    ``passes``: per pool, for the next plan, where ``Config.eviction_steps`` is set.
    Times beside decisions are the ``now`` given to ``plan``.
    """

    binds: tuple[Bind, ...] = ()
    evictions: tuple[Eviction, ...] = ()
    nominations: tuple[Nomination, ...] = ()
    reasons: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict, hash=False)
    pod_reasons: Mapping[str, Reason] = field(default_factory=dict, hash=False)
    refused: Mapping[str, Reason] = field(default_factory=dict, hash=False)
    started: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    no_longer_stale: tuple[str, ...] = ()
    shares: Mapping[str, QueueShares] = field(default_factory=dict, hash=False)
    waits: Mapping[str, int] = field(default_factory=dict, hash=False)
    ahead: Mapping[str, int] = field(default_factory=dict, hash=False)
    passes: Mapping[str, Pass] = field(default_factory=dict, hash=False)

    @property
    def unfinished(self) -> bool:
        """Whether some pods' turn to have others evicted is still to come: plan again soon, with ``passes``."""
        return any(one.action for one in self.passes.values())
