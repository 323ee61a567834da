"""Bad objects: a plan for everything sane, a reason for each thing refused, never an exception."""

from dataclasses import replace

import pytest

from agent.domain.groups import SubGroup
from agent.domain.pods import Request
from agent.domain.queues import Queue, Share
from tests.agent.scheduler.cluster import Cluster

NAN, HUGE = float("nan"), 1 << 70


def sane() -> Cluster:
    return Cluster().node("n1").queue("a", 8).job("good", "a")


def assert_good_runs(decided) -> None:
    assert decided.bound["good-0"] == "n1"


NODES = [("cpu", -1), ("memory", NAN), ("gpus", HUGE), ("max_pods", 1.5), ("mig", (("x", -1),)), ("extended", "junk")]


@pytest.mark.parametrize(("field", "value"), NODES)
def test_bad_nodes(field, value):
    cluster = sane().node("bad")
    cluster.nodes[-1] = replace(cluster.nodes[-1], **{field: value})
    decided = cluster.plan()
    assert_good_runs(decided)
    assert decided.plan.refused["node/bad"].code == "Invalid"


REQUESTS = [
    Request(cpu=-1),
    Request(memory=NAN),
    Request(gpus=1.5),
    Request(gpus=HUGE),
    Request(gpu_fraction=1001),
    Request(gpu_fraction=500, gpu_devices=0),
    Request(gpus=1, gpu_fraction=500),
    Request(extended=(("x", -2),)),
    Request(mig=[("x", 1)]),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_bad_requests(request_):
    decided = sane().job("bad", "a", request=request_).plan()
    assert_good_runs(decided)
    assert decided.plan.pod_reasons["bad-0"].code == "Invalid"


QUEUES = [
    ("negative quota", [Queue("bad", gpu=Share(-5))]),
    ("limit not a number", [Queue("bad", gpu=Share(0, NAN))]),
    ("missing parent", [Queue("bad", "nobody")]),
    ("its own parent", [Queue("bad", "bad")]),
    ("cycle", [Queue("bad", "other"), Queue("other", "bad")]),
    ("below a cycle", [Queue("bad", "x"), Queue("x", "y"), Queue("y", "x")]),
    ("inner queue", [Queue("bad"), Queue("child", "bad")]),
    ("unknown", []),
]


@pytest.mark.parametrize(("name", "queues"), QUEUES, ids=[row[0] for row in QUEUES])
def test_bad_queues(name, queues):
    cluster = sane().job("bad", "bad")
    cluster.queues += queues
    decided = cluster.plan()
    assert_good_runs(decided)
    assert (decided.bound.get("bad-0"), len(decided.text("bad")) > 10) == (None, True)


TREES = [
    SubGroup("x", -1),
    SubGroup("", children=(SubGroup("x"), SubGroup("x"))),
    SubGroup("", children=(SubGroup("x"),), min_subgroup=2),
]


@pytest.mark.parametrize("root", TREES)
def test_bad_trees(root):
    decided = sane().job("bad", "a", root=root, subgroups=["x"]).plan()
    assert_good_runs(decided)
    assert "group/team/bad" in decided.plan.refused


def test_two_pods_of_one_uid():
    cluster = sane().job("twin", "a")
    cluster.pods.append(replace(cluster.pods[-1], name="twin-again"))
    decided = cluster.plan()
    assert_good_runs(decided)
    assert len([bind for bind in decided.plan.binds if bind.pod == "twin-0"]) == 1
    assert decided.plan.refused["pod/team/twin-again"].code == "Duplicate"


@pytest.mark.parametrize("kind", ["nodes", "queues", "groups"])
def test_doubled_objects(kind):
    cluster = sane()
    objects = getattr(cluster, kind)
    objects.append(objects[0])
    decided = cluster.plan()
    assert_good_runs(decided)
    assert [why.code for why in decided.plan.refused.values()] == ["Duplicate"]


def test_a_vanished_node():
    """Its pods still count against their queue, and the plan says so."""
    cluster = Cluster().node("n1").queue("a", 2, limit=2).job("lost", "a", gpus=2, on="gone").job("new", "a")
    decided = cluster.plan()
    assert decided.plan.refused["pod/team/lost-0"].code == "NodeGone"
    assert decided.codes("new") == ["OverLimit"]


def test_a_pod_without_its_group():
    cluster = sane()
    cluster.pods.append(replace(cluster.pods[0], uid="stray", name="stray", group="team/none"))
    decided = cluster.plan()
    assert_good_runs(decided)
    assert decided.plan.pod_reasons["stray"].code == "GroupDoesNotExist"


def test_a_pod_of_an_unknown_sub_group():
    decided = sane().job("bad", "a", subgroups=["nowhere"]).plan()
    assert_good_runs(decided)
    assert decided.plan.pod_reasons["bad-0"].code == "SubGroupDoesNotExist"


def test_a_gang_larger_than_the_cluster():
    decided = sane().job("bad", "a", pods=1000).plan()
    assert_good_runs(decided)
    assert decided.codes("bad")[0] == "Gang"


def test_an_empty_cluster():
    assert Cluster().plan().bound == {}


def test_a_pool_without_nodes():
    decided = Cluster().queue("a", 8).job("j", "a").plan()
    assert decided.text("j") == 'pool "default" has no nodes'


def test_more_held_than_there_is():
    """A node that shrank under its pods is full, not negative."""
    cluster = Cluster().node("n1", 2).queue("a", 8).job("old", "a", gpus=4, on="n1").job("new", "a")
    decided = cluster.plan("allocate")
    assert (decided.bound, "0 free" in decided.text("new")) == ({}, True)


def test_ten_thousand_queues():
    cluster = Cluster().node("n1")
    for index in range(10_000):
        cluster.queues.append(Queue(f"q{index}", gpu=Share(1000)))
    assert cluster.job("good", "q77").plan("allocate").bound == {"good-0": "n1"}
