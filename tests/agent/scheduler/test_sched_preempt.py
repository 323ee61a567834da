"""Preempt inside a queue: strictly higher priority takes from preemptible ones, and no more than it needs."""

import pytest

from agent.domain.groups import SubGroup
from agent.domain.queues import Queue, Share
from tests.agent.scheduler.cluster import MINUTE, Cluster


def full(**job) -> Cluster:
    cluster = Cluster().node("n1", 2).queue("a", 2)
    return cluster.job("old", "a", on="n1", **job).job("young", "a", on="n1", **job)


PRIORITIES = [(75, {"young-0"}), (50, set()), (49, set()), (100, {"young-0"})]


@pytest.mark.parametrize(("priority", "evicted"), PRIORITIES)
def test_only_strictly_higher_priority_preempts(priority, evicted):
    assert full().job("new", "a", priority=priority).plan("preempt").evicted == evicted


def test_non_preemptible_jobs_stay():
    assert full(priority=100).job("new", "a", priority=125).plan("preempt").evicted == set()


def test_other_queues_are_left_alone():
    cluster = full().queue("b", 2).job("new", "b", priority=75)
    assert cluster.plan("preempt").evicted == set()


def test_a_full_queue_makes_room_within_its_limit():
    cluster = Cluster().node("n1", 8).queue("a", 2, limit=2).job("low", "a", gpus=2, on="n1")
    decided = cluster.job("new", "a", gpus=2, priority=75).plan("preempt")
    assert (decided.evicted, decided.nominated) == ({"low-0"}, {"new-0": "n1"})


def test_non_preemptible_preemptor_stays_in_quota():
    cluster = Cluster().node("n1", 2).queue("a", 1).job("low", "a", gpus=2, on="n1")
    assert cluster.job("new", "a", gpus=2, priority=100).plan("preempt").evicted == set()


def test_a_gang_preempts_for_all_its_pods():
    decided = full().job("gang", "a", pods=2, priority=75).plan("preempt")
    assert (decided.evicted, set(decided.nominated)) == ({"old-0", "young-0"}, {"gang-0", "gang-1"})


def test_a_hopeless_gang_evicts_nobody():
    decided = full().job("gang", "a", pods=3, priority=75).plan("preempt")
    assert (decided.evicted, "OutOfReach" in decided.codes("gang")) == (set(), True)


def test_minimum_run_time_protects():
    cluster = Cluster().node("n1", 1)
    cluster.queues.append(Queue("a", gpu=Share(1000), preempt_min_runtime=10 * MINUTE))
    cluster.job("low", "a", on="n1").job("new", "a", priority=75)
    assert cluster.plan("preempt").evicted == set()


def test_the_right_node_is_emptied():
    cluster = Cluster().node("n1", 2).node("n2", 2).queue("a", 4)
    cluster.job("one", "a", on="n1").job("two", "a", on="n1").job("big", "a", gpus=2, on="n2", priority=60)
    assert cluster.job("new", "a", gpus=2, priority=75).plan("preempt").evicted == {"one-0", "two-0"}


@pytest.mark.parametrize("places", [["n1", "n1", "n2"], ["n1", "n2", "n1"], ["n2", "n1", "n1"]])
def test_no_surplus_stays_behind_when_its_gang_goes(places):
    """Two of three are needed, and their node is taken: the third would run alone, wherever it is."""
    cluster = Cluster().node("n1", 2).node("n2", 1).queue("a", 8).job("low", "a", pods=3, on=places, least=2)
    assert cluster.job("new", "a", gpus=2, priority=75).plan("preempt").evicted == {"low-0", "low-1", "low-2"}


def test_a_surplus_goes_alone_where_that_is_enough():
    cluster = (
        Cluster().node("n1", 2).node("n2", 1).queue("a", 8).job("low", "a", pods=3, on=["n1", "n1", "n2"], least=2)
    )
    assert cluster.job("new", "a", priority=75).plan("preempt").evicted == {"low-2"}


def test_a_gang_that_can_do_without_a_sub_group_keeps_the_rest():
    """One of two sub-groups is enough: the other gives its pods, and nobody else is disturbed."""
    root = SubGroup("root", children=(SubGroup("one", 2), SubGroup("two", 1)), min_subgroup=1)
    cluster = Cluster().node("n1", 2).node("n2", 1).node("n3", 1).queue("a", 8)
    places, groups = ["n1", "n1", "n2", "n3"], ["one", "one", "one", "two"]
    cluster.job("low", "a", pods=4, on=places, root=root, subgroups=groups)
    decided = cluster.job("new", "a", gpus=2, priority=75).plan("preempt")
    assert (decided.evicted, decided.moved) == ({"low-0", "low-1"}, {})
