"""Entitlement: queues of any depth with quota, limit and over-quota weight per resource."""

from dataclasses import dataclass

from agent.domain.nodes import DEFAULT_POOL
from agent.domain.quantities import UNLIMITED


@dataclass(frozen=True, slots=True)
class Share:
    """One resource of a queue, in the unit of that resource (milli-GPU, milli-CPU, bytes).

    ``deserved`` is the quota, ``limit`` the most it may ever hold (-1 = unlimited for both);
    ``weight`` divides what is left over quota: only the ratio between siblings matters, 0 = nothing over quota.
    """

    deserved: int = 0
    limit: int = UNLIMITED
    weight: int = 1


UNLIMITED_SHARE = Share(deserved=UNLIMITED, limit=UNLIMITED, weight=1)


@dataclass(frozen=True, slots=True)
class Queue:
    """A project's queue (leaf) or a department's (inner) in one node pool. ``parent`` "" = top level.

    ``label`` is what people call it in sentences (default: the name), ``kind`` "project", "department" or "queue".
    Minimum run times in ns, None = inherit.
    """

    name: str
    parent: str = ""
    pool: str = DEFAULT_POOL
    priority: int = 100
    created: int = 0
    gpu: Share = Share()
    cpu: Share = UNLIMITED_SHARE
    memory: Share = UNLIMITED_SHARE
    preempt_min_runtime: int | None = None
    reclaim_min_runtime: int | None = None
    label: str = ""
    kind: str = "queue"

    def shares(self) -> tuple[Share, Share, Share]:
        """In the order of ``quantities.RESOURCES``."""
        return (self.gpu, self.cpu, self.memory)


@dataclass(frozen=True, slots=True)
class UsageShare:
    """Share of the cluster's past capacity that a queue used, per resource, in millionths, decayed over the window."""

    gpu: int = 0
    cpu: int = 0
    memory: int = 0
