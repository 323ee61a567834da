"""The scheduler follows the RunaiConfig while it runs; a pool of its own; what queues held over time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.domain.nodes import Node
from agent.kube.resources import CONFIG_MAP, RUNAI_CONFIG
from agent.loops.configured import ConfigChanged
from agent.loops.usage_history import UsageHistory, decode, encode
from agent.scheduler.snapshot import QueueShares
from agent.scheduler.usage import Sample
from agent.wire.config import Fairness
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, until

SECOND = 1_000_000_000


def config(**spec: Any) -> dict[str, Any]:
    meta = {"name": "runai", "namespace": "runai"}
    return {"apiVersion": "run.ai/v1", "kind": "RunaiConfig", "metadata": meta, "spec": spec}


async def change(kube: FakeKube, **spec: Any) -> None:
    await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": spec})


@pytest.mark.parametrize(("way", "nodes"), [("binpack", 1), ("spread", 2)])
async def test_placement_follows_a_change(way, nodes):
    other = "binpack" if way == "spread" else "spread"
    kube = FakeKube(node("n1"), node("n2"), queue("q"), config(scheduler={"placement": {"gpu": other}}))
    async with scheduling(kube) as scheduler:
        await until(lambda: scheduler._configured.spec.scheduler.placement.gpu == other)
        await change(kube, scheduler={"placement": {"gpu": way}})
        await until(lambda: scheduler._mirror.supply.pools()[0].gpu_placement == way)
        for name in ("a", "b"):
            await kube.create(pod(name))
            await until(lambda name=name: name in placed(kube))
        assert len(set(placed(kube).values())) == nodes


async def test_how_to_plan_follows_a_change():
    kube = FakeKube(node(), queue("q"), config())
    async with scheduling(kube) as scheduler:
        await change(kube, scheduler={"minRuntime": {"reclaimSeconds": 7}})
        await until(lambda: scheduler._config.reclaim_min_runtime == 7 * SECOND)


async def test_other_names_end_the_process():
    kube = FakeKube(node(), queue("q"), config())
    with pytest.raises(BaseExceptionGroup) as caught:
        async with scheduling(kube) as scheduler:
            await until(lambda: len(scheduler._stores) and scheduler._configured.informer.is_synced)
            await asyncio.sleep(0.05)
            await change(kube, schedulerNames=["mine"])
            await asyncio.sleep(0.2)
    assert caught.group_contains(ConfigChanged)


async def test_a_scheduler_of_one_pool_leaves_the_others():
    far = node("far", **{"kai.scheduler/node-pool": "a100"})
    theirs = pod("theirs", labels={"kai.scheduler/node-pool": "a100"})
    pools = queue("q.a100") | {"metadata": {"name": "q.a100", "labels": {"kai.scheduler/node-pool": "a100"}}}
    kube = FakeKube(node("near"), far, queue("q"), pools)
    theirs["metadata"]["labels"]["kai.scheduler/queue"] = "q.a100"
    async with scheduling(kube, node_pools=("default",)):
        await kube.create(theirs)
        await kube.create(pod("ours"))
        await until(lambda: "ours" in placed(kube))
        assert placed(kube) == {"ours": "near"}
    async with scheduling(kube, node_pools=("a100",)):
        await until(lambda: placed(kube).get("theirs") == "far")


# ---- what queues held ------------------------------------------------------------------------------------------------

NODES = (Node(name="n", pool="default", cpu=1000, memory=10, gpus=4),)


def holds(gpu: int) -> dict[str, QueueShares]:
    none = (0, 0, 0)
    return {"q": QueueShares(none, none, (gpu, 0, 0), none, none)}


def history(kube: FakeKube, window: int = 2000, **more: Any) -> UsageHistory:
    found = UsageHistory(kube, leading=lambda: True)
    found.configure(Fairness(enabled=True, window_seconds=window, **more))
    return found


def test_use_is_what_was_held_while_it_was_held():
    found = history(FakeKube())
    start = 1_000 * SECOND
    found.observe(start, holds(4000), NODES)
    found.observe(start + 5 * SECOND, holds(0), NODES)
    found.observe(start + 10 * SECOND, holds(0), NODES)
    assert found.shares(start + 10 * SECOND)["q"].gpu == 500_000


def test_switched_off_it_answers_nothing():
    found = UsageHistory(FakeKube(), leading=lambda: True)
    found.observe(SECOND, holds(4000), NODES)
    found.observe(100 * SECOND, holds(4000), NODES)
    assert found.shares(100 * SECOND) == {}


async def test_it_outlives_the_process():
    kube = FakeKube()
    first = history(kube)
    task = asyncio.create_task(first.run())
    await until(lambda: first._loaded)
    start = 1_000 * SECOND
    for step in range(3):
        first.observe(start + 10 * step * SECOND, holds(4000), NODES)
    await until(lambda: kube.all(CONFIG_MAP))
    task.cancel()
    second = history(kube)
    task = asyncio.create_task(second.run())
    await until(lambda: second._loaded)
    task.cancel()
    assert second.shares(start + 20 * SECOND)["q"].gpu == 1_000_000


@pytest.mark.parametrize("text", ["", "x", "AAAA", encode(())])
def test_what_cannot_be_read_is_no_history(text):
    assert decode(text) == ()


def test_samples_are_read_back():
    samples = (Sample(1, {"q": (1, 2, 3)}, (4, 5, 6)),)
    assert decode(encode(samples)) == samples
