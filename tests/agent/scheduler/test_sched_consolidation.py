"""Consolidation: others move together so that a waiting workload fits; nobody loses its place."""

from agent.domain.nodes import NodePool
from tests.agent.scheduler.cluster import Cluster


def scattered(nodes: int = 2, **job) -> Cluster:
    """Each node of two GPUs has one taken."""
    cluster = Cluster().queue("a", 100)
    for index in range(nodes):
        cluster.node(f"n{index}", 2).job(f"j{index}", "a", on=f"n{index}", **job)
    return cluster


def test_one_moves_so_that_another_fits():
    decided = scattered().job("new", "a", gpus=2).plan("consolidation")
    assert (decided.evicted, len(decided.moved), len(decided.nominated)) == (set(), 1, 1)


def test_nobody_moves_when_free_devices_do_not_suffice():
    assert scattered().job("new", "a", gpus=3).plan("consolidation").moved == {}


def test_non_preemptible_jobs_do_not_move():
    assert scattered(priority=100).job("new", "a", gpus=2).plan("consolidation").moved == {}


def test_non_preemptible_jobs_do_not_ask_others_to_move():
    assert scattered().job("new", "a", gpus=2, priority=100).plan("consolidation").moved == {}


def test_a_spreading_pool_does_not_consolidate():
    cluster = scattered()
    cluster.pools.append(NodePool(gpu_placement="spread"))
    assert cluster.job("new", "a", gpus=2).plan("consolidation").moved == {}


def test_the_cap_on_victims_holds():
    cluster = Cluster().node("n1", 4).node("n2", 2).queue("a", 100)
    for index in range(2):
        cluster.job(f"j{index}", "a", on="n1")
    cluster.job("new", "a", gpus=4)
    assert len(cluster.plan("consolidation").moved) == 2
    assert cluster.plan("consolidation", max_consolidation_victims=1).moved == {}


def test_what_moves_gets_its_node_named():
    decided = scattered().job("new", "a", gpus=2).plan("consolidation")
    free = {"n0", "n1"} - set(decided.nominated.values())
    assert set(decided.moved.values()) == free


def test_shares_are_gathered_on_one_device():
    cluster = Cluster().node("n1", 2).queue("a", 100)
    for index in range(2):
        cluster.job(f"j{index}", "a", fraction=0.5, on="n1", devices=[(f"g{index}",)])
    decided = cluster.job("new", "a").plan("consolidation")
    assert (len(decided.moved), decided.nominated) == (1, {"new-0": "n1"})


def test_a_large_cluster_finds_the_one_move():
    """KAI looks at 17 jobs of a random order; every order finds it here (B6)."""
    cluster = scattered(30)
    for index in range(2, 30):
        cluster.job(f"fill{index}", "a", on=f"n{index}", priority=100)
    decided = cluster.job("new", "a", gpus=2).plan("consolidation", max_consolidation_victims=-1)
    assert len(decided.moved) == 1
