"""Device claims (DRA) on a real API server: devices are offered, claims counted, allocated, reserved and given back.

The slices are written by hand, as a driver's; the controller manager makes claims from templates and takes them back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.kube.client import KubeClient
from agent.kube.errors import NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import (
    DEVICE_CLASS,
    EVENT,
    NODE,
    POD,
    QUEUE,
    RESOURCE_CLAIM,
    RESOURCE_SLICE,
)
from tests.agent.live import Live, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
SPACE, NAME, ON, CLASS, DRIVER = "dra-live", "dra-scheduler", "dra-001", "gpu.dra.test", "gpu.dra.test"
V1 = "resource.k8s.io/v1"


@pytest.fixture
async def kube(live_cluster: Live) -> AsyncIterator[KubeClient]:
    """A node with two devices; all of it goes with the test."""
    things = (cluster_object("Namespace", "v1", SPACE), queue(), node(), device_class(), slice_of(2), template())
    async with live_cluster.connect() as kube:
        for obj in things:
            await kube.apply(obj, manager="test")
        await kube.patch(NODE, ON, body={"status": node()["status"]}, subresource="status")
        live_cluster.start("scheduler", "--scheduler-name", NAME)
        try:
            yield kube
        finally:
            live_cluster.stop()
            await clear(kube)


async def clear(kube: KubeClient) -> None:
    """Pods first: then the controller takes their claims back, and lets them go."""
    for resource, options in ((POD, {"grace_s": 0}), (RESOURCE_CLAIM, {})):
        for one in (await kube.list(resource, SPACE)).items:
            with contextlib.suppress(NotFound):
                await kube.delete(resource, one["metadata"]["name"], SPACE, **options)

    async def empty() -> bool:
        return not (await kube.list(RESOURCE_CLAIM, SPACE)).items

    await until(empty)
    for resource, name in ((NODE, ON), (RESOURCE_SLICE, ON), (DEVICE_CLASS, CLASS)):
        await kube.delete(resource, name)


def cluster_object(kind: str, version: str, name: str, **more: Any) -> Obj:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def queue() -> Obj:
    free = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    resources = {"resources": {"gpu": free, "cpu": free, "memory": free}}
    return cluster_object("Queue", "scheduling.run.ai/v2", "dra-q", spec=resources)


def node() -> Obj:
    capacity = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    found = cluster_object("Node", "v1", ON, status={"capacity": capacity, "allocatable": capacity})
    found["metadata"] |= {"labels": {"type": "kwok", "kubernetes.io/hostname": ON}}
    return found


def device_class() -> Obj:
    selector = {"cel": {"expression": f'device.driver == "{DRIVER}"'}}
    return cluster_object("DeviceClass", V1, CLASS, spec={"selectors": [selector]})


def slice_of(count: int) -> Obj:
    devices = [{"name": f"gpu-{index}", "attributes": {"model": {"string": "A100"}}} for index in range(count)]
    pool = {"name": ON, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": DRIVER, "nodeName": ON, "pool": pool, "devices": devices}
    return cluster_object("ResourceSlice", V1, ON, spec=spec)


def wanted(expression: str = "") -> Obj:
    exactly: Obj = {"deviceClassName": CLASS}
    if expression:
        exactly["selectors"] = [{"cel": {"expression": expression}}]
    return {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}


def template() -> Obj:
    meta = {"name": "one-gpu", "namespace": SPACE}
    return {"apiVersion": V1, "kind": "ResourceClaimTemplate", "metadata": meta, "spec": {"spec": wanted()}}


def claim(name: str, expression: str = "") -> Obj:
    meta = {"name": name, "namespace": SPACE, "labels": {"kai.scheduler/queue": "dra-q"}}
    return {"apiVersion": V1, "kind": "ResourceClaim", "metadata": meta, "spec": wanted(expression)}


def pod(name: str, **source: str) -> Obj:
    container = {"name": "c", "image": "example.local/none:1", "resources": {"claims": [{"name": "gpu"}]}}
    spec = {"schedulerName": NAME, "containers": [container], "resourceClaims": [{"name": "gpu", **source}]}
    meta = {"name": name, "namespace": SPACE, "labels": {"kai.scheduler/queue": "dra-q"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


async def places(kube: KubeClient) -> dict[str, str]:
    """Pod → its node."""
    return {one["metadata"]["name"]: one["spec"].get("nodeName", "") for one in (await kube.list(POD, SPACE)).items}


async def holders(kube: KubeClient) -> dict[str, set[str]]:
    """Device → the pods it is reserved for."""
    found: dict[str, set[str]] = {}
    for one in (await kube.list(RESOURCE_CLAIM, SPACE)).items:
        status = one.get("status") or {}
        for result in ((status.get("allocation") or {}).get("devices") or {}).get("results") or ():
            found.setdefault(result["device"], set()).update(holder["name"] for holder in status["reservedFor"])
    return found


async def test_claims_are_allocated_counted_and_given_back(kube: KubeClient) -> None:
    for name in ("a", "b"):
        await kube.create(pod(name, resourceClaimTemplateName="one-gpu"))

    async def both() -> bool:
        return await places(kube) == {"a": ON, "b": ON}

    await until(both)
    assert sorted((await holders(kube)).items()) in (
        [("gpu-0", {"a"}), ("gpu-1", {"b"})],
        [("gpu-0", {"b"}), ("gpu-1", {"a"})],
    )

    async def counted() -> bool:
        status = (await kube.get(QUEUE, "dra-q")).get("status") or {}
        return (status.get("allocated") or {}).get("nvidia.com/gpu") in ("2", "2000m")

    await until(counted)
    await kube.create(pod("late", resourceClaimTemplateName="one-gpu"))

    async def told() -> list[str]:
        events = (await kube.list(EVENT, SPACE, fields="involvedObject.name=late")).items
        return [event["message"] for event in events if "gpu" in event["message"].lower()]

    await until(told)
    assert (await places(kube))["late"] == ""
    await kube.delete(POD, "a", SPACE, grace_s=0)

    async def its_turn() -> bool:
        return (await places(kube)).get("late") == ON

    await until(its_turn)
    assert all(len(pods) == 1 for pods in (await holders(kube)).values())


async def test_a_claim_that_pods_share_takes_its_device_once(kube: KubeClient) -> None:
    await kube.create(claim("shared", f'device.attributes["{DRIVER}"].model == "A100"'))
    for name in ("one", "two", "three"):
        await kube.create(pod(name, resourceClaimName="shared"))

    async def all_there() -> bool:
        return set((await places(kube)).values()) == {ON} and len(await places(kube)) == 3

    await until(all_there)
    assert await holders(kube) == {"gpu-0": {"one", "two", "three"}}


async def test_what_is_not_understood_waits_with_a_reason(kube: KubeClient) -> None:
    await kube.create(claim("odd", f'device.driver.startsWith("{DRIVER}")'))
    await kube.create(pod("odd", resourceClaimName="odd"))

    async def told() -> list[str]:
        events = (await kube.list(EVENT, SPACE, fields="involvedObject.name=odd")).items
        return [event["message"] for event in events if "startsWith" in event["message"]]

    await until(told)
    await asyncio.sleep(0.5)
    assert await places(kube) == {"odd": ""}
