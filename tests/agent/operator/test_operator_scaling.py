"""The autoscaler: up at once, down after the delay, to zero after the retention, always within its bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.operator.load import CONCURRENCY, Load, read_load, scale
from agent.operator.traffic import WINDOW_S, Traffic, workload_of_host
from agent.wire.objects import Autoscaling

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULE = Autoscaling(min_replicas=1, max_replicas=8, metric="concurrency", threshold=2, scale_down_delay_seconds=30)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def wanted(
    current: int, concurrency: float, rule: Autoscaling = RULE, low: float | None = None, last: float = 0
) -> int:
    load = Load(concurrency, last_request=ago(last))
    return scale(rule, current, load, NOW, low_since=None if low is None else ago(low), since=ago(1000)).replicas


@pytest.mark.parametrize(
    ("current", "concurrency", "low", "replicas"),
    [
        (1, 2.0, None, 1),
        (1, 4.0, None, 2),
        (1, 16.0, None, 2),
        (4, 16.0, None, 8),
        (4, 100.0, None, 8),
        (4, 8.4, None, 4),
        (4, 2.0, None, 4),
        (4, 2.0, 29, 4),
        (4, 2.0, 31, 1),
        (2, 4.5, None, 3),
    ],
)
def test_concurrency(current, concurrency, low, replicas):
    assert wanted(current, concurrency, low=low) == replicas


@pytest.mark.parametrize(("last", "replicas"), [(5, 3), (40, 1), (70, 0)])
def test_to_zero_by_way_of_one(last, replicas):
    rule = Autoscaling(0, 4, "concurrency", 2, 30, 60)
    assert wanted(3, 0.0, rule, last=last) == replicas


def test_the_first_request_brings_it_back():
    assert wanted(0, 0.1, Autoscaling(0, 4, "concurrency", 2)) == 1


def test_nobody_measured_nothing_changes():
    assert scale(RULE, 3, None, NOW, low_since=None, since=None).replicas == 3
    assert read_load({}) is None
    assert read_load({CONCURRENCY: "nonsense"}) == Load()


@given(
    st.integers(0, 5),
    st.integers(0, 20),
    st.floats(0, 1e6),
    st.integers(1, 100),
    st.integers(0, 100),
    st.integers(0, 999),
)
def test_it_stays_within_its_bounds(low, more, concurrency, threshold, current, last):
    rule = Autoscaling(low, max(1, low + more), "concurrency", threshold)
    assert low <= wanted(current, concurrency, rule, last=last) <= rule.max_replicas


def test_traffic_is_an_average_over_the_window():
    traffic = Traffic()
    traffic.begin(0.0)
    traffic.begin(0.0)
    traffic.end(3.0)
    assert traffic.concurrency(6.0) == pytest.approx((2 * 3 + 1 * 3) / WINDOW_S)
    assert traffic.throughput(6.0) == pytest.approx(2 / WINDOW_S)
    traffic.end(6.0)
    assert traffic.concurrency(20.0) == 0
    assert traffic.active == 0


@pytest.mark.parametrize(
    ("host", "found"),
    [("w.ns.svc:8000", ("w", "ns")), ("w.ns.svc.cluster.local", ("w", "ns")), ("w", ("w", "")), ("w:80", ("w", ""))],
)
def test_a_host_names_its_workload(host, found):
    assert workload_of_host(host) == found
