"""The scheduler's Prometheus metrics; names, units and labels are KAI's where KAI has the same figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import REGISTRY, GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from agent.scheduler.snapshot import Plan, QueueShares

_MILLISECONDS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
_LONG = (*_MILLISECONDS, 30_000, 100_000, 300_000, 1_000_000)

CYCLE = Histogram("runai_e2e_scheduling_latency_milliseconds", "Duration of a cycle.", buckets=_MILLISECONDS)
ACTION = Histogram(
    "runai_action_scheduling_latency_milliseconds",
    "Duration of one action of a cycle, all node pools together.",
    ["action"],
    buckets=_MILLISECONDS,
)
WAIT = Histogram(
    "runai_task_scheduling_latency_milliseconds",
    "From the creation of a pod, which is known to a second, to the decision where to bind it.",
    buckets=_LONG,
)
BIND = Histogram(
    "runai_task_bind_latency_milliseconds",
    "From that decision to the API server's word that the pod is bound.",
    buckets=_LONG,
)
BINDS = Counter("runai_pods_bound", "Pods bound.")
BIND_FAILURES = Counter("runai_pod_bind_failures", "Binds that failed and are tried again after a pause.")
EVICTIONS = Counter("runai_pod_group_evicted_pods", "Pods evicted.", ["action"])
STARTED = Counter("runai_podgroups_scheduled", "Pod groups that got their minimum.")
DEFECTS = Counter("runai_snapshot_defects", "Objects in which the incremental snapshot differed from a full rebuild.")
CHECKS = Counter("runai_snapshot_checks", "Comparisons of the incremental snapshot with a full rebuild.")
PENDING = Gauge("runai_pending_pods", "Pods that wait for a place.")
WAITING_GROUPS = Gauge("runai_pending_podgroups", "Pod groups of which something waits, with a reason.")
BACKLOG = Gauge("runai_binds_in_progress", "Binds and evictions decided and not yet done.")
EVENTS = Gauge("runai_events_waiting", "Events that are still to be written.")

_QUEUE_FIGURES: tuple[tuple[str, str, Callable[[QueueShares], float]], ...] = (
    ("queue_fair_share_gpu", "GPUs that the division gave.", lambda one: _units(one.fair_share[0])),
    ("queue_fair_share_cpu_cores", "CPU cores that the division gave.", lambda one: _units(one.fair_share[1])),
    (
        "queue_fair_share_memory_gb",
        "Memory that the division gave, in GB.",
        lambda one: _bytes(one.fair_share[2]) / 1e9,
    ),
    ("queue_deserved_gpus", "Quota, -1 without one.", lambda one: _units(one.deserved[0])),
    ("queue_quota_cpu_cores", "Quota, -1 without one.", lambda one: _units(one.deserved[1])),
    ("queue_quota_memory_bytes", "Quota, -1 without one.", lambda one: _bytes(one.deserved[2])),
    ("queue_allocated_gpus", "GPUs held.", lambda one: _units(one.allocated[0])),
    ("queue_allocated_cpu_cores", "CPU cores held.", lambda one: _units(one.allocated[1])),
    ("queue_allocated_memory_bytes", "Memory held.", lambda one: _bytes(one.allocated[2])),
    ("queue_requested_gpus", "GPUs held and waited for.", lambda one: _units(one.requested[0])),
)


def _units(milli: int) -> float:
    """Milli-units → units; -1 stays: without a limit."""
    return -1.0 if milli < 0 else milli / 1000


def _bytes(amount: int) -> float:
    return float(amount) if amount >= 0 else -1.0


class QueueMetrics(Collector):
    """Figures of queues as the last plan had them, made when somebody asks: a cycle costs nothing."""

    def __init__(self) -> None:
        self._shares: Mapping[str, QueueShares] = {}

    def take(self, shares: Mapping[str, QueueShares]) -> None:
        self._shares = shares

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, text, read in _QUEUE_FIGURES:
            family = GaugeMetricFamily(f"runai_{name}", text, labels=["queue_name"])
            for queue, shares in self._shares.items():
                family.add_metric([queue], read(shares))
            yield family

    @contextmanager
    def offered(self, registry: CollectorRegistry = REGISTRY) -> Iterator[None]:
        """Part of ``/metrics`` while inside."""
        registry.register(self)
        try:
            yield
        finally:
            registry.unregister(self)


def measure(decided: Plan, took_s: float, actions: Mapping[str, float]) -> None:
    """Note one cycle; ``actions``: seconds by action."""
    CYCLE.observe(1000 * took_s)
    for action, seconds in actions.items():
        ACTION.labels(action).observe(1000 * seconds)
    STARTED.inc(len(decided.started))
    WAITING_GROUPS.set(len(decided.reasons))
    for eviction in decided.evictions:
        EVICTIONS.labels(eviction.action).inc()
