"""What happens to a cluster around the operator: the API server goes, definitions go, a namespace goes, two operators
run, a reservation is deleted by hand, a thousand Workloads come at once. The promises are read from the audit log.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from agent.kube.errors import KubeError, NotFound
from agent.kube.resources import CRD, NAMESPACE, POD, PROJECT
from agent.wire import labels
from tests.agent.live import until
from tests.faults.operator_world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]
AT_ONCE = 32


async def names_and_uids(world: World) -> dict[str, str]:
    found = (await world.kube.list(POD, world.space)).items
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


@pytest.mark.parametrize("seconds", [5.0, pytest.param(60.0, marks=pytest.mark.long)])
async def test_the_api_server_is_down_and_comes_back(world: World, seconds: float) -> None:
    """The roles live through it, nothing that ran is touched, and what is asked for afterwards is made."""
    roles = [world.plant.role(name) for name in ("operator", "scheduler", "webhook")]
    await world.open()
    await world.submit_some()
    await world.all_running()
    before = await names_and_uids(world)
    world.plant.stop_server()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(world.plant.start_server)
    for role in roles:  # one that lost its lease ends, and its supervisor starts it again
        if role.poll() is not None:
            world.plant.role(*role.args[3:])
    await world.submit("after")
    await world.all_running()
    now = await names_and_uids(world)
    assert {name: now.get(name) for name in before} == before
    assert await world.promises() == []


async def test_a_namespace_is_deleted_under_running_workloads(world: World) -> None:
    """It is made again for its project, empty; other projects notice nothing."""
    world.plant.role("operator", "scheduler")
    await world.open()
    await world.submit_some()
    await world.all_running()
    old = (await world.kube.get(NAMESPACE, world.space))["metadata"]["uid"]
    await world.kube.delete(NAMESPACE, world.space)

    async def anew() -> bool:
        with suppress(NotFound):
            found = (await world.kube.get(NAMESPACE, world.space))["metadata"]
            return found["uid"] != old and found["labels"].get(labels.PROJECT) == world.project
        return False

    await until(anew, within=90)
    assert await world.workloads() == []
    world.asked.clear()
    await world.submit("again")
    await world.all_running()
    assert (await world.kube.get(PROJECT, world.project))["status"]["phase"] == "Ready"
    assert await world.promises() == []


async def test_definitions_are_deleted_and_restored(world: World) -> None:
    """With the definition of Workloads go all Workloads; the namespace stays, and new ones run."""
    world.plant.role("operator", "scheduler")
    await world.open()
    await world.submit("gone")
    await world.all_running()
    space = (await world.kube.get(NAMESPACE, world.space))["metadata"]["uid"]
    await world.kube.delete(CRD, "workloads.run.ai")
    await world.kube.delete(CRD, "projects.run.ai")

    async def gone() -> bool:
        for name in ("workloads.run.ai", "projects.run.ai"):
            with suppress(NotFound):
                await world.kube.get(CRD, name)
                return False
        return True

    await until(gone, within=90)
    await world.define()
    assert (await world.kube.get(NAMESPACE, world.space))["metadata"]["uid"] == space
    world.asked.clear()
    await world.open()
    await world.submit("fresh")
    await world.all_running()
    assert await world.promises() == []


async def test_two_operators_make_everything_once(world: World) -> None:
    """Without election, both at work: the worst case of a lease that was lost unnoticed."""
    for _ in range(2):
        world.plant.role("operator", "--no-leader-election")
    world.plant.role("scheduler")
    await world.open()
    await world.submit_some()
    await world.all_running()
    assert await world.promises() == []


async def test_a_reservation_deleted_by_hand_comes_back(world: World) -> None:
    world.plant.role("operator", "scheduler")
    await world.open()
    for name in ("half", "other-half", "third"):
        await world.submit(name, compute={"gpuDevices": 1, "gpuPortionMilli": 500})
    await world.all_running()
    held = await world.reservations()
    victim = next(iter(held))
    await world.kube.delete(POD, victim, labels.RESERVATION_NAMESPACE, grace_s=0)

    async def back() -> bool:
        now = await world.reservations()
        return sorted(now.values()) == sorted(held.values()) and now.get(victim) == held[victim]

    await until(back, within=60)
    await world.submit("late", compute={"gpuDevices": 1, "gpuPortionMilli": 500})
    await world.all_running()
    assert await world.promises() == []


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.long)])
async def test_many_workloads_at_once_lose_none(world: World, count: int) -> None:
    """More than the cluster holds: the rest waits and says why."""
    world.plant.role("operator", "scheduler")
    await world.open()
    gate = asyncio.Semaphore(AT_ONCE)

    async def submit(number: int) -> None:
        async with gate:
            await world.submit(f"w{number:04d}", compute={"gpuDevices": 1})

    await asyncio.gather(*(submit(number) for number in range(count)))

    async def told() -> bool:
        try:
            found = [obj.get("status") or {} for obj in await world.workloads()]
        except KubeError:
            return False
        running = sum(status.get("phase") == "Running" for status in found)
        said = sum(bool(status.get("reasons")) for status in found if status.get("phase") == "Pending")
        return running == 16 and running + said == count

    await until(told, within=240)
    assert await world.promises() == []
