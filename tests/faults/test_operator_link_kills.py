"""kill -9 of the link role at named points, with a real link server and a real API server: it enrols once, every
document comes to be, and every Workload gets the pods it asks for and no more.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.kube.errors import NotFound
from agent.kube.resources import CONFIG_MAP, PROJECT, SECRET, WORKLOAD
from agent.link.memory import IDENTITY, JOURNAL, PENDING
from agent.wire import labels
from agent.wire.install import ENROLMENT_SECRET, LINK_CONFIG_MAP
from link import services
from tests.agent.live import FREE, until
from tests.faults.operator_world import World
from tests.faults.proxy import AFTER, BEFORE, Point, door
from tests.link.linkrig import Rig, in_db

pytestmark = [pytest.mark.cluster, pytest.mark.services, pytest.mark.django_db, pytest.mark.timeout(300)]

POINTS = {
    "its key is to be stored": Point(BEFORE, "PATCH", rf"/secrets/{PENDING}$"),
    "its key is stored": Point(AFTER, "PATCH", rf"/secrets/{PENDING}$"),
    "it has enrolled": Point(AFTER, "PATCH", rf"/secrets/{IDENTITY}$"),
    "its token is used up": Point(AFTER, "DELETE", rf"/secrets/{ENROLMENT_SECRET}$"),
    "its journal is begun": Point(AFTER, "POST", r"/configmaps$"),
    "a project is applied": Point(AFTER, "PATCH", r"/projects/"),
    "a workload is to be applied": Point(BEFORE, "PATCH", r"/workloads/[^/]+$"),
    "a workload is applied": Point(AFTER, "PATCH", r"/workloads/[^/]+$"),
}
SHORT = "a workload is applied"


@pytest.mark.parametrize(
    "point",
    [pytest.param(at, id=name, marks=[] if name == SHORT else [pytest.mark.long]) for name, at in POINTS.items()],
)
async def test_the_link_dies_when(point: Point, world: World, rig: Rig, tmp_path: Path) -> None:
    cluster_id = await rig.cluster()
    # A token is for one use: the link removes it, and its unfinished key; secrets that are made are not in the log.
    world.known |= {("secrets", labels.NAMESPACE, name) for name in (ENROLMENT_SECRET, PENDING)}
    await connect(world, rig, cluster_id)
    world.plant.role("operator", "scheduler")
    async with door(world.plant.account, tmp_path) as at:
        at.arm(point)
        at.aim(world.plant.role("link", kubeconfig=at.kubeconfig))
        keys = await owe(world, cluster_id)
        await asyncio.wait_for(at.struck.wait(), 90)
        world.plant.role("link", kubeconfig=at.kubeconfig)
        await world.all_running()

        async def taken() -> bool:
            found = await in_db(lambda: services.desired_status(cluster_id=cluster_id, keys=keys))
            return all(found[key].applied for key in keys)

        await until(taken)
        assert await world.promises() == []


async def connect(world: World, rig: Rig, cluster_id: UUID) -> None:
    """What the console's manifest says, and nothing of an earlier enrolment."""
    for resource, names in ((SECRET, (IDENTITY, PENDING, ENROLMENT_SECRET)), (CONFIG_MAP, (JOURNAL, LINK_CONFIG_MAP))):
        for name in names:
            with suppress(NotFound):
                await world.kube.delete(resource, name, labels.NAMESPACE)
    token = base64.b64encode((await rig.token(cluster_id)).encode()).decode()
    about = {"url": rig.server.url, "ca.crt": "", "cluster-id": str(cluster_id), "cluster-name": "one"}
    for kind, name, data in (("ConfigMap", LINK_CONFIG_MAP, about), ("Secret", ENROLMENT_SECRET, {"token": token})):
        meta = {"name": name, "namespace": labels.NAMESPACE}
        await world.kube.create({"apiVersion": "v1", "kind": kind, "metadata": meta, "data": data})


async def owe(world: World, cluster_id: UUID) -> list[str]:
    """A project and three Workloads as the control plane would owe them; their keys."""
    pools = [{"nodePool": pool, "gpu": FREE, "cpu": FREE, "memory": FREE} for pool in ("default", "simulated")]
    spec = {"id": "1", "displayName": world.project, "namespace": world.space, "department": "", "quotas": pools}
    bodies = {f"project/{world.project}": manifest(PROJECT.kind, world.project, cluster_id, spec)}
    for number in range(3):
        name = f"{world.project}-w{number}"
        world.asked[name] = 1
        body = manifest(WORKLOAD.kind, name, cluster_id, _training())
        body["metadata"]["namespace"] = world.space
        body["metadata"]["labels"] |= {labels.WORKLOAD_ID: str(uuid4()), labels.PROJECT: world.project}
        bodies[f"workload/{body['metadata']['labels'][labels.WORKLOAD_ID]}"] = body
    for key, body in bodies.items():
        await in_db(lambda key=key, body=body: services.put_desired(cluster_id=cluster_id, key=key, body=body))
    return list(bodies)


def manifest(kind: str, name: str, cluster_id: UUID, spec: dict[str, Any]) -> dict[str, Any]:
    marks = {labels.CLUSTER_ID: str(cluster_id), labels.MANAGED_BY: labels.MANAGED_BY_CONTROL_PLANE}
    return {"apiVersion": "run.ai/v1", "kind": kind, "metadata": {"name": name, "labels": marks}, "spec": spec}


def _training() -> dict[str, Any]:
    return {"type": "training", "image": "example.local/busybox:1", "nodePools": ["simulated"]}
