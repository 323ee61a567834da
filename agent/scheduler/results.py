"""Reads the decisions of a finished pool off its working copy."""

from collections.abc import Mapping
from functools import partial

from agent.domain.pods import PodStatus
from agent.domain.quantities import MILLI
from agent.domain.reasons import Reason
from agent.scheduler.allocate import place_all
from agent.scheduler.context import Context
from agent.scheduler.explain import Explainer, waiting_tasks
from agent.scheduler.forecast import earliest_start
from agent.scheduler.gangs import TaskState
from agent.scheduler.shapes import MIG, SHARED
from agent.scheduler.snapshot import Bind, Eviction, Nomination, Pass, Plan, QueueShares
from agent.scheduler.state import Session


class Results:
    """Collects the pools' decisions."""

    def __init__(self, reasons: dict[str, tuple[Reason, ...]], pod_reasons: dict[str, Reason]) -> None:
        self._reasons = reasons
        self._pod_reasons = pod_reasons
        self._binds: list[Bind] = []
        self._evictions: list[Eviction] = []
        self._nominations: list[Nomination] = []
        self._started: list[str] = []
        self._stale: list[str] = []
        self._no_longer_stale: list[str] = []
        self._shares: dict[str, QueueShares] = {}
        self._waits: dict[str, int] = {}
        self._ahead: dict[str, int] = {}

    def read(self, context: Context) -> None:
        """Take the decisions off a finished working copy."""
        session = context.session
        for task in _in_order_of_decision(session):
            self._read_task(context, task)
        for task, (action, why, by) in context.evictions.items():
            if task.status not in (PodStatus.RELEASING, PodStatus.PIPELINED):
                continue
            self._evictions.append(_eviction(task, action, why, by))
        self._stale.extend(context.stale)
        self._no_longer_stale.extend(context.no_longer_stale)
        explainer = Explainer(context)
        for job in context.jobs:
            if job.waiting:
                waiting = waiting_tasks(job)
                found = explainer.explain(job)
                self._reasons[job.key] = found
                self._pod_reasons.update((task.pod.uid, found[0]) for task in waiting)
        for line in context.waiting.lines().values():
            self._ahead.update((job.key, place) for place, (_, _, job) in enumerate(line) if place)
        self._estimate(context)
        for queue in session.queues.values():
            self._shares[queue.name] = QueueShares(
                deserved=_triple(queue.deserved),
                fair_share=_triple(queue.fair),
                allocated=_triple(queue.allocated),
                requested=_triple(queue.request),
                limit=_triple(queue.limit),
            )

    def _estimate(self, context: Context) -> None:
        """Expected starts of the first waiting workloads by age, where it was asked for."""
        asked = context.config.wait_estimates
        waiting = [job for job in context.jobs if job.waiting and job.root.ready] if asked else []
        for job in sorted(waiting, key=context.job_key)[:asked]:
            tasks = job.root.next_tasks()
            forecast = earliest_start(context, tasks, partial(place_all, context, job, tasks, wait_only=True))
            if forecast is not None:
                self._waits[job.key] = forecast.time

    def _read_task(self, context: Context, task: TaskState) -> None:
        if task.status == PodStatus.ALLOCATED and task.pod.status == PodStatus.PENDING:
            self._binds.append(_bind(task))
            if not any(other.pod.status in (PodStatus.RUNNING, PodStatus.BOUND) for other in task.job.tasks):
                self._started.append(task.job.key)
        elif task.status == PodStatus.PIPELINED and task.pod.status == PodStatus.PENDING and task.node:
            self._nominations.append(Nomination(task.pod.uid, task.node.name, task.groups, task.zones))

    def plan(self, refused: Mapping[str, Reason], passes: Mapping[str, Pass]) -> Plan:
        return Plan(
            binds=tuple(self._binds),
            evictions=tuple(self._evictions),
            nominations=tuple(self._nominations),
            reasons=self._reasons,
            pod_reasons=self._pod_reasons,
            refused=refused,
            started=tuple(dict.fromkeys(self._started)),
            stale=tuple(self._stale),
            no_longer_stale=tuple(self._no_longer_stale),
            shares=self._shares,
            waits=self._waits,
            ahead=self._ahead,
            passes=passes,
        )


def _in_order_of_decision(session: Session) -> list[TaskState]:
    """Every task that moved, in the order of its last move."""
    return list(reversed(dict.fromkeys(step[0] for step in reversed(session.steps))))


def _triple(vector: list[int]) -> tuple[int, int, int]:
    return (vector[0], vector[1], vector[2])


def _bind(task: TaskState) -> Bind:
    shape, node = task.shape, task.node
    assert node is not None
    kind = {MIG: "MigInstance", SHARED: "Fraction"}.get(shape.kind, "Regular")
    portion = shape.portion(node.device_memory) if shape.kind == SHARED else MILLI
    return Bind(
        pod=task.pod.uid,
        node=node.name,
        gpu_groups=task.groups,
        resource_type=kind,
        gpu_devices=shape.devices,
        gpu_portion=portion,
        numa_zones=task.zones,
    )


def _eviction(task: TaskState, action: str, why: Reason, by: str) -> Eviction:
    moved = task.node.name if task.status == PodStatus.PIPELINED and task.node is not None else ""
    groups = task.groups if moved else ()
    return Eviction(task.pod.uid, task.pod.node, action, why, by, moved, groups)
