"""kill -9 of operator and webhook at named points: the request of which it never learns what became of it.

Every Workload gets exactly the pods it asks for, whoever dies when; read from the API server's audit log.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.operator_world import World
from tests.faults.proxy import AFTER, BEFORE, Point, door

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

OPERATOR = {
    "a namespace is made": Point(AFTER, "POST", r"/api/v1/namespaces$"),
    "a pod is to be made": Point(BEFORE, "POST", r"/pods$"),
    "a pod is made": Point(AFTER, "POST", r"/pods$"),
    "a gang's group is made": Point(AFTER, "POST", r"/podgroups$"),
    "a gang's service is made": Point(AFTER, "POST", r"/services$"),
    "a status is to be written": Point(BEFORE, "PATCH", r"/workloads/[^/]+/status$"),
    "a queue is applied": Point(AFTER, "PATCH", r"/queues/[^/]+$"),
}
WEBHOOK = {
    "the certificate is to be stored": Point(BEFORE, "POST", r"/secrets$"),
    "the certificate is stored": Point(AFTER, "POST", r"/secrets$"),
    "one of two registrations is done": Point(AFTER, "PATCH", r"/mutatingwebhookconfigurations/"),
}


def points(table: dict[str, Point], short: str) -> list[object]:
    return [
        pytest.param(point, id=name, marks=[] if name == short else [pytest.mark.long]) for name, point in table.items()
    ]


@pytest.mark.parametrize("point", points(OPERATOR, "a pod is made"))
async def test_the_operator_dies_when(point: Point, world: World, tmp_path: Path) -> None:
    async with door(world.plant.account, tmp_path) as at:
        at.arm(point)
        at.aim(world.plant.role("operator", kubeconfig=at.kubeconfig))
        world.plant.role("scheduler")
        opening = asyncio.create_task(world.open())
        submitting = asyncio.create_task(_submit(world, opening))
        await asyncio.wait_for(at.struck.wait(), 60)
        world.plant.role("operator", kubeconfig=at.kubeconfig)
        await submitting
        await world.all_running()
        assert await world.promises() == []


async def _submit(world: World, opening: asyncio.Task[None]) -> None:
    await opening
    await world.submit_some()


@pytest.mark.long
async def test_the_operator_dies_while_it_stops_a_workload(world: World, tmp_path: Path) -> None:
    async with door(world.plant.account, tmp_path) as at:
        victim = world.plant.role("operator", kubeconfig=at.kubeconfig)
        world.plant.role("scheduler")
        await world.open()
        name = await world.submit("gang", 3, type="distributed", workers=3)
        await world.all_running()
        at.arm(Point(AFTER, "DELETE", r"/pods/"))
        at.aim(victim)
        await world.suspend(name)
        await asyncio.wait_for(at.struck.wait(), 60)
        world.plant.role("operator")
        await world.reach(name, "Stopped")
        await world.suspend(name, False)
        await world.all_running()
        assert await world.promises() == []


@pytest.mark.parametrize("point", points(WEBHOOK, "one of two registrations is done"))
async def test_the_webhook_dies_when(point: Point, world: World, tmp_path: Path) -> None:
    """Objects pass meanwhile; the next process registers what is missing."""
    await world.forget_webhook()
    world.plant.role("operator", "scheduler")
    async with door(world.plant.account, tmp_path) as at:
        at.arm(point)
        at.aim(world.plant.role("webhook", kubeconfig=at.kubeconfig))
        await world.open()
        await asyncio.wait_for(at.struck.wait(), 60)
        await world.submit("meanwhile")
        world.plant.role("webhook")
        await world.webhook_answers()
        await world.all_running()
        assert await world.promises() == []
