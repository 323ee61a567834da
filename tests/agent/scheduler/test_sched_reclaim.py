"""Reclaim between queues: who may claim, who gives first, how far, and what stays fair."""

import pytest

from agent.domain.quantities import NANOSECONDS
from agent.domain.queues import Queue, Share
from tests.agent.scheduler.cluster import MINUTE, NOW, Cluster


def borrowed(gpus: int = 4, quota_a: int = 2, quota_b: int = 2, **jobs) -> Cluster:
    """Queue b has borrowed every GPU of the node with one-GPU jobs b0 (oldest) … b3."""
    cluster = Cluster().node("n1", gpus).queue("a", quota_a).queue("b", quota_b)
    for index in range(gpus):
        cluster.job(f"b{index}", "b", on="n1", **jobs)
    return cluster


def test_quota_is_taken_back_from_the_youngest():
    decided = borrowed().job("mine", "a").plan("reclaim")
    assert (decided.evicted, decided.nominated) == ({"b3-0"}, {"mine-0": "n1"})


def test_no_more_than_the_quota_is_taken_back():
    cluster = borrowed()
    for index in range(4):
        cluster.job(f"mine{index}", "a")
    assert len(cluster.plan("reclaim").evicted) == 2


def test_who_is_within_quota_gives_nothing():
    cluster = Cluster().node("n1", 2).queue("a", 1, weight=0).queue("b", 2).job("b0", "b", on="n1")
    assert cluster.job("b1", "b", on="n1").job("mine", "a").plan("reclaim").evicted == set()


def test_beyond_its_fair_share_nobody_reclaims():
    decided = borrowed(quota_a=0, quota_b=4).job("mine", "a").plan("reclaim")
    assert (decided.evicted, "FairShare" in decided.codes("mine")) == (set(), True)


def test_non_preemptible_jobs_are_no_victims():
    cluster = borrowed(quota_b=4, quota_a=4, priority=100).job("mine", "a")
    assert cluster.plan("reclaim").evicted == set()


def test_lower_priority_gives_first():
    cluster = Cluster().node("n1", 2).queue("a", 1).queue("b", 0)
    cluster.job("low", "b", on="n1", priority=50).job("high", "b", on="n1", priority=75)
    assert cluster.job("mine", "a").plan("reclaim").evicted == {"low-0"}


def test_the_most_over_served_queue_gives_first():
    cluster = Cluster().node("n1", 4).queue("a", 1, weight=0).queue("b", 1, weight=0).queue("c", 1, weight=0)
    cluster.job("b0", "b", on="n1").job("c0", "c", on="n1").job("c1", "c", on="n1").job("c2", "c", on="n1")
    assert cluster.job("mine", "a").plan("reclaim").evicted == {"c2-0"}


def test_surplus_of_an_elastic_gang_goes_before_the_gang():
    cluster = Cluster().node("n1", 3).queue("a", 1).queue("b", 0)
    cluster.job("gang", "b", pods=3, least=2, on="n1").job("mine", "a")
    assert cluster.plan("reclaim").evicted == {"gang-2"}


def test_a_gang_is_taken_whole():
    cluster = Cluster().node("n1", 2).queue("a", 1).queue("b", 0).job("gang", "b", pods=2, on="n1")
    assert cluster.job("mine", "a").plan("reclaim").evicted == {"gang-0", "gang-1"}


def test_a_gang_reclaims_on_several_nodes():
    cluster = Cluster().queue("a", 4).queue("b", 0)
    for name in ("n1", "n2"):
        cluster.node(name, 2)
        for index in range(2):
            cluster.job(f"{name}b{index}", "b", on=name)
    decided = cluster.job("mine", "a", pods=2, gpus=2).plan("reclaim")
    assert (len(decided.evicted), sorted(decided.nominated.values())) == (4, ["n1", "n2"])


def test_only_what_is_needed_is_evicted():
    """A victim that finds its place again was never evicted."""
    cluster = Cluster().node("n1", 4).queue("a", 1).queue("b", 0).job("two", "b", gpus=2, on="n1")
    cluster.job("one", "b", on="n1").job("last", "b", on="n1").job("mine", "a")
    assert cluster.plan("reclaim").evicted == {"last-0"}


def test_a_victim_that_fits_elsewhere_moves():
    cluster = Cluster().node("n1", 2).node("n2", 1).queue("a", 2).queue("b", 0)
    cluster.job("b0", "b", on="n1").job("b1", "b", on="n1").job("mine", "a", gpus=2)
    decided = cluster.plan("reclaim")
    assert (len(decided.evicted), len(decided.moved), decided.nominated["mine-0"]) == (1, 1, "n1")


