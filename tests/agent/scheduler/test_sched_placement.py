"""Which node: bin-pack and spread, CPU-only nodes, selectors, taints, affinity, ports, nominated node."""

from dataclasses import replace

import pytest

from agent.domain.constraints import Constraints, NodeTerm, PodTerm, Requirement, Taint, Toleration
from agent.domain.nodes import NodePool, Usage
from agent.domain.pods import PodStatus
from tests.agent.scheduler.cluster import Cluster


def two_nodes(**pool) -> Cluster:
    """n1 has one of four GPUs taken, n2 none."""
    cluster = Cluster().node("n1", 4).node("n2", 4).queue("a", 100).job("old", "a", on="n1")
    cluster.pools.append(NodePool(**pool))
    return cluster


STRATEGY = [("binpack", "n1"), ("spread", "n2")]


@pytest.mark.parametrize(("placement", "node"), STRATEGY)
def test_gpu_placement(placement, node):
    assert two_nodes(gpu_placement=placement).job("new", "a").plan("allocate").bound == {"new-0": node}


@pytest.mark.parametrize(("placement", "node"), STRATEGY)
def test_cpu_placement(placement, node):
    assert two_nodes(cpu_placement=placement).job("new", "a", gpus=0).plan("allocate").bound == {"new-0": node}


def test_equal_nodes_go_by_name():
    assert Cluster().node("b").node("a").queue("q").job("j", "q").plan("allocate").bound == {"j-0": "a"}


def test_cpu_only_pods_go_to_cpu_only_nodes():
    cluster = Cluster().node("gpu", 8, cores=8).node("plain", 0, cores=64).queue("a")
    assert cluster.job("j", "a", gpus=0).plan("allocate").bound == {"j-0": "plain"}


def test_starting_now_beats_packing():
    cluster = Cluster().node("n1", 1).node("n2", 8).queue("a", 9)
    cluster.job("old", "a", on="n1", statuses=[PodStatus.RELEASING]).job("new", "a")
    assert cluster.plan("allocate").bound == {"new-0": "n2"}


ZONES = (("n1", "east"), ("n2", "west"))


def zoned() -> Cluster:
    cluster = Cluster().queue("a", 100)
    for name, zone in ZONES:
        cluster.node(name, 2, labels={"zone": zone, "cores": "8" if zone == "east" else "16"})
    return cluster


def term(key: str, operator: str, *values: str) -> NodeTerm:
    return NodeTerm((Requirement(key, operator, values),))


RULES = [
    ("selector", Constraints(node_selector=(("zone", "west"),)), "n2"),
    ("affinity In", Constraints(node_affinity=(term("zone", "In", "west", "north"),)), "n2"),
    ("affinity NotIn", Constraints(node_affinity=(term("zone", "NotIn", "east"),)), "n2"),
    ("affinity Exists", Constraints(node_affinity=(term("zone", "Exists"),)), "n1"),
    ("affinity DoesNotExist", Constraints(node_affinity=(term("rack", "DoesNotExist"),)), "n1"),
    ("affinity Gt", Constraints(node_affinity=(term("cores", "Gt", "8"),)), "n2"),
    ("affinity Lt", Constraints(node_affinity=(term("cores", "Lt", "16"),)), "n1"),
    ("either term", Constraints(node_affinity=(term("zone", "In", "x"), term("zone", "In", "west"))), "n2"),
    ("node names", Constraints(node_affinity=(NodeTerm(names=("n2",)),)), "n2"),
    ("preferred", Constraints(preferred_nodes=((5, term("zone", "In", "west")),)), "n2"),
    ("volume", Constraints(volumes=((term("zone", "In", "west"),),)), "n2"),
    ("nothing fits", Constraints(node_selector=(("zone", "north"),)), None),
]


@pytest.mark.parametrize(("name", "constraints", "node"), RULES, ids=[row[0] for row in RULES])
def test_where_labels_allow(name, constraints, node):
    bound = zoned().job("j", "a", constraints=constraints).plan("allocate").bound
    assert bound == ({"j-0": node} if node else {})


