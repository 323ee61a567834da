"""Evictions that the API server refuses are tried again later, for as long as they are needed; Kubernetes in memory."""

from __future__ import annotations

import asyncio

import pytest

from agent.kube import errors
from agent.kube.resources import POD
from agent.loops import execution
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, until

REFUSALS = [
    errors.Conflict("the object has been modified", status=409),
    errors.Forbidden("a webhook says no", status=403),
    errors.ServerFailed("oops", status=500),
]


async def preempt(kube: FakeKube) -> None:
    """A pod runs, and one that comes before it waits for its place."""
    await kube.create(pod("low"))
    await until(lambda: "low" in placed(kube))
    found = next(one for one in kube.all(POD) if one["metadata"]["name"] == "low")
    found["status"]["phase"] = "Running"
    kube.seed(found)
    await kube.create(pod("high", priorityClassName="build-preemptible"))


@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize("call", ["patch", "delete"])
async def test_a_refused_eviction_is_tried_again(call, error, monkeypatch):
    monkeypatch.setattr(execution, "FIRST_PAUSE_S", 0.05)
    kube = FakeKube(node(gpus=1), queue(gpus=1))
    async with scheduling(kube):
        kube.fail(call, "Pod", error)
        await preempt(kube)
        await until(lambda: "high" in placed(kube))


async def test_an_eviction_that_is_never_allowed_is_not_asked_for_without_end():
    kube = FakeKube(node(gpus=1), queue(gpus=1))

    async def never(*args: object, **kwargs: object) -> None:
        kube.calls["refused", "Pod"] += 1
        raise errors.Forbidden("a webhook says no", status=403)

    kube.delete = never
    async with scheduling(kube):
        await preempt(kube)
        await until(lambda: kube.calls["refused", "Pod"])
        await asyncio.sleep(1.5)
        assert kube.calls["refused", "Pod"] <= 2


async def test_a_bind_does_not_wait_for_evictions(monkeypatch):
    """One of each at a time, and the eviction does not end."""
    for name in ("BINDING", "EVICTING"):
        monkeypatch.setattr(execution, name, 1)
    kube = FakeKube(node(gpus=1), queue(gpus=1))
    evicting = asyncio.Event()

    async def never(*args: object, **kwargs: object) -> None:
        evicting.set()
        await asyncio.Event().wait()

    kube.delete = never
    async with scheduling(kube):
        await preempt(kube)
        await evicting.wait()
        await kube.create(pod("other", gpus=0))
        await until(lambda: "other" in placed(kube))
