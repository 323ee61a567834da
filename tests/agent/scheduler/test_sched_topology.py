"""Topology: required and preferred domains, tightest first, per sub-group, and the reason when none fits."""

import pytest

from agent.domain.groups import SubGroup, TopologyConstraint
from agent.domain.nodes import Topology
from tests.agent.scheduler.cluster import Cluster

LEVELS = ("zone", "rack")


def racks(*sizes: int, gpus: int = 2) -> Cluster:
    """One zone; rack i has sizes[i] nodes named r<i>n<j>."""
    cluster = Cluster().queue("a", 1000).queue("b", 0)
    cluster.topologies.append(Topology("net", LEVELS))
    for rack, size in enumerate(sizes):
        for index in range(size):
            cluster.node(f"r{rack}n{index}", gpus, labels={"zone": "z", "rack": f"r{rack}"})
    return cluster


REQUIRED = TopologyConstraint("net", required="rack")
PREFERRED = TopologyConstraint("net", preferred="rack")


def racks_used(bound: dict[str, str]) -> set[str]:
    return {node[:2] for node in bound.values()}


def test_a_required_level_keeps_the_gang_together():
    bound = racks(1, 3).job("j", "a", pods=3, gpus=2, topology=REQUIRED).plan("allocate").bound
    assert racks_used(bound) == {"r1"}


def test_no_domain_fits():
    decided = racks(2, 2).job("j", "a", pods=3, gpus=2, topology=REQUIRED).plan("allocate")
    assert decided.bound == {}
    assert 'all 3 pods must run in one "rack" of topology "net"; of 2 domains the best' in decided.text("j")


def test_the_tightest_domain_is_taken():
    bound = racks(4, 2).job("j", "a", pods=2, gpus=2, topology=REQUIRED).plan("allocate").bound
    assert racks_used(bound) == {"r1"}


def test_a_preferred_level_gives_way():
    assert len(racks(2, 2).job("j", "a", pods=3, gpus=2, topology=PREFERRED).plan("allocate").bound) == 3


def test_a_preferred_level_is_kept_when_it_can_be():
    bound = racks(2, 3).job("j", "a", pods=3, gpus=2, topology=PREFERRED).plan("allocate").bound
    assert racks_used(bound) == {"r1"}


def test_a_running_gang_grows_where_it_is():
    cluster = racks(2, 4).job("j", "a", pods=3, gpus=2, least=1, topology=REQUIRED, on=["r0n0"])
    decided = cluster.plan("allocate")
    assert set(decided.bound.values()) == {"r0n1"}


def test_sub_groups_have_their_own_domains():
    root = SubGroup("", children=(SubGroup("x", 2, topology=REQUIRED), SubGroup("y", 2, topology=REQUIRED)))
    cluster = racks(2, 2).job("j", "a", pods=4, gpus=2, root=root, subgroups=["x", "x", "y", "y"])
    bound = cluster.plan("allocate").bound
    assert {bound["j-0"][:2], bound["j-2"][:2]} == {"r0", "r1"}
    assert (bound["j-0"][:2], bound["j-2"][:2]) == (bound["j-1"][:2], bound["j-3"][:2])


def test_nested_rules_narrow_the_domain():
    """Both sub-groups in one zone, each in one rack of it."""
    cluster = Cluster().queue("a", 1000)
    cluster.topologies.append(Topology("net", LEVELS))
    for zone, rack in (("z1", "r0"), ("z1", "r1"), ("z2", "r2")):
        for index in range(2):
            cluster.node(f"{rack}n{index}", 2, labels={"zone": zone, "rack": rack})
    zone = TopologyConstraint("net", required="zone")
    root = SubGroup(
        "", children=(SubGroup("x", 2, topology=REQUIRED), SubGroup("y", 2, topology=REQUIRED)), topology=zone
    )
    cluster.job("j", "a", pods=4, gpus=2, root=root, subgroups=["x", "x", "y", "y"])
    assert racks_used(cluster.plan("allocate").bound) == {"r0", "r1"}


def test_nodes_without_the_labels_are_outside():
    cluster = racks(1).node("bare", 8).job("j", "a", pods=2, gpus=2, topology=REQUIRED)
    assert cluster.plan("allocate").bound == {}


UNKNOWN = [TopologyConstraint("other", required="rack"), TopologyConstraint("net", required="row")]


@pytest.mark.parametrize("rule", UNKNOWN)
def test_an_unknown_rule_is_named(rule):
    decided = racks(2).job("j", "a", topology=rule).plan("allocate")
    assert (decided.bound, decided.codes("j")) == ({}, ["TopologyUnknown"])


def test_reclaims_inside_one_domain():
    cluster = racks(2, 2)
    for node in ("r0n0", "r0n1", "r1n0", "r1n1"):
        cluster.job(f"{node}b", "b", gpus=2, on=node)
    decided = cluster.job("j", "a", pods=2, gpus=2, topology=REQUIRED).plan("reclaim")
    assert (len(decided.evicted), len(racks_used(decided.nominated))) == (2, 1)


def test_shares_of_a_device_count_in_a_domain():
    cluster = racks(1, 1, gpus=1).job("b0", "b", fraction=0.4, on="r0n0", devices=[("g",)])
    cluster.job("b1", "b", on="r1n0")
    assert cluster.job("j", "a", fraction=0.5, topology=REQUIRED).plan("allocate").bound == {"j-0": "r0n0"}
