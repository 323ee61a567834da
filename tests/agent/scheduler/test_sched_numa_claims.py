"""NUMA zones of guaranteed pods, and device claims as counts."""

from dataclasses import replace

import pytest

from agent.domain.nodes import DeviceClaim, DeviceSlice, NumaZone
from agent.domain.pods import Request
from agent.domain.quantities import MILLI
from tests.agent.scheduler.cluster import Cluster

ZONE = {"cpu": 4000}
THREE = Request(cpu=3 * MILLI)


def numa(policy: str, *free: int) -> Cluster:
    zones = tuple(NumaZone(f"z{index}", ZONE, {"cpu": cores * MILLI}) for index, cores in enumerate(free))
    return Cluster().node("n1", 0, numa_policy=policy, numa_scope="pod", numa_zones=zones).queue("a")


def guaranteed(cluster: Cluster) -> Cluster:
    cluster.pods[:] = [replace(pod, qos="Guaranteed") for pod in cluster.pods]
    return cluster


POLICIES = [
    ("single-numa-node", (4, 4), 3, ("z0",)),
    ("single-numa-node", (2, 4), 3, ("z1",)),
    ("single-numa-node", (2, 2), 3, None),
    ("single-numa-node", (4, 4), 5, None),
    ("restricted", (4, 4), 5, ("z0", "z1")),
    ("restricted", (2, 2), 3, None),
    ("best-effort", (2, 4), 3, ("z1",)),
    ("best-effort", (2, 2), 3, ("z0", "z1")),
    ("best-effort", (1, 1), 3, ()),
]


@pytest.mark.parametrize(("policy", "free", "cores", "zones"), POLICIES)
def test_zones_by_policy(policy, free, cores, zones):
    cluster = guaranteed(numa(policy, *free).job("j", "a", request=Request(cpu=cores * MILLI)))
    binds = cluster.plan("allocate").plan.binds
    assert [bind.numa_zones for bind in binds] == ([] if zones is None else [zones])


def test_the_node_with_fewer_zones_is_preferred():
    cluster = numa("best-effort", 2, 2).job("j", "a", request=THREE)
    zones = (NumaZone("y0", ZONE, {"cpu": 4000}),)
    cluster.node("n2", 0, cores=128, numa_policy="best-effort", numa_zones=zones)
    assert guaranteed(cluster).plan("allocate").bound == {"j-0": "n2"}


def test_each_pod_takes_from_its_zone():
    cluster = guaranteed(numa("single-numa-node", 4, 4).job("j", "a", pods=3, least=1, request=THREE))
    assert [bind.numa_zones for bind in cluster.plan("allocate").plan.binds] == [("z0",), ("z1",)]


def test_other_pods_are_not_aligned():
    cluster = numa("single-numa-node", 1, 1).job("j", "a", request=THREE)
    assert cluster.plan("allocate").bound == {"j-0": "n1"}


def test_says_that_zones_do_not_fit():
    cluster = guaranteed(numa("single-numa-node", 2, 2).job("j", "a", request=THREE))
    assert "cannot align the request to its NUMA zones" in cluster.plan("allocate").text("j")


def test_a_victims_zone_comes_back():
    """The report of the node lacks what its running pods hold."""
    cluster = guaranteed(numa("single-numa-node", 1, 1).job("low", "a", request=THREE, on="n1", priority=40))
    cluster.pods[0] = replace(cluster.pods[0], numa_zones=("z1",))
    decided = guaranteed(cluster.job("new", "a", request=THREE, priority=75)).plan("preempt")
    assert [one.numa_zones for one in decided.plan.nominations] == [("z1",)]


GPU_CLASS, NIC_CLASS = "gpu.nvidia.com", "rdma.example.com"


def devices(count: int = 2, device_class: str = GPU_CLASS) -> Cluster:
    cluster = Cluster().node("n1", 0).queue("a", 100)
    cluster.slices.append(DeviceSlice("n1", device_class, count))
    return cluster


def claim(cluster: Cluster, name: str, count: int = 1, device_class: str = GPU_CLASS, **more) -> Request:
    cluster.claims.append(DeviceClaim(f"team/{name}", device_class, count, **({"queue": "a"} | more)))
    return Request(cpu=MILLI, claims=(f"team/{name}",))


def test_claimed_devices_are_counted():
    cluster = devices(2)
    for name in ("x", "y", "z"):
        cluster.job(name, "a", request=claim(cluster, name))
    assert len(cluster.plan("allocate").bound) == 2


def test_a_shared_claim_counts_once():
    cluster = devices(1)
    wish = claim(cluster, "both")
    assert len(cluster.job("x", "a", request=wish).job("y", "a", request=wish).plan("allocate").bound) == 2


def test_a_claim_in_use_stays_on_its_node():
    cluster = devices(1).node("n2", 0)
    cluster.slices.append(DeviceSlice("n2", GPU_CLASS, 1))
    wish = claim(cluster, "both")
    cluster.job("x", "a", request=wish, on="n2").job("y", "a", request=wish)
    assert cluster.plan("allocate").bound == {"y-0": "n2"}


def test_claims_count_against_the_limit():
    cluster = Cluster().node("n1", 0).queue("a", 4, limit=1)
    cluster.slices.append(DeviceSlice("n1", GPU_CLASS, 4))
    assert cluster.job("x", "a", request=claim(cluster, "two", 2)).plan("allocate").codes("x") == ["OverLimit"]


def test_other_devices_cost_no_quota():
    cluster = Cluster().node("n1", 0).queue("a", 0, limit=0)
    cluster.slices.append(DeviceSlice("n1", NIC_CLASS, 1))
    decided = cluster.job("x", "a", request=claim(cluster, "nic", 1, NIC_CLASS)).plan("allocate")
    assert decided.bound == {"x-0": "n1"}


REFUSED = [
    ("too many devices", {"count": 3}, "Lacks"),
    ("without the queue's label", {"queue": ""}, "ClaimQueue"),
    ("full", {"reserved_for": tuple(f"p{index}" for index in range(256))}, "ClaimFull"),
]


@pytest.mark.parametrize(("name", "more", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_claims(name, more, code):
    cluster = devices(2)
    decided = cluster.job("x", "a", request=claim(cluster, "c", **more)).plan("allocate")
    causes = [cause.code for cause in decided.plan.reasons["team/x"][0].causes]
    assert (decided.bound, causes) == ({}, [code])


def test_a_claim_from_a_template_needs_no_label():
    cluster = devices(1)
    wish = claim(cluster, "own", queue="", template=True)
    assert cluster.job("x", "a", request=wish).plan("allocate").bound == {"x-0": "n1"}


def test_a_missing_claim_is_named():
    decided = devices().job("x", "a", request=Request(cpu=MILLI, claims=("team/gone",))).plan("allocate")
    assert "device claim team/gone does not exist" in decided.text("x")
