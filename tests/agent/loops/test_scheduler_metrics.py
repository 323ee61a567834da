"""The scheduler's metrics: figures of queues at the moment they are asked for, latencies as things happen."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from agent.loops.scheduler_metrics import QueueMetrics
from agent.scheduler.snapshot import QueueShares
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, until

GB = 10**9
SHARES = QueueShares((2000, -1, 4 * GB), (3000, 500, 6 * GB), (1500, 250, GB), (8000, 1000, GB), (-1, -1, -1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("runai_queue_fair_share_gpu", 3),
        ("runai_queue_fair_share_cpu_cores", 0.5),
        ("runai_queue_fair_share_memory_gb", 6),
        ("runai_queue_deserved_gpus", 2),
        ("runai_queue_quota_cpu_cores", -1),
        ("runai_queue_quota_memory_bytes", 4 * GB),
        ("runai_queue_allocated_gpus", 1.5),
        ("runai_queue_allocated_memory_bytes", GB),
        ("runai_queue_requested_gpus", 8),
    ],
)
def test_figures_of_a_queue(name, value):
    metrics, registry = QueueMetrics(), CollectorRegistry()
    metrics.take({"team": SHARES})
    with metrics.offered(registry):
        assert registry.get_sample_value(name, {"queue_name": "team"}) == value
    assert registry.get_sample_value(name, {"queue_name": "team"}) is None


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_bind_is_timed_and_counted():
    names = ("runai_pods_bound_total", "runai_task_bind_latency_milliseconds_count", "runai_podgroups_scheduled_total")
    names += ("runai_task_scheduling_latency_milliseconds_count",)
    before = [value(name) for name in names]
    allocations = value("runai_action_scheduling_latency_milliseconds_count", action="allocate")
    kube = FakeKube(node(), queue(), pod("p"))
    async with scheduling(kube):
        await until(lambda: placed(kube))
        await until(lambda: value("runai_queue_allocated_gpus", queue_name="q") == 1)
    assert [value(name) - old for name, old in zip(names, before, strict=True)] == [1, 1, 1, 1]
    assert value("runai_action_scheduling_latency_milliseconds_count", action="allocate") > allocations


async def test_what_waits_is_counted():
    kube = FakeKube(node(gpus=1), queue(), pod("p", 2))
    async with scheduling(kube):
        await until(lambda: value("runai_pending_pods") == 1 and value("runai_pending_podgroups") == 1)
