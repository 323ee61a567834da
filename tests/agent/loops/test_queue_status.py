"""What queues say they hold, up the tree; with costs kept from one look to the next."""

from __future__ import annotations

import asyncio

from agent.domain.groups import PodGroup
from agent.domain.pods import Pod
from agent.domain.queues import Queue
from agent.kube.resources import POD
from agent.loops import queue_status
from agent.loops.queue_status import Costs, done, gently, group_statuses, queue_statuses
from agent.scheduler.snapshot import Snapshot
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import group, node, placed, pod, queue, scheduling, until

GPU = "nvidia.com/gpu"
KINDS = ("requested", "allocated", "allocatedNonPreemptible")


def gpus(snapshot: Snapshot, name: str) -> tuple[str, ...]:
    status = done(queue_statuses(snapshot, {}))[name]
    return tuple(status[kind][GPU] for kind in KINDS)


async def test_sums_go_up_the_tree_and_kept_costs_change_nothing():
    kept = Costs()
    kube = FakeKube(node(gpus=4), queue("top"), queue(parent="top"), queue("other", parent="top"))
    for name, in_queue, preemptibility in (("free", "q", "preemptible"), ("fixed", "other", "non-preemptible")):
        kube.seed(group(name, 1, in_queue, preemptibility=preemptibility))
    async with scheduling(kube) as running:
        for name, in_group in (("a", "free"), ("b", "free"), ("c", "fixed")):
            await kube.create(pod(name, in_group=in_group))
        await kube.create(pod("half", 0, annotations={"gpu-fraction": "0.5"}))
        await kube.create(pod("huge", 9))
        await until(lambda: {"a", "b", "c", "half"} == placed(kube).keys())
        for _ in range(2):
            snapshot = running._mirror.snapshot(running._clock())
            assert gpus(snapshot, "top") == ("12500m", "3500m", "1")
            assert gpus(snapshot, "q") == ("11500m", "2500m", "0")
            assert done(queue_statuses(snapshot, {}, kept)) == done(queue_statuses(snapshot, {}))
            assert done(group_statuses(snapshot, kept)) == done(group_statuses(snapshot))
        await kube.delete(POD, "a", "ns")
        await until(lambda: len(running._mirror.demand.entries) == 4)
        snapshot = running._mirror.snapshot(running._clock())
        assert done(queue_statuses(snapshot, {}, kept))["q"]["allocated"][GPU] == "1500m"


async def test_others_have_their_turn_while_sums_are_made(monkeypatch):
    monkeypatch.setattr(queue_status, "PART", 1)
    members = tuple(Pod(f"p{number}", "ns", f"p{number}", "ns/g") for number in range(5))
    snapshot = Snapshot(queues=(Queue("q"),), groups=(PodGroup("ns", "g", "q"),), pods=members)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    statuses = await gently(queue_statuses(snapshot, {}))
    task.cancel()
    assert statuses == done(queue_statuses(snapshot, {}))
    assert turns >= len(members)
