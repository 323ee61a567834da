"""Pods with volume claims, placed with their volumes: by a scheduler on a Kubernetes in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent.kube.convert.volumes import BIND_COMPLETED, NO_PROVISIONER, SELECTED_NODE
from agent.kube.protocol import Obj
from agent.kube.resources import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from agent.loops import volumes as module
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, told, until

HOST = "kubernetes.io/hostname"


def storage(name: str, provisioner: str = NO_PROVISIONER, mode: str = "WaitForFirstConsumer") -> Obj:
    meta = {"name": name}
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta}
    return head | {"provisioner": provisioner, "volumeBindingMode": mode}


def volume(name: str, on: str) -> Obj:
    term = {"matchExpressions": [{"key": HOST, "operator": "In", "values": [on]}]}
    spec = {"storageClassName": "local", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10Gi"}}
    spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    head = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
    return head | {"spec": spec, "status": {"phase": "Available"}}


def claim(name: str, of: str = "local") -> Obj:
    spec = {"storageClassName": of, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": "ns"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def user(name: str, of: str, **more: Any) -> Obj:
    return pod(name, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": of}}], **more)


class Controller:
    """What the volume controller and a provisioner do: complete pairs, make volumes where they are told."""

    def __init__(self, kube: FakeKube) -> None:
        self.kube, self.refuses = kube, set[str]()

    def step(self) -> None:
        for one in self.kube.all(PERSISTENT_VOLUME):
            owner = one["spec"].get("claimRef")
            if owner and one["status"]["phase"] == "Available":
                self._complete(owner["name"], one)
        for one in self.kube.all(PERSISTENT_VOLUME_CLAIM):
            chosen = (one["metadata"].get("annotations") or {}).get(SELECTED_NODE)
            if chosen in self.refuses:
                one["metadata"]["annotations"].pop(SELECTED_NODE)
                self.kube.seed(one)
            elif chosen and not one["spec"].get("volumeName"):
                self._complete(one["metadata"]["name"], volume(f"made-{one['metadata']['name']}", chosen))

    def _complete(self, name: str, one: Obj) -> None:
        found = next(c for c in self.kube.all(PERSISTENT_VOLUME_CLAIM) if c["metadata"]["name"] == name)
        self.kube.seed(one | {"status": {"phase": "Bound"}})
        found["spec"]["volumeName"] = one["metadata"]["name"]
        found["metadata"].setdefault("annotations", {})[BIND_COMPLETED] = "yes"
        self.kube.seed(found)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Controller]:
        async def go() -> None:
            while True:
                self.step()
                await asyncio.sleep(0.01)

        task = asyncio.create_task(go())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def nodes(*names: str) -> list[Obj]:
    return [node(name, **{HOST: name}) for name in names]


async def test_a_local_volume_decides_the_node_and_is_claimed_before_the_bind():
    kube = FakeKube(*nodes("n1", "n2"), queue(), storage("local"), volume("v2", "n2"), claim("c"), user("p", "c"))
    async with Controller(kube).working(), scheduling(kube):
        await until(lambda: placed(kube) == {"p": "n2"})
    assert kube.all(PERSISTENT_VOLUME)[0]["spec"]["claimRef"]["name"] == "c"


async def test_no_bind_before_the_claim_is_bound():
    kube = FakeKube(*nodes("n1"), queue(), storage("local"), volume("v1", "n1"), claim("c"), user("p", "c"))
    async with scheduling(kube):
        await until(lambda: kube.all(PERSISTENT_VOLUME)[0]["spec"].get("claimRef"))
        await asyncio.sleep(3 * module.LOOK_S)
        assert placed(kube) == {}
        Controller(kube).step()
        await until(lambda: placed(kube) == {"p": "n1"})


async def test_a_provisioner_is_told_the_node():
    kube = FakeKube(*nodes("n1"), queue(), storage("disk", "csi.example"), claim("c", "disk"), user("p", "c"))
    async with Controller(kube).working(), scheduling(kube):
        await until(lambda: placed(kube) == {"p": "n1"})
    assert kube.all(PERSISTENT_VOLUME_CLAIM)[0]["metadata"]["annotations"][SELECTED_NODE] == "n1"


async def test_a_provisioner_that_refuses_a_node_lets_the_pod_be_planned_anew():
    kube = FakeKube(*nodes("n1"), queue(), storage("disk", "csi.example"), claim("c", "disk"), user("p", "c"))
    async with Controller(kube).working() as controller, scheduling(kube):
        controller.refuses.add("n1")
        await until(lambda: kube.calls["patch", "PersistentVolumeClaim"] >= 2)
        assert placed(kube) == {}
        controller.refuses.clear()
        await until(lambda: placed(kube) == {"p": "n1"}, within=10)


async def test_volumes_that_do_not_come_are_given_up_and_tried_again():
    kube = FakeKube(*nodes("n1"), queue(), storage("local"), volume("v1", "n1"), claim("c"), user("p", "c"))
    async with scheduling(kube) as scheduler:
        scheduler._executor._volumes._bind_s = 0.1
        await until(lambda: scheduler._executor.counts.bind_failed)
        async with Controller(kube).working():
            await until(lambda: placed(kube) == {"p": "n1"}, within=10)


async def test_two_pods_do_not_get_one_volume():
    kube = FakeKube(*nodes("n1"), queue(), storage("local"), volume("v1", "n1"), claim("a"), claim("b"))
    async with Controller(kube).working(), scheduling(kube):
        kube.seed(user("p", "a"))
        kube.seed(user("q", "b"))
        await until(lambda: len(placed(kube)) == 1)
        kube.seed(volume("v2", "n1"))
        await until(lambda: len(placed(kube)) == 2, within=10)
    assert {one["spec"]["claimRef"]["name"] for one in kube.all(PERSISTENT_VOLUME)} == {"a", "b"}


async def test_a_pod_says_which_claim_it_waits_for():
    kube = FakeKube(*nodes("n1"), queue(), storage("now", "csi", "Immediate"), claim("c", "now"), user("p", "c"))
    async with scheduling(kube):
        await until(lambda: told(kube, "p") == "volume claim ns/c is not bound yet")
        kube.seed(user("q", "gone"))
        await until(lambda: told(kube, "q") == "PersistentVolumeClaim ns/gone does not exist")
