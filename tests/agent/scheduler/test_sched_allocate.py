"""Allocation: gangs whole, limits and quotas, order of queues and jobs, elastic growth, waiting for room."""

import pytest

from agent.domain.groups import SubGroup
from agent.domain.pods import PodStatus, Request
from tests.agent.scheduler.cluster import GIB, Cluster

RELEASING, PENDING, GATED = PodStatus.RELEASING, PodStatus.PENDING, PodStatus.GATED


def one_node(gpus: int = 4) -> Cluster:
    return Cluster().node("n1", gpus).queue("a", 100)


def test_a_fitting_job_is_bound():
    assert one_node().job("j", "a").plan().bound == {"j-0": "n1"}


def test_a_gang_starts_whole():
    assert one_node(4).job("j", "a", pods=4).plan().bound == {f"j-{i}": "n1" for i in range(4)}


def test_a_gang_does_not_start_in_part():
    decided = one_node(3).job("j", "a", pods=4).plan("allocate")
    assert (decided.bound, decided.codes("j")) == ({}, ["Gang"])


def test_a_smaller_job_behind_a_stuck_gang_runs():
    assert one_node(3).job("big", "a", pods=4).job("small", "a").plan("allocate").bound == {"small-0": "n1"}


def test_an_elastic_gang_takes_what_there_is():
    assert len(one_node(3).job("j", "a", pods=5, least=2).plan("allocate").bound) == 3


def test_an_elastic_gang_needs_its_minimum():
    assert one_node(3).job("j", "a", pods=5, least=4).plan("allocate").bound == {}


def test_elastic_growth_comes_after_minimums_of_others():
    cluster = one_node(3).job("old", "a", pods=3, least=1).job("young", "a", pods=2)
    assert set(cluster.plan("allocate").bound) == {"old-0", "young-0", "young-1"}


def test_optional_pods_need_no_gang():
    assert len(one_node(2).job("j", "a", pods=3, least=0).plan("allocate").bound) == 2


ORDER = [
    ("higher priority", {"priority": 50}, {"priority": 75}, "second"),
    ("older first", {"age": 10}, {"age": 20}, "second"),
    ("equal otherwise: the smaller uid", {"age": 5}, {"age": 5}, "first"),
]


@pytest.mark.parametrize(("why", "first", "second", "winner"), ORDER, ids=[row[0] for row in ORDER])
def test_order_of_jobs(why, first, second, winner):
    cluster = one_node(1).job("first", "a", **first).job("second", "a", **second)
    assert cluster.plan("allocate").bound == {f"{winner}-0": "n1"}


def test_queue_limit_holds_for_its_subtree():
    cluster = Cluster().node("n1").queue("d", 8, limit=2).queue("a", 8, parent="d").queue("b", 8, parent="d")
    cluster.job("j1", "a").job("j2", "b").job("j3", "a").job("j4", "b")
    decided = cluster.plan("allocate")
    assert len(decided.bound) == 2
    assert 'queue "d" holds 2 of its limit of 2 GPUs' in decided.text("j4")


def test_non_preemptible_stays_in_quota():
    cluster = Cluster().node("n1").queue("a", 1).job("j1", "a", priority=100).job("j2", "a", priority=100)
    decided = cluster.plan("allocate")
    assert (set(decided.bound), decided.codes("j2")) == ({"j1-0"}, ["NonPreemptibleOverQuota"])


def test_preemptible_goes_over_quota():
    cluster = Cluster().node("n1", 2).queue("a", 1).job("j1", "a").job("j2", "a")
    assert len(cluster.plan("allocate").bound) == 2


QUEUES = [
    ("starved before over quota", {"quota": 2}, {"quota": 0}, "b"),
    ("priority of the queue", {"quota": 0, "priority": 200}, {"quota": 0}, "b"),
    ("smaller dominant share", {"quota": 0, "weight": 3}, {"quota": 0, "weight": 1}, "b"),
]


@pytest.mark.parametrize(("why", "b", "c", "winner"), QUEUES, ids=[row[0] for row in QUEUES])
def test_order_of_queues(why, b, c, winner):
    cluster = Cluster().node("n1", 4).queue("c", **c).queue("b", **b)
    cluster.job("c-run", "c", on="n1").job("b-run", "b", on="n1").job("x", "c", on="n1")
    cluster.job("c-new", "c").job("b-new", "b")
    assert cluster.plan("allocate").bound == {f"{winner}-new-0": "n1"}


