"""Shares of a GPU: fractions, memory, several devices, MIG; packing, spreading and what is never overfilled."""

from dataclasses import replace

import pytest

from agent.domain.nodes import NodePool
from agent.domain.pods import PodStatus, Request
from agent.domain.quantities import MILLI
from tests.agent.scheduler.cluster import Cluster

SLICE = "nvidia.com/mig-1g.10gb"


def shared(gpus: int = 2, **pool) -> Cluster:
    cluster = Cluster().node("n1", gpus).queue("a", 100)
    cluster.pools.append(NodePool(**pool))
    return cluster


def test_two_halves_share_one_device():
    devices = shared().job("x", "a", fraction=0.5).job("y", "a", fraction=0.5).plan("allocate").devices
    assert devices["x-0"] == devices["y-0"]


def test_spreading_opens_a_device_each():
    cluster = shared(gpu_placement="spread").job("x", "a", fraction=0.5).job("y", "a", fraction=0.5)
    devices = cluster.plan("allocate").devices
    assert devices["x-0"] != devices["y-0"]


def test_a_device_is_not_overfilled():
    cluster = shared(1).job("x", "a", fraction=0.6).job("y", "a", fraction=0.5)
    assert set(cluster.plan("allocate").bound) == {"x-0"}


def test_a_whole_gpu_needs_a_device_of_its_own():
    cluster = shared(1).job("x", "a", fraction=0.1).job("y", "a")
    assert set(cluster.plan("allocate").bound) == {"x-0"}


def test_joins_the_fullest_device_that_fits():
    cluster = shared(3).job("x", "a", fraction=0.3, on="n1", devices=[("g1",)])
    cluster.job("y", "a", fraction=0.6, on="n1", devices=[("g2",)]).job("z", "a", fraction=0.4)
    assert cluster.plan("allocate").devices == {"z-0": ("g2",)}


def test_several_devices_each_get_the_fraction():
    wish = Request(cpu=MILLI, gpu_fraction=500, gpu_devices=2)
    decided = shared(2).job("x", "a", request=wish).job("y", "a", request=wish).plan("allocate")
    assert len(decided.devices["x-0"]) == 2
    assert sorted(decided.devices["x-0"]) == sorted(decided.devices["y-0"])


def test_several_devices_need_as_many():
    wish = Request(cpu=MILLI, gpu_fraction=600, gpu_devices=3)
    assert shared(2).job("x", "a", request=wish).plan("allocate").bound == {}


MEMORY = [(20_000, True), (40_000, True), (40_001, False)]


@pytest.mark.parametrize(("mib", "runs"), MEMORY)
def test_memory_requests_fit_one_device(mib, runs):
    decided = shared(1).job("x", "a", request=Request(cpu=MILLI, gpu_memory=mib)).plan("allocate")
    assert bool(decided.bound) is runs


def test_memory_of_unknown_devices_is_not_shared():
    cluster = Cluster().node("n1", 1, gpu_memory=0).queue("a", 9)
    decided = cluster.job("x", "a", request=Request(cpu=MILLI, gpu_memory=50)).plan("allocate")
    assert (decided.bound, "does not tell the memory of its GPUs" in decided.text("x")) == ({}, True)


def test_memory_is_charged_in_hundredths_rounded_up():
    decided = shared(1).job("x", "a", request=Request(cpu=MILLI, gpu_memory=10_100)).plan("allocate")
    assert [bind.gpu_portion for bind in decided.plan.binds] == [260]


def test_two_memory_requests_share_by_memory():
    wish = Request(cpu=MILLI, gpu_memory=20_000)
    decided = shared(1).job("x", "a", request=wish).job("y", "a", request=wish).plan("allocate")
    assert decided.devices["x-0"] == decided.devices["y-0"]


def test_the_limit_counts_fractions():
    cluster = Cluster().node("n1").queue("a", 1, limit=1)
    cluster.job("x", "a", fraction=0.5).job("y", "a", fraction=0.4).job("z", "a", fraction=0.2)
    decided = cluster.plan("allocate")
    assert set(decided.bound) == {"x-0", "y-0"}
    assert "holds 0.9 of its limit of 1 GPU" in decided.text("z")


def test_waits_for_the_device_of_a_leaving_share():
    cluster = shared(1).job("x", "a", fraction=0.5, on="n1", devices=[("g",)], statuses=[PodStatus.RELEASING])
    assert cluster.job("y", "a").plan("allocate").nominated == {"y-0": "n1"}


def test_bind_says_what_kind_it_is():
    binds = shared().job("x", "a", fraction=0.25).plan("allocate").plan.binds
    assert [(b.resource_type, b.gpu_devices, b.gpu_portion) for b in binds] == [("Fraction", 1, 250)]


def mig_node(count: int = 2, strategy: str = "mixed") -> Cluster:
    return Cluster().node("n1", 1, mig=((SLICE, count),), mig_strategy=strategy).queue("a", 100)


def test_mig_profiles_are_counted():
    wish = Request(cpu=MILLI, mig=((SLICE, 1),))
    decided = mig_node(2).job("j", "a", pods=3, least=1, request=wish).plan("allocate")
    assert (len(decided.bound), {bind.resource_type for bind in decided.plan.binds}) == (2, {"MigInstance"})


STRATEGIES = [
    ("mixed", Request(cpu=MILLI, gpus=1), False),
    ("mixed", Request(cpu=MILLI, mig=((SLICE, 1),)), True),
    ("mixed", Request(cpu=MILLI), True),
    ("single", Request(cpu=MILLI, gpus=1), True),
    ("single", Request(cpu=MILLI, mig=((SLICE, 1),)), False),
    ("single", Request(cpu=MILLI, gpu_fraction=500), False),
]


@pytest.mark.parametrize(("strategy", "wish", "runs"), STRATEGIES)
def test_mig_strategy(strategy, wish, runs):
    assert bool(mig_node(2, strategy).job("j", "a", request=wish).plan("allocate").bound) is runs


def test_mig_costs_its_slices_of_quota():
    wish = Request(cpu=MILLI, mig=(("nvidia.com/mig-3g.20gb", 1),))
    cluster = Cluster().node("n1", 0, mig=(("nvidia.com/mig-3g.20gb", 4),), mig_strategy="mixed").queue("a", 9, limit=4)
    assert len(cluster.job("j", "a", pods=2, least=1, request=wish).plan("allocate").bound) == 1


def test_old_mig_pods_keep_profiles_away():
    cluster = mig_node(2).job("old", "a", gpus=0, on="n1").job("new", "a", request=Request(mig=((SLICE, 1),)))
    cluster.pods[0] = replace(cluster.pods[0], legacy_mig=True)
    assert cluster.plan("allocate").bound == {}
