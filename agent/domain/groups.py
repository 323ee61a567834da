"""Demand, one gang at a time: pod groups and their tree of sub-groups."""

import enum
from dataclasses import dataclass

from agent.domain.nodes import DEFAULT_POOL

PREEMPTIBLE_BELOW = 100
"""Priorities under this one are preemptible unless the group says otherwise."""

TRAIN, BUILD_PREEMPTIBLE, BUILD, INFERENCE = 50, 75, 100, 125


class Preemptibility(enum.Enum):
    """Semi-preemptible: the minimum of each sub-group is protected, what grew beyond it may be taken."""

    PREEMPTIBLE = "preemptible"
    NON_PREEMPTIBLE = "non-preemptible"
    SEMI_PREEMPTIBLE = "semi-preemptible"


def preemptibility_of(label: str, priority: int) -> Preemptibility:
    """From the label's value; "" or an unknown word leaves it to the priority."""
    try:
        return Preemptibility(label)
    except ValueError:
        return Preemptibility.PREEMPTIBLE if priority < PREEMPTIBLE_BELOW else Preemptibility.NON_PREEMPTIBLE


@dataclass(frozen=True, slots=True)
class TopologyConstraint:
    """Levels are label keys of the topology, "" = no rule. Required: one domain for all; preferred: if possible."""

    topology: str
    required: str = ""
    preferred: str = ""


@dataclass(frozen=True, slots=True)
class SubGroup:
    """A node of the tree. A leaf (no children) holds pods and needs ``min_available`` of them (0 = optional).

    An inner node needs ``min_subgroup`` of its children (None = all).
    """

    name: str = ""
    min_available: int = 1
    children: tuple["SubGroup", ...] = ()
    min_subgroup: int | None = None
    topology: TopologyConstraint | None = None


DEFAULT_SUBGROUP = "default"


@dataclass(frozen=True, slots=True)
class PodGroup:
    """A workload that starts whole or not at all.

    ``queue`` is the queue's name (in KAI's words; project, or project.POOL). ``root`` is the tree of sub-groups; the
    common case is one leaf: ``PodGroup(..., root=SubGroup(DEFAULT_SUBGROUP, min_available=n))``.
    Times in ns: ``created``; ``last_start`` when its first pod was bound last; ``last_eviction``; ``stale_since`` when
    it fell under its minimum (all None = never). ``preemption_delay``: no eviction on its behalf so long after
    creation or its last eviction. ``staleness_grace``: None = the scheduler's, negative = never.
    ``expected_runtime``: for backfill and wait estimates, None = unknown.
    """

    namespace: str
    name: str
    queue: str
    uid: str = ""
    pool: str = DEFAULT_POOL
    priority: int = TRAIN
    preemptibility: Preemptibility = Preemptibility.PREEMPTIBLE
    created: int = 0
    root: SubGroup = SubGroup(DEFAULT_SUBGROUP, 1)
    last_start: int | None = None
    last_eviction: int | None = None
    stale_since: int | None = None
    preemption_delay: int = 0
    staleness_grace: int | None = None
    expected_runtime: int | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"
