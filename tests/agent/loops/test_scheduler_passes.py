"""Eviction work in slices, live: a pass that one plan does not end is gone on with at once, and then there is rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.kube.resources import POD
from agent.loops import configured
from agent.loops import scheduler as loop
from agent.loops.scheduler import Scheduler
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, until

WAITING = 4


@pytest.fixture(autouse=True)
def one_turn_a_plan(monkeypatch):
    monkeypatch.setattr(configured, "STEPS_A_CYCLE", 1)


@asynccontextmanager
async def crowded() -> AsyncIterator[tuple[FakeKube, Scheduler]]:
    """One GPU that is taken, and pods in queues of their own that may not take it back."""
    others = [queue(f"q{index}", 0) for index in range(WAITING)]
    kube = FakeKube(node(gpus=1), queue(gpus=1), *others)
    async with scheduling(kube) as scheduler:
        await kube.create(pod("first"))
        await until(lambda: "first" in placed(kube))
        for index in range(WAITING):
            await kube.create(pod(f"w{index}", labels={"kai.scheduler/queue": f"q{index}"}))
        yield kube, scheduler


def judged(scheduler: Scheduler) -> int:
    """How many a pass that is over has tried."""
    found = scheduler._passes.get("default")
    return len(found.judged) if found is not None and not found.action else 0


async def test_a_pass_goes_on_though_nothing_happens():
    async with crowded() as (kube, scheduler):
        await until(lambda: judged(scheduler) == WAITING)
        assert placed(kube) == {"first": "n1"}


async def test_after_a_pass_there_is_rest(monkeypatch):
    monkeypatch.setattr(loop, "TICK_S", 60.0)
    async with crowded() as (_, scheduler):
        await until(lambda: judged(scheduler) == WAITING)
        await asyncio.sleep(2.5)  # until everything is written: groups of bare pods are stored after a while
        last = scheduler._passes
        await asyncio.sleep(0.8)
        assert scheduler._passes is last


async def test_who_comes_during_a_pass_has_the_next_one():
    async with crowded() as (kube, scheduler):
        await until(lambda: any(one.action for one in scheduler._passes.values()))
        await kube.create(pod("late", labels={"kai.scheduler/queue": "q0"}))
        await until(lambda: judged(scheduler) == WAITING + 1)
        assert len(kube.all(POD)) == WAITING + 2
