"""Stale gangs: below their minimum for longer than the grace, what is left of them is evicted."""

import pytest

from agent.domain.groups import SubGroup
from agent.domain.pods import PodStatus
from agent.domain.quantities import NANOSECONDS
from tests.agent.scheduler.cluster import NOW, Cluster

RUNNING, FAILED, SUCCEEDED = PodStatus.RUNNING, PodStatus.FAILED, PodStatus.SUCCEEDED


def half(statuses=(RUNNING, FAILED), **job) -> Cluster:
    cluster = Cluster().node("n1").queue("a", 8)
    return cluster.job("j", "a", pods=len(statuses), on="n1", statuses=list(statuses), **job)


GRACE = [
    ("fresh", {}, set()),
    ("within grace", {"stale_since": NOW - 30 * NANOSECONDS}, set()),
    ("grace over", {"stale_since": NOW - 61 * NANOSECONDS}, {"j-0"}),
    ("own shorter grace", {"stale_since": NOW - 6 * NANOSECONDS, "staleness_grace": 5 * NANOSECONDS}, {"j-0"}),
    ("never", {"stale_since": NOW - 3600 * NANOSECONDS, "staleness_grace": -1}, set()),
]


@pytest.mark.parametrize(("name", "job", "evicted"), GRACE, ids=[row[0] for row in GRACE])
def test_grace(name, job, evicted):
    assert half(**job).plan("stalegangeviction").evicted == evicted


def test_a_new_stale_gang_is_reported():
    assert half().plan("stalegangeviction").plan.stale == ("team/j",)


def test_a_recovered_gang_is_unmarked():
    cluster = half(statuses=(RUNNING, RUNNING), stale_since=NOW - NANOSECONDS)
    assert cluster.plan("stalegangeviction").plan.no_longer_stale == ("team/j",)


def test_a_finished_pod_ends_staleness():
    cluster = half(statuses=(RUNNING, SUCCEEDED), stale_since=NOW - 3600 * NANOSECONDS)
    assert cluster.plan("stalegangeviction").evicted == set()


def test_an_elastic_gang_at_its_minimum_is_not_stale():
    cluster = half(least=1, stale_since=NOW - 3600 * NANOSECONDS)
    assert cluster.plan("stalegangeviction").evicted == set()


ONE_OF_TWO = SubGroup("", children=(SubGroup("x", 2), SubGroup("y", 2)), min_subgroup=1)
TREE = [
    ("one whole sub-group is enough", ["x", "x"], (RUNNING, RUNNING), set()),
    ("no whole sub-group", ["x", "x"], (RUNNING, FAILED), {"j-0"}),
]


@pytest.mark.parametrize(("name", "subgroups", "statuses", "evicted"), TREE, ids=[row[0] for row in TREE])
def test_the_tree_decides(name, subgroups, statuses, evicted):
    cluster = half(statuses, root=ONE_OF_TWO, subgroups=subgroups, stale_since=NOW - 3600 * NANOSECONDS)
    assert cluster.plan("stalegangeviction").evicted == evicted
