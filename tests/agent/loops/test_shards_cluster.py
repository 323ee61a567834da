"""One scheduler for each node pool, as processes on a real API server: each binds pods of its pool, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.kube.client import KubeClient
from agent.kube.protocol import Obj
from agent.kube.resources import LEASE, NODE, POD, WORKLOAD
from tests.agent.live import FREE, Live, make_project, until, workload

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
POOLS = ("shard-a", "shard-b")


@pytest.fixture
async def kube(live_cluster: Live) -> AsyncIterator[KubeClient]:
    """A node in each pool, and the operator at work."""
    async with live_cluster.connect() as kube:
        for pool in POOLS:
            await kube.apply(node(pool), manager="test")
            await kube.patch(NODE, pool, body={"status": node(pool)["status"]}, subresource="status")
        live_cluster.start("operator")
        try:
            yield kube
        finally:
            live_cluster.stop()
            for one in (await kube.list(WORKLOAD, "runai-sharded")).items:
                await kube.delete(WORKLOAD, one["metadata"]["name"], "runai-sharded", propagation="Background")
            for pool in POOLS:
                await kube.delete(NODE, pool)


def node(pool: str) -> Obj:
    capacity = {"cpu": "16", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": "8"}
    labels = {"type": "kwok", "kubernetes.io/hostname": pool, "kai.scheduler/node-pool": pool}
    meta = {"name": pool, "labels": labels}
    status = {"capacity": capacity, "allocatable": capacity}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}


async def submit(kube: KubeClient, space: str, pool: str, name: str) -> None:
    await kube.create(workload(name, space, nodePools=[pool], compute={"gpuDevices": 1}))


async def places(kube: KubeClient, space: str) -> dict[str, str]:
    found = (await kube.list(POD, space)).items
    return {one["metadata"]["name"]: one["spec"].get("nodeName", "") for one in found}


def placed(kube: KubeClient, space: str, **wanted: str) -> Any:
    async def question() -> bool:
        return await places(kube, space) == {f"{name}-0": on for name, on in wanted.items()}

    return question


async def test_each_shard_binds_its_own_pool_whoever_is_dead(live_cluster: Live, kube: KubeClient) -> None:
    quotas = [{"nodePool": pool, "gpu": FREE, "cpu": FREE, "memory": FREE} for pool in (*POOLS, "simulated")]
    space = await make_project(kube, "sharded", quotas=quotas)
    for pool in POOLS:
        await submit(kube, space, pool, f"{pool}-first")
    live_cluster.start("scheduler", "--node-pool", "shard-a")
    await until(placed(kube, space, **{"shard-a-first": "shard-a", "shard-b-first": ""}))
    other = live_cluster.start("scheduler", RUNAI_AGENT_NODE_POOLS="shard-b")
    await until(placed(kube, space, **{"shard-a-first": "shard-a", "shard-b-first": "shard-b"}))
    held = {lease["metadata"]["name"] for lease in (await kube.list(LEASE, "runai")).items}
    assert {"runai-scheduler-shard-a", "runai-scheduler-shard-b"} <= held
    other.kill()
    other.wait()
    await submit(kube, space, "shard-b", "left")
    await submit(kube, space, "shard-a", "goes-on")
    both = {"shard-a-first": "shard-a", "shard-b-first": "shard-b"}
    await until(placed(kube, space, **both, **{"goes-on": "shard-a", "left": ""}))
