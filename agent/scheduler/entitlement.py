"""A queue in the plan: what it is entitled to, what it holds, and what its pending pods ask for."""

from collections.abc import Iterable

from agent.domain.quantities import UNLIMITED
from agent.domain.queues import Queue

Vector = list[int]
"""[milli-GPU, milli-CPU, bytes]."""


class QueueState:
    """A queue's entitlement and use; vectors are [milli-GPU, milli-CPU, bytes]."""

    __slots__ = (
        "allocatable",
        "allocated",
        "children",
        "deserved",
        "fair",
        "index",
        "limit",
        "name",
        "nonpreemptible",
        "parent",
        "path",
        "queue",
        "rank",
        "request",
        "version",
    )

    def __init__(self, index: int, queue: Queue) -> None:
        self.index = index
        self.name = queue.name
        self.parent: QueueState | None = None
        self.children: list[QueueState] = []
        self.path: tuple[QueueState, ...] = (self,)
        self.entitle(queue)
        self.fair: Vector = [0, 0, 0]
        self.allocatable: Vector = [0, 0, 0]
        self.allocated: Vector = [0, 0, 0]
        self.nonpreemptible: Vector = [0, 0, 0]
        self.request: Vector = [0, 0, 0]
        self.rank = 0
        self.version = 0

    def entitle(self, queue: Queue) -> None:
        """Take what the queue may hold from ``queue``: its quota, limit, weight and priority of now."""
        self.queue = queue
        shares = queue.shares()
        self.deserved = [share.deserved for share in shares]
        self.limit = [share.limit for share in shares]

    def set_fair_share(self, fair: Iterable[int]) -> None:
        """Store the division's result and the share that may be allocated because of it."""
        self.fair = list(fair)
        self.allocatable = [
            _allocatable(deserved, limit, share)
            for deserved, limit, share in zip(self.deserved, self.limit, self.fair, strict=True)
        ]


def _allocatable(deserved: int, limit: int, fair: int) -> int:
    if deserved == UNLIMITED:
        return limit
    most = max(deserved, fair)
    return most if limit == UNLIMITED else min(limit, most)