def test_departments_share_before_their_queues():
    """Two queues of one department do not outvote the single queue of the other."""
    cluster = Cluster().node("n1", 4).queue("d1", 2).queue("d2", 2)
    cluster.queue("a", 0, parent="d1").queue("b", 0, parent="d1").queue("c", 0, parent="d2")
    for index in range(4):
        for queue in "abc":
            cluster.job(f"{queue}{index}", queue)
    bound = cluster.plan("allocate").bound
    assert sum(1 for pod in bound if pod.startswith("c")) == 2


def test_three_levels_of_queues():
    cluster = Cluster().node("n1", 2).queue("top", 2).queue("mid", 2, parent="top").queue("leaf", 2, parent="mid")
    assert cluster.job("j", "leaf", pods=2).plan().bound == {"j-0": "n1", "j-1": "n1"}


def test_waits_for_a_leaving_pod():
    cluster = one_node(1).job("old", "a", on="n1", statuses=[RELEASING]).job("new", "a")
    assert cluster.plan("allocate").nominated == {"new-0": "n1"}


def test_a_stuck_pod_is_not_waited_for():
    cluster = one_node(1).job("old", "a", on="n1", statuses=[PodStatus.STUCK_IN_RELEASING]).job("new", "a")
    assert cluster.plan("allocate").nominated == {}


def test_a_gang_waits_as_a_whole():
    """One place is free, one is coming: neither pod starts before the other can."""
    cluster = one_node(2).job("old", "a", on="n1", statuses=[RELEASING]).job("new", "a", pods=2)
    decided = cluster.plan("allocate")
    assert (decided.bound, set(decided.nominated)) == ({}, {"new-0", "new-1"})


def test_what_was_promised_is_not_given_away():
    cluster = Cluster().node("n1", 2).queue("a", 8)
    cluster.job("old", "a", on="n1", statuses=[RELEASING]).job("big", "a", gpus=2).job("small", "a")
    decided = cluster.plan("allocate")
    assert (decided.bound, decided.nominated) == ({}, {"big-0": "n1"})


def test_gated_pods_neither_run_nor_count():
    decided = one_node().job("j", "a", pods=2, statuses=[GATED, PENDING]).plan()
    assert (decided.bound, decided.codes("j")) == ({}, ["NotReady"])


MISSING = [
    ("cores", {"request": Request(cpu=65_000)}, "lacks CPU cores: 65 requested, at most 64 free"),
    ("memory", {"request": Request(memory=1024 * GIB)}, "lacks memory: 1 TiB requested, at most 512 GiB free"),
    ("GPUs", {"gpus": 9}, "lacks GPUs: 9 requested, at most 4 free"),
]


@pytest.mark.parametrize(("what", "job", "sentence"), MISSING, ids=[row[0] for row in MISSING])
def test_says_what_is_missing(what, job, sentence):
    assert one_node().job("j", "a", **job).plan("allocate").text("j") == (
        f'1 of 1 node is in pool "default"; it {sentence}'
    )


def test_pod_slots_are_counted():
    cluster = Cluster().node("n1", 0, max_pods=1).queue("a").job("j", "a", pods=2, gpus=0)
    assert cluster.plan("allocate").bound == {}


def test_best_effort_pods_need_only_a_slot():
    cluster = Cluster().node("n1", 0, cores=0, memory=0).queue("a")
    assert cluster.job("j", "a", request=Request()).plan("allocate").bound == {"j-0": "n1"}


def test_pools_are_planned_apart():
    cluster = Cluster().node("n1", 1).node("m1", 1, pool="other").queue("a", 1).queue("b", 1, pool="other")
    cluster.job("j", "a").job("k", "b", pool="other").job("l", "a")
    decided = cluster.plan("allocate")
    assert decided.bound == {"j-0": "n1", "k-0": "m1"}
    assert decided.text("l").startswith('1 of 2 nodes is in pool "default"')


def test_sub_groups_need_their_own_minimum():
    root = SubGroup("", children=(SubGroup("x", 1), SubGroup("y", 2)))
    cluster = one_node(2).job("j", "a", pods=3, root=root, subgroups=["x", "y", "y"])
    assert cluster.plan("allocate").bound == {}


def test_one_of_two_sub_groups_is_enough():
    root = SubGroup("", children=(SubGroup("x", 1), SubGroup("y", 2)), min_subgroup=1)
    cluster = one_node(1).job("j", "a", pods=3, root=root, subgroups=["x", "y", "y"])
    assert cluster.plan("allocate").bound == {"j-0": "n1"}


def test_queue_depth_keeps_the_first_in_order():
    cluster = one_node(8)
    for name, priority in (("p5", 5), ("p1", 1), ("p3", 3), ("p4", 4)):
        cluster.job(name, "a", priority=priority)
    assert set(cluster.plan("allocate", queue_depth={"allocate": 2}).bound) == {"p5-0", "p4-0"}
