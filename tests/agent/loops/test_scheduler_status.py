"""What the live scheduler writes beside binds, and how it checks itself; on a Kubernetes in memory."""

from __future__ import annotations

import asyncio

import pytest

from agent.kube.mirror.checking import differences
from agent.kube.resources import POD, POD_GROUP
from agent.loops import reporting
from agent.loops import scheduler as scheduling_loop
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import group, node, placed, pod, queue, scheduling, until

NOW = 2_000_000_000 * 10**9


def status_of(kube: FakeKube, name: str) -> dict[str, object]:
    found = next((one for one in kube.all(POD_GROUP) if one["metadata"]["name"] == name), {})
    return (found.get("status") or {}).get("resourcesStatus") or {}


async def test_a_gang_says_what_it_holds():
    kube = FakeKube(node(gpus=4), queue(), group("g", 2))
    async with scheduling(kube):
        for index in range(2):
            await kube.create(pod(f"g{index}", in_group="g"))
        await until(lambda: status_of(kube, "g"))
    held = status_of(kube, "g")
    assert held["allocated"]["nvidia.com/gpu"] == held["requested"]["nvidia.com/gpu"] == "2"
    assert held["allocatedNonPreemptible"]["nvidia.com/gpu"] == "0"


async def test_a_group_of_one_costs_no_write():
    kube = FakeKube(node(gpus=4), queue(), group("g"))
    async with scheduling(kube):
        await kube.create(pod("p", in_group="g"))
        await until(lambda: "p" in placed(kube))
        await asyncio.sleep(1.5)
    assert status_of(kube, "g") == {}


async def test_a_place_that_is_long_in_coming_free_is_named(monkeypatch):
    monkeypatch.setattr(reporting, "NOMINATED_AFTER_S", 0.3)
    kube = FakeKube(node(gpus=1), queue(gpus=1), linger=True)
    async with scheduling(kube):
        await kube.create(pod("low"))
        await until(lambda: "low" in placed(kube))
        low = next(one for one in kube.all(POD) if one["metadata"]["name"] == "low")
        kube.seed({**low, "status": {**(low.get("status") or {}), "phase": "Running"}})
        await kube.create(pod("high", priorityClassName="build-preemptible"))

        def nominated() -> bool:
            high = next(one for one in kube.all(POD) if one["metadata"]["name"] == "high")
            return (high.get("status") or {}).get("nominatedNodeName") == "n1"

        await until(nominated)
        kube.finish("low", "ns")
        await until(lambda: "high" in placed(kube))


async def busy_cluster(kube: FakeKube) -> None:
    await kube.create(pod("half", gpus=0, annotations={"gpu-fraction": "0.5"}))
    await kube.create(pod("alone"))
    await kube.create(pod("huge", gpus=9))
    await until(lambda: {"half", "alone"} <= placed(kube).keys())
    await asyncio.sleep(0.1)


async def test_the_snapshot_is_what_a_rebuild_would_be():
    kube = FakeKube(node(gpus=4), node("n2", 2), queue(), pod("foreign", scheduler="other", nodeName="n2"))
    async with scheduling(kube) as running:
        await busy_cluster(kube)
        assert differences(running._mirror, running._stores, NOW) == []


@pytest.mark.parametrize("kind", ["pod", "node", "group"])
async def test_a_defect_is_named_and_counted(kind, monkeypatch):
    monkeypatch.setattr(scheduling_loop, "CHECK_CYCLES", 0)
    kube = FakeKube(node(gpus=4), queue())
    async with scheduling(kube) as running:
        await busy_cluster(kube)
        mirror, before = running._mirror, scheduling_loop.DEFECTS._value.get()
        mirror.snapshot(NOW)  # nothing is left to take in that would mend it
        if kind == "pod":
            mirror.demand._planned_pods.popitem()
        elif kind == "node":
            mirror.supply._nodes.clear()
        else:
            mirror.demand._planned_groups.popitem()
        assert any(line.startswith(kind) for line in differences(mirror, running._stores, NOW))
        running._check_after = 0.0
        running._check()
        assert scheduling_loop.DEFECTS._value.get() > before
