"""Owners and objects that pods name: nobody waits for another's answer; on a Kubernetes in memory."""

from __future__ import annotations

import asyncio

from agent.kube.errors import Forbidden
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, JOB
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node, placed, pod, queue, scheduling, until


def job(name: str) -> Obj:
    meta = {"name": name, "namespace": "ns", "uid": f"{name}-uid"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {}}


def owned(name: str, by: str) -> Obj:
    made = pod(name)
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": by, "uid": f"{by}-uid", "controller": True}
    made["metadata"]["ownerReferences"] = [reference]
    return made


class Silent(FakeKube):
    """Does not answer for the jobs whose name begins with ``bad``."""

    async def get(self, resource: object, name: str, namespace: str | None = None) -> Obj:
        if resource == JOB and name.startswith("bad"):
            self.calls["bad", "Job"] += 1
            await asyncio.sleep(3600)
        return await super().get(resource, name, namespace)


async def test_an_owner_that_is_not_answered_for_keeps_no_other_waiting():
    kube = Silent(node(gpus=8), queue(), job("good"), *(job(f"bad{n}") for n in range(3)))
    async with scheduling(kube):
        for number in range(30):
            await kube.create(owned(f"b{number}", f"bad{number % 3}"))
        await until(lambda: kube.calls["bad", "Job"])
        await kube.create(owned("g", "good"))
        await until(lambda: "g" in placed(kube))
        assert kube.calls["bad", "Job"] == 3


async def test_pods_of_an_owner_that_may_not_be_read_run_and_one_says_so():
    kube = FakeKube(node(gpus=8), queue())
    kube.fail("get", "Job", Forbidden("no"))
    async with scheduling(kube):
        for number in range(3):
            await kube.create(owned(f"p{number}", "hidden"))
        await until(lambda: len(placed(kube)) == 3)
        await until(lambda: len(told_of("hidden", kube)) == 2)
    assert told_of("hidden", kube) == ["p0", "pg-hidden-hidden-uid"]
    assert kube.calls["get", "Job"] == 1


def told_of(owner: str, kube: FakeKube) -> list[str]:
    """The things that have an Event about an owner that the scheduler may not read."""
    words = f'owner Job "{owner}" is forbidden to the scheduler'
    return sorted(one["involvedObject"]["name"] for one in kube.all(EVENT) if words in one["message"])


def reading(name: str, config_map: str, gpus: int) -> Obj:
    made = pod(name, gpus=gpus)
    made["spec"]["volumes"] = [{"name": "v", "configMap": {"name": config_map}}]
    return made


async def test_a_pod_that_names_what_is_known_already_does_not_wait_for_it():
    kube = FakeKube(node(gpus=8), queue())
    await kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hosts", "namespace": "ns"}})
    async with scheduling(kube):
        await kube.create(reading("too-large", "hosts", 9))
        await until(lambda: kube.calls["get", "ConfigMap"])
        await asyncio.sleep(0.05)
        await kube.create(reading("later", "hosts", 1))
        await until(lambda: "later" in placed(kube))