def test_departments_reclaim_from_each_other():
    cluster = Cluster().node("n1", 2).queue("d1", 1).queue("d2", 1)
    cluster.queue("a", 1, parent="d1").queue("b", 1, parent="d2")
    cluster.job("b0", "b", on="n1").job("b1", "b", on="n1").job("mine", "a")
    assert cluster.plan("reclaim").evicted == {"b1-0"}


def test_a_sibling_inside_a_full_department_gives():
    cluster = Cluster().node("n1", 2).queue("d1", 2).queue("a", 1, parent="d1").queue("b", 1, parent="d1")
    cluster.job("b0", "b", on="n1").job("b1", "b", on="n1").job("mine", "a")
    assert cluster.plan("reclaim").evicted == {"b1-0"}


def test_equals_do_not_take_from_each_other():
    """Each holds half of what neither has quota for: no eviction, now or after it was carried out."""
    cluster = Cluster().node("n1", 2).queue("a", 0).queue("b", 0).job("a0", "a", on="n1").job("b0", "b", on="n1")
    assert cluster.job("a1", "a").job("b1", "b").plan("reclaim").evicted == set()


MIN_RUNTIME = [(30, True), (90, False)]


@pytest.mark.parametrize(("seconds", "taken"), MIN_RUNTIME)
def test_minimum_run_time_protects(seconds, taken):
    """The victims started a minute ago."""
    cluster = Cluster().node("n1", 1).queue("a", 1)
    cluster.queues.append(Queue("b", gpu=Share(0), reclaim_min_runtime=seconds * NANOSECONDS))
    cluster.job("b0", "b", on="n1").job("mine", "a")
    assert bool(cluster.plan("reclaim").evicted) is taken


def test_minimum_run_time_leaves_surplus_pods_to_take():
    cluster = Cluster().node("n1", 2).queue("a", 1)
    cluster.queues.append(Queue("b", gpu=Share(0), reclaim_min_runtime=10 * MINUTE))
    cluster.job("gang", "b", pods=2, least=1, on="n1").job("mine", "a", pods=2, least=1)
    assert cluster.plan("reclaim").evicted == {"gang-1"}


LCA = [("lca", {"d2": 10}, False), ("lca", {"b": 10}, True), ("queue", {"b": 10}, False), ("queue", {"d2": 10}, False)]


@pytest.mark.parametrize(("method", "minutes", "taken"), LCA)
def test_whose_minimum_run_time_counts(method, minutes, taken):
    """Between departments: "lca" asks the victim's department only, "queue" its queue and upwards."""
    cluster = Cluster().node("n1", 1).queue("d1", 1).queue("a", 1, parent="d1")
    for name, parent in (("d2", ""), ("b", "d2")):
        wait = minutes[name] * MINUTE if name in minutes else None
        cluster.queues.append(Queue(name, parent, gpu=Share(0), reclaim_min_runtime=wait))
    cluster.job("b0", "b", on="n1").job("mine", "a")
    assert bool(cluster.plan("reclaim", reclaim_resolve=method).evicted) is taken


def test_preemption_delay_holds_back():
    decided = borrowed().job("mine", "a", preemption_delay=2000 * MINUTE).plan("reclaim")
    assert (decided.evicted, "PreemptionDelayNotElapsed" in decided.codes("mine")) == (set(), True)


def test_preemption_delay_passes():
    cluster = borrowed().job("mine", "a", preemption_delay=5 * MINUTE)
    assert cluster.plan("reclaim", now=NOW).evicted == {"b3-0"}


def test_without_consolidation_moved_victims_count():
    """Moving b0 aside would do, but then b's fair share counts as broken when moves are not allowed for."""
    cluster = Cluster().node("n1", 2).node("n2", 1).queue("a", 2).queue("b", 1, weight=0)
    cluster.job("b0", "b", on="n1").job("mine", "a", gpus=2)
    assert cluster.plan("reclaim").moved == {"b0-0": "n2"}
    assert cluster.plan("reclaim", allow_consolidating_reclaim=False).moved == {}


def test_says_how_much_could_be_taken_back():
    cluster = Cluster().node("n1", 4).queue("a", 2, weight=0).queue("b", 3, weight=0)
    for index in range(4):
        cluster.job(f"b{index}", "b", on="n1")
    text = cluster.job("mine", "a", pods=2).plan("reclaim").text("mine")
    assert "2 GPUs are requested, 0 are free and others may be asked to give back 1" in text


def test_semi_preemptible_gives_its_surplus_only():
    cluster = Cluster().node("n1", 2).queue("a", 2).queue("b", 0)
    cluster.job("semi", "b", pods=2, least=1, on="n1", preemptibility="semi-preemptible")
    assert cluster.job("m1", "a").job("m2", "a").plan("reclaim").evicted == {"semi-1"}
