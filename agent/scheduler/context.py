"""What all actions of one plan share: the working copy, the pool's totals, the placer, and what was learned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.domain.nodes import Topology
from agent.domain.reasons import Reason
from agent.scheduler.dominance import Profiles
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.gangs import JobState, TaskState
from agent.scheduler.order import Key, job_key
from agent.scheduler.placement import Placer
from agent.scheduler.room import Room
from agent.scheduler.slices import Slice
from agent.scheduler.snapshot import Config
from agent.scheduler.state import Session
from agent.scheduler.victims import VictimIndex
from agent.scheduler.waiting import Waiting

MOST_AGEING = 1000
"""Points of priority that waiting can bring at most."""


@dataclass(slots=True)
class Context:
    """One pool's planning. ``totals`` [milli-GPU, milli-CPU, bytes]; device sizes in MiB.

    ``slice``: how much eviction work this plan may do. ``spent``: moves simulated in vain in the current action.
    ``blocked``: the capacity rule that stopped a job last.
    ``evictions``: task -> (action, reason, by), in order. ``notes``: what an action found out about a job.
    ``reclaim_protects``: whether any minimum run time is set. ``delays``: whether any job may not cause evictions yet.
    """

    config: Config
    now: int
    pool: str
    session: Session
    jobs: list[JobState]
    placer: Placer
    profiles: Profiles
    totals: Vector
    smallest_device: int
    largest_device: int
    node_count: int = 0
    slice: Slice = field(default_factory=Slice)
    spent: int = 0
    reclaim_protects: bool = True
    topologies: Mapping[str, Topology] = field(default_factory=dict)
    blocked: dict[JobState, tuple[str, QueueState, int]] = field(default_factory=dict)
    evictions: dict[TaskState, tuple[str, Reason, str]] = field(default_factory=dict)
    notes: dict[JobState, Reason] = field(default_factory=dict)
    victims: VictimIndex | None = None
    stale: list[str] = field(default_factory=list)
    no_longer_stale: list[str] = field(default_factory=list)
    rooms: dict[tuple[int, int], Room] = field(default_factory=dict)
    waiting: Waiting = field(init=False)
    delays: bool = field(init=False)
    _base: dict[QueueState, Vector] = field(default_factory=dict)
    _base_seen: int = 0

    def __post_init__(self) -> None:
        self.waiting = Waiting(self.jobs, self.job_key)
        self.delays = any(job.group.preemption_delay for job in self.jobs if job.waiting)

    def base_allocated(self) -> Mapping[QueueState, Vector]:
        """What every queue holds now, between simulations; only queues that were charged since are read again."""
        charges, base = self.session.charges, self._base
        if not base:
            base.update((queue, list(queue.allocated)) for queue in self.session.queues.values())
        else:
            for queue in set(charges[self._base_seen :]):
                for ancestor in queue.path:
                    base[ancestor] = list(ancestor.allocated)
        self._base_seen = len(charges)
        return base

    def room_for(self, tasks: list[TaskState], unit: int) -> Room:
        """The shared room for these pods, up to date; nodes they may not use are left out when they are all alike."""
        shapes = {task.shape for task in tasks}
        shape = shapes.pop() if len(shapes) == 1 else None
        key = (-1 if shape is None else shape.index, unit)
        room = self.rooms.get(key)
        if room is None:
            room = self.rooms[key] = Room(self.session, self.placer.nodes, shape, unit, self.placer.rules)
        room.catch_up()
        return room

    def job_key(self, job: JobState) -> Key:
        """The order of jobs in a queue; with ageing a workload gains a point of priority per so much waiting."""
        key = job_key(job)
        if not self.config.ageing:
            return key
        waited = max(self.now - max(job.group.created, job.group.last_eviction or 0), 0)
        return (-(job.priority + min(waited // self.config.ageing, MOST_AGEING)), *key[1:])
