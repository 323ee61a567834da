"""The defects B1–B16 of the scheduler whose behaviour ours follows: each shown not to be here."""

from dataclasses import replace

import pytest

from agent.domain.constraints import Constraints, NodeTerm
from agent.domain.groups import SubGroup
from agent.domain.pods import PodStatus, Request
from agent.domain.quantities import MILLI, NANOSECONDS
from agent.scheduler import Config, plan
from agent.scheduler.usage import History, Sample, Window
from tests.agent.scheduler.cluster import NOW, Cluster

ONE_OF_TWO = SubGroup("", children=(SubGroup("x", 2), SubGroup("y", 2)), min_subgroup=1)
WHOLE_TREE = ["x", "x", "y", "y"]
LONG_STALE = {"stale_since": NOW - 3600 * NANOSECONDS}


@pytest.mark.parametrize("subgroups", [["x", "x"], WHOLE_TREE])
def test_b1_stale_eviction_honours_min_subgroup(subgroups):
    """A running whole sub-group stays, whether the other one waits or has no pods yet."""
    cluster = Cluster().node("n1", 2).queue("a", 4)
    cluster.job("j", "a", pods=len(subgroups), root=ONE_OF_TWO, subgroups=subgroups, on=["n1", "n1"], **LONG_STALE)
    assert cluster.plan("stalegangeviction").evicted == set()


@pytest.mark.parametrize("action", ["reclaim", "preempt", "consolidation"])
def test_b2_min_subgroup_jobs_take_room(action):
    cluster = Cluster().node("n1", 2).node("n2", 2).queue("a", 4).queue("b", 0)
    victim = "b" if action == "reclaim" else "a"
    if action == "consolidation":
        cluster.job("v1", victim, on="n1").job("v2", victim, on="n2")
    else:
        cluster.job("v1", victim, gpus=2, on="n1").job("v2", victim, gpus=2, on="n2")
    cluster.job("j", "a", pods=4, root=ONE_OF_TWO, subgroups=WHOLE_TREE, priority=75)
    assert len(cluster.plan(action).nominated) == 2


def test_b2_a_failed_search_leaves_no_trace():
    """The hopeless gang comes first; the one behind it still sees the true state."""
    cluster = Cluster().node("n1", 2).queue("a", 2).job("low", "a", gpus=2, on="n1")
    cluster.job("hopeless", "a", pods=3, priority=90).job("fits", "a", gpus=2, priority=75)
    decided = cluster.plan("preempt")
    assert (decided.evicted, set(decided.nominated)) == ({"low-0"}, {"fits-0"})


def test_b3_a_failed_memory_request_does_not_stop_a_smaller_one():
    cluster = Cluster().node("n1", 1).queue("a", 100).job("low", "a", fraction=0.5, on="n1", devices=[("g",)])
    cluster.job("keep", "a", fraction=0.4, on="n1", devices=[("g",)], priority=100)
    cluster.job("big", "a", request=Request(cpu=MILLI, gpu_memory=39_000), priority=75)
    cluster.job("small", "a", request=Request(cpu=MILLI, gpu_memory=20_000), priority=75)
    assert set(cluster.plan("preempt").nominated) == {"small-0"}


def test_b4_a_failed_gang_does_not_stop_an_elastic_one():
    cluster = Cluster().node("n1", 2).queue("a", 4).job("low", "a", gpus=2, on="n1")
    cluster.job("gang", "a", pods=4, priority=75).job("elastic", "a", pods=4, least=1, priority=75)
    assert set(cluster.plan("preempt").nominated) == {"elastic-0"}


def test_b5_queue_depth_drops_the_last_in_order():
    cluster = Cluster().node("n1").queue("a", 100)
    for priority in (5, 1, 3, 4):
        cluster.job(f"p{priority}", "a", priority=priority)
    assert set(cluster.plan("allocate", queue_depth={"allocate": 2}).bound) == {"p5-0", "p4-0"}


def test_b6_consolidation_looks_at_the_same_jobs_every_time():
    cluster = Cluster().queue("a", 1000)
    for index in range(40):
        cluster.node(f"n{index:02d}", 2).job(f"j{index}", "a", on=f"n{index:02d}")
    snapshot = cluster.job("new", "a", gpus=2).snapshot()
    first = plan(snapshot, NOW, Config(actions=("consolidation",)))
    turned = replace(snapshot, groups=snapshot.groups[::-1], pods=snapshot.pods[::-1], nodes=snapshot.nodes[::-1])
    assert len(first.nominations) == 1
    assert plan(turned, NOW, Config(actions=("consolidation",))) == first


def test_b7_cpu_pods_are_not_drawn_to_shared_gpus():
    cluster = Cluster().node("gpu", 2).node("plain", 0).queue("a", 10)
    cluster.job("share", "a", fraction=0.5, on="gpu", devices=[("g",)]).job("cpu", "a", gpus=0)
    assert cluster.plan("allocate").bound == {"cpu-0": "plain"}


