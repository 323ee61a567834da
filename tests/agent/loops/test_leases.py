"""Leader election on an API in memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import pytest

from agent.kube import errors
from agent.kube.resources import LEASE
from agent.loops import leases
from agent.loops.leases import Elector, LeadershipLost, identity, is_dead
from tests.agent.fake_kube import FakeKube


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.05)
    monkeypatch.setattr(leases, "POLL_S", 0.02)
    monkeypatch.setattr(leases, "MARGIN_S", 0.1)


def elector(kube: FakeKube, who: str) -> Elector:
    return Elector(kube, "runai-test", "runai", who, duration_s=1)


async def forever() -> None:
    await asyncio.Event().wait()


async def leading(one: Elector, within: float = 3.0) -> None:
    async with asyncio.timeout(within):
        while not one.leading:
            await asyncio.sleep(0.01)


async def stopped(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_of_two_one_leads():
    kube = FakeKube()
    first, second = elector(kube, "a"), elector(kube, "b")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)
    two = asyncio.create_task(second.hold(forever()))
    await asyncio.sleep(1.5)
    assert (first.leading, second.leading) == (True, False)
    await stopped(one, two)


async def test_an_orderly_end_hands_over_at_once():
    kube = FakeKube()
    first, second = elector(kube, "a"), elector(kube, "b")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)
    two = asyncio.create_task(second.hold(forever()))
    await stopped(one)
    await leading(second, within=0.5)
    await stopped(two)


async def test_a_holder_that_vanished_is_replaced_after_its_lease():
    kube = FakeKube()
    lease = {"holderIdentity": "gone", "leaseDurationSeconds": 1}
    kube.seed({**_lease(), "spec": lease})
    second = elector(kube, "b")
    started = time.monotonic()
    two = asyncio.create_task(second.hold(forever()))
    await leading(second)
    assert time.monotonic() - started >= 1.0
    await stopped(two)


async def test_a_holder_that_died_on_this_machine_is_replaced_at_once():
    kube = FakeKube()
    child = subprocess.Popen(["true"])
    child.wait()
    dead = identity().rsplit("_", 2)[0] + f"_{child.pid}_123"
    kube.seed({**_lease(), "spec": {"holderIdentity": dead, "leaseDurationSeconds": 100}})
    second = elector(kube, "b")
    two = asyncio.create_task(second.hold(forever()))
    await leading(second, within=0.5)
    await stopped(two)


async def test_a_holder_that_hangs_counts_itself_out_before_others_take_over():
    kube = FakeKube()
    first = elector(kube, "a")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)
    time.sleep(1.0)
    assert not first.leading
    await leading(first)
    await stopped(one)


async def test_a_server_that_is_away_ends_leading_but_not_the_process():
    kube = FakeKube()
    first = elector(kube, "a")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)
    for method in ("get", "replace", "create"):
        kube.fail(method, "Lease", errors.Unreachable("down"), times=40)
    await asyncio.sleep(1.1)
    assert not first.leading
    assert not one.done()
    await leading(first, within=6)
    await stopped(one)


async def test_a_lost_lease_ends_the_work():
    kube = FakeKube()
    first = elector(kube, "a")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)
    await kube.patch(LEASE, "runai-test", "runai", body={"spec": {"holderIdentity": "thief"}})
    with pytest.raises(LeadershipLost, match="thief"):
        await asyncio.wait_for(one, 3)


async def test_a_failure_of_the_work_comes_through():
    async def broken() -> None:
        raise RuntimeError("defect")

    with pytest.raises(RuntimeError, match="defect"):
        await asyncio.wait_for(elector(FakeKube(), "a").hold(broken()), 3)


def test_we_are_alive():
    assert not is_dead(identity())


@pytest.mark.parametrize("holder", ["", "other", "host_boot_1_2", "a_b_c_d"])
def test_strangers_are_not_called_dead(holder):
    assert not is_dead(holder)


def test_a_process_id_that_was_given_again_is_dead():
    assert is_dead(identity().rsplit("_", 2)[0] + f"_{os.getpid()}_1")


def _lease() -> dict[str, object]:
    meta = {"name": "runai-test", "namespace": "runai"}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}


async def test_a_hot_standby_works_before_its_turn_and_goes_on_in_it():
    kube = FakeKube()
    first, second = elector(kube, "a"), elector(kube, "b")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)
    began = asyncio.Event()

    async def reading() -> None:
        began.set()
        await forever()

    two = asyncio.create_task(second.hold(reading(), hot=True))
    async with asyncio.timeout(3):
        await began.wait()
    assert not second.leading
    await stopped(one)
    await leading(second)
    await stopped(two)


async def test_a_hot_standby_that_fails_says_so_before_its_turn():
    kube = FakeKube()
    first, second = elector(kube, "a"), elector(kube, "b")
    one = asyncio.create_task(first.hold(forever()))
    await leading(first)

    async def broken() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await second.hold(broken(), hot=True)
    await stopped(one)
