"""Reservation pods on a Kubernetes in memory: made once, cleaned, repaired, and never a device given twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.kube.resources import CONFIG_MAP, POD
from agent.loops import reservations
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, told, until

SPACE = "runai-reservation"
SIMULATED = {"local.run.ai/simulated-gpus": "true"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(reservations, "LOOK_S", 0.05)
    monkeypatch.setattr(reservations, "UNUSED_S", 0.1)
    monkeypatch.setattr(reservations, "SECOND_TRY_S", 0.1)


@asynccontextmanager
async def kubelet(kube: FakeKube, verdict: str = "Running") -> AsyncIterator[None]:
    """Starts (or refuses) reservation pods."""

    async def work() -> None:
        while True:
            for found in kube.all(POD, SPACE):
                if found["status"]["phase"] == "Pending":
                    body = {"status": {"phase": verdict, "message": "no device left" if verdict == "Failed" else ""}}
                    await kube.patch(POD, found["metadata"]["name"], SPACE, body=body, subresource="status")
            await asyncio.sleep(0.01)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()


def half(name: str, fraction: str = "0.5"):
    notes = {"gpu-fraction": fraction, "runai/shared-gpu-configmap": f"{name}-gpu"}
    return pod(name, gpus=0, annotations=notes)


def devices(kube: FakeKube) -> dict[str, str]:
    return {cm["metadata"]["name"]: cm["data"]["NVIDIA_VISIBLE_DEVICES"] for cm in kube.all(CONFIG_MAP)}


async def finish(kube: FakeKube, name: str) -> None:
    await kube.patch(POD, name, "ns", body={"status": {"phase": "Succeeded"}}, subresource="status")


def ours(kube: FakeKube) -> dict[str, str]:
    return {name: where for name, where in placed(kube).items() if not name.startswith("gpu-reservation")}


async def test_two_halves_share_one_device_and_a_third_gets_another():
    kube = FakeKube(node(gpus=2, **SIMULATED), queue())
    async with kubelet(kube), scheduling(kube, gpu_reservations=True):
        for name in ("a", "b", "c"):
            await kube.create(half(name))
        await until(lambda: len(ours(kube)) == 3)
    assert len(kube.all(POD, SPACE)) == 2
    assert sorted(devices(kube).values()) in (["0", "1", "1"], ["0", "0", "1"])


async def test_the_last_pod_that_ends_frees_the_device():
    kube = FakeKube(node(gpus=1, **SIMULATED), queue())
    async with kubelet(kube), scheduling(kube, gpu_reservations=True):
        await kube.create(half("a"))
        await kube.create(half("b"))
        await until(lambda: len(ours(kube)) == 2)
        await finish(kube, "a")
        await asyncio.sleep(0.3)
        assert len(kube.all(POD, SPACE)) == 1
        await kube.create(pod("whole"))
        await finish(kube, "b")
        await until(lambda: not kube.all(POD, SPACE))
        await until(lambda: "whole" in placed(kube))


async def test_a_device_still_reserved_is_not_given_away(monkeypatch):
    monkeypatch.setattr(reservations, "UNUSED_S", 0.6)
    kube = FakeKube(node(gpus=1, **SIMULATED), queue())
    async with kubelet(kube), scheduling(kube, gpu_reservations=True):
        await kube.create(half("a"))
        await until(lambda: "a" in placed(kube))
        await finish(kube, "a")
        await kube.create(pod("whole"))
        await until(lambda: told(kube, "whole"))
        assert kube.all(POD, SPACE)
        await until(lambda: "whole" in placed(kube))


async def test_one_deleted_by_hand_comes_back_with_the_same_device():
    kube = FakeKube(node(gpus=4, **SIMULATED), queue())
    async with kubelet(kube), scheduling(kube, gpu_reservations=True):
        await kube.create(half("a"))
        await until(lambda: "a" in placed(kube))
        before = kube.all(POD, SPACE)[0]
        await kube.delete(POD, before["metadata"]["name"], SPACE)
        await until(
            lambda: kube.all(POD, SPACE) and kube.all(POD, SPACE)[0]["metadata"]["uid"] != before["metadata"]["uid"]
        )
        assert kube.all(POD, SPACE)[0]["metadata"]["annotations"] == before["metadata"]["annotations"]


async def test_what_a_crash_left_is_cleaned_at_the_next_start():
    kube = FakeKube(node(gpus=1, **SIMULATED), queue())
    async with kubelet(kube):
        async with scheduling(kube, gpu_reservations=True):
            await kube.create(half("a"))
            await until(lambda: "a" in placed(kube))
        await kube.delete(POD, "a", "ns")
        async with scheduling(kube, gpu_reservations=True):
            await kube.create(pod("whole"))
            await until(lambda: "whole" in placed(kube))
        assert not kube.all(POD, SPACE)


async def test_a_node_that_refuses_the_device_is_named_and_others_go_on():
    kube = FakeKube(node(gpus=2, **SIMULATED), queue())
    async with kubelet(kube, "Failed"), scheduling(kube, gpu_reservations=True):
        await kube.create(half("a"))
        await kube.create(pod("whole"))
        await until(lambda: "whole" in placed(kube))
        await asyncio.sleep(0.2)
        assert "a" not in placed(kube)
        assert not devices(kube)