TAINTS = [
    ("none", (), False),
    ("by value", (Toleration("team", "Equal", "vision"),), True),
    ("other value", (Toleration("team", "Equal", "speech"),), False),
    ("by existence", (Toleration("team", "Exists"),), True),
    ("everything", (Toleration("", "Exists"),), True),
    ("other effect", (Toleration("team", "Exists", effect="NoExecute"),), False),
]


@pytest.mark.parametrize(("name", "tolerations", "runs"), TAINTS, ids=[row[0] for row in TAINTS])
def test_taints(name, tolerations, runs):
    cluster = Cluster().node("n1", taints=(Taint("team", "vision"),)).queue("a", 8)
    decided = cluster.job("j", "a", constraints=Constraints(tolerations=tolerations)).plan("allocate")
    assert bool(decided.bound) is runs
    assert runs or 'taint "team=vision:NoSchedule"' in decided.text("j")


def test_prefer_no_schedule_does_not_keep_away():
    cluster = Cluster().node("n1", taints=(Taint("x", "", "PreferNoSchedule"),)).queue("a", 8)
    assert cluster.job("j", "a").plan("allocate").bound == {"j-0": "n1"}


CLOSED = [({"unschedulable": True}, "is cordoned"), ({"ready": False}, "is not ready")]


@pytest.mark.parametrize(("state", "words"), CLOSED)
def test_closed_nodes_receive_nothing(state, words):
    decided = Cluster().node("n1", **state).queue("a", 8).job("j", "a").plan("allocate")
    assert (decided.bound, words in decided.text("j")) == ({}, True)


def test_other_schedulers_pods_take_room():
    cluster = Cluster().node("n1", 2, foreign=Usage(gpus=1)).queue("a", 8).job("j", "a", gpus=2)
    assert cluster.plan("allocate").bound == {}


APP = (Requirement("app", "In", ("db",)),)


def test_affinity_joins_its_friends_domain():
    cluster = zoned().job("db", "a", on="n2", labels={"app": "db"})
    near = Constraints(pod_affinity=(PodTerm("zone", APP),))
    assert cluster.job("web", "a", constraints=near).plan("allocate").bound == {"web-0": "n2"}


def test_affinity_without_friends_waits():
    near = Constraints(pod_affinity=(PodTerm("zone", APP),))
    decided = zoned().job("web", "a", constraints=near).plan("allocate")
    assert (decided.bound, "pod affinity" in decided.text("web")) == ({}, True)


def test_affinity_to_its_own_kind_starts_the_first():
    near = Constraints(pod_affinity=(PodTerm("zone", APP),))
    cluster = zoned().job("db", "a", pods=2, constraints=near, labels={"app": "db"})
    assert set(cluster.plan("allocate").bound.values()) == {"n1"}


def test_anti_affinity_spreads_its_own_kind():
    apart = Constraints(pod_anti_affinity=(PodTerm("zone", APP),))
    cluster = zoned().job("db", "a", pods=2, constraints=apart, labels={"app": "db"})
    assert sorted(cluster.plan("allocate").bound.values()) == ["n1", "n2"]


def test_anti_affinity_binds_newcomers_too():
    apart = Constraints(pod_anti_affinity=(PodTerm("zone", APP),))
    cluster = zoned().job("shy", "a", on="n1", constraints=apart).job("db", "a", labels={"app": "db"})
    assert cluster.plan("allocate").bound == {"db-0": "n2"}


def test_preferred_affinity_decides_between_fitting_nodes():
    cluster = zoned().job("db", "a", on="n2", labels={"app": "db"})
    near = Constraints(preferred_pods=((1, PodTerm("zone", APP)),))
    assert cluster.job("web", "a", constraints=near).plan("allocate").bound == {"web-0": "n2"}


def test_host_ports_do_not_clash():
    port = Constraints(host_ports=(("TCP", "", 80),))
    cluster = zoned().job("one", "a", constraints=port).job("two", "a", constraints=port)
    cluster.job("three", "a", constraints=port)
    decided = cluster.plan("allocate")
    assert (sorted(decided.bound.values()), "port 80" in decided.text("three")) == (["n1", "n2"], True)


def test_a_nominated_node_comes_first():
    cluster = Cluster().node("n1").node("n2").queue("a", 8).job("j", "a")
    cluster.pods[0] = replace(cluster.pods[0], nominated_node="n2")
    assert cluster.plan("allocate").bound == {"j-0": "n2"}