def test_b8_joining_a_device_takes_one_pod_slot():
    cluster = Cluster().node("n1", 1, max_pods=2).queue("a", 10)
    cluster.job("x", "a", fraction=0.5, on="n1", devices=[("3fa85f64-5717",)]).job("y", "a", fraction=0.5)
    assert cluster.plan("allocate").bound == {"y-0": "n1"}


def test_b9_equal_devices_are_chosen_by_name():
    cluster = Cluster().node("n1", 4).queue("a", 10)
    for name in ("gc", "ga", "gb"):
        cluster.job(name, "a", fraction=0.5, on="n1", devices=[(name,)])
    assert cluster.job("new", "a", fraction=0.5).plan("allocate").devices == {"new-0": ("ga",)}


@pytest.mark.parametrize("window", [Window("tumbling", length=10), Window("cron", start=0, length=10)])
def test_b10_tumbling_windows_count(window):
    history = History(window).add(Sample(5, {"a": (1000, 0, 0)}, (2000, 0, 0)))
    assert history.shares(8)["a"].gpu == 500_000


def test_b11_volumes_narrow_the_search():
    rule = Constraints(volumes=((NodeTerm(names=("n2",)),),))
    cluster = Cluster().node("n1").node("n2").queue("a", 10).job("j", "a", constraints=rule)
    assert cluster.plan("allocate").bound == {"j-0": "n2"}


def test_b12_the_saturation_multiplier_counts():
    """Afterwards d1 would hold 3 of its fair 2 and d2 4 of 2: fair, unless d1 counts as twice as full."""
    cluster = Cluster().node("n1", 7).queue("d1", 2, weight=0).queue("d2", 2, weight=0)
    cluster.queue("x", 2, parent="d1").queue("a", 1, parent="d1").queue("b", 2, parent="d2")
    cluster.job("x0", "x", gpus=2, on="n1", priority=100)
    for index in range(5):
        cluster.job(f"b{index}", "b", on="n1")
    cluster.job("mine", "a")
    assert cluster.plan("reclaim").evicted == {"b4-0"}
    assert cluster.plan("reclaim", saturation_multiplier=2000).evicted == set()


def test_b13_victims_are_counted_in_the_whole_subtree():
    """Department d2 has borrowed by two queues; after one victim from each it is the other department's turn."""
    cluster = Cluster().node("n1", 6).queue("d1", 2).queue("d2", 1, weight=1).queue("d3", 1, weight=1)
    cluster.queue("a", 2, parent="d1").queue("b", 0, parent="d2").queue("c", 0, parent="d2").queue("e", 0, parent="d3")
    for queue, count in (("b", 2), ("c", 2), ("e", 2)):
        for index in range(count):
            cluster.job(f"{queue}{index}", queue, on="n1")
    evicted = cluster.job("mine", "a", pods=2).plan("reclaim").evicted
    assert {pod[0] for pod in evicted} == {"b", "c"}


def test_b14_running_jobs_get_no_reasons():
    cluster = Cluster().node("n1", 2).queue("a", 2).job("low", "a", on="n1").job("keep", "a", on="n1", priority=100)
    decided = cluster.job("hopeless", "a", gpus=2, priority=75).plan()
    assert set(decided.plan.reasons) == {"team/hopeless"}


def test_b15_min_subgroup_jobs_are_not_unfinished_forever():
    """With its one sub-group whole it is satisfied, so another job's minimum comes before its growth."""
    cluster = Cluster().node("n1", 4).queue("a", 4)
    cluster.job("tree", "a", pods=4, root=ONE_OF_TWO, subgroups=WHOLE_TREE, on=["n1", "n1"]).job("new", "a", pods=2)
    assert set(cluster.plan("allocate").bound) == {"new-0", "new-1"}


def test_b16_one_hard_job_does_not_end_the_action():
    """Even with nothing of the action's budget left, jobs behind the hard one are tried."""
    cluster = Cluster().queue("a", 200)
    for index in range(30):
        cluster.node(f"n{index:02d}", 2).job(f"low{index}", "a", gpus=2, on=f"n{index:02d}")
    far = Request(cpu=MILLI, gpus=2)
    cluster.job("hard", "a", pods=31, request=far, priority=90).job("easy", "a", gpus=2, priority=75)
    assert set(cluster.plan("preempt").nominated) == {"easy-0"}


def test_elastic_pods_of_a_leaving_gang_stay_gone():
    """A pod that failed is not a member to wait for."""
    cluster = Cluster().node("n1", 2).queue("a", 4)
    cluster.job("j", "a", pods=2, on="n1", statuses=[PodStatus.RUNNING, PodStatus.FAILED], **LONG_STALE)
    assert cluster.plan("stalegangeviction").evicted == {"j-0"}
