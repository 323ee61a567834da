"""Each thing says itself what is wrong with it, in a condition and an Event; on a Kubernetes in memory."""

from __future__ import annotations

import asyncio

import pytest

from agent.domain.reasons import reason
from agent.kube.cache import Store
from agent.kube.errors import ServerFailed
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, NODE, POD, POD_GROUP, QUEUE, Resource
from agent.loops import wording
from agent.loops.mistakes import Mistakes
from agent.loops.wording import INPUT
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import group, node, placed, pod, queue, scheduling, told, until

LARGE = {"note": "x" * (200 << 10)}


def liar() -> Obj:
    made = node("liar", gpus=1)
    made["status"]["allocatable"] = {**made["status"]["allocatable"], "nvidia.com/gpu": "64"}
    return made


def job(name: str, owner: str = "", **notes: str) -> Obj:
    meta: Obj = {"name": name, "namespace": "ns", "uid": f"{name}-uid", "annotations": notes}
    meta |= {"ownerReferences": [reference(owner)]} if owner else {}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {}}


def reference(name: str) -> Obj:
    return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": f"{name}-uid", "controller": True}


def owned(name: str, by: str, **more: object) -> Obj:
    made = pod(name, **more)
    made["metadata"]["ownerReferences"] = [reference(by)]
    return made


def said(kube: FakeKube, resource: Resource, name: str = "") -> str:
    """The condition that names the mistake of the thing (of the first one, without a name)."""
    found = [one for one in kube.all(resource) if name in ("", one["metadata"]["name"])]
    conditions = [one for obj in found for one in (obj.get("status") or {}).get("conditions") or ()]
    return next((one["message"] for one in conditions if one["type"] == INPUT), "")


def happened(kube: FakeKube, kind: str) -> list[str]:
    return [one["message"] for one in kube.all(EVENT) if one["involvedObject"]["kind"] == kind]


MINIMUM = "kai.scheduler/batch-min-member"
CASES = {
    "a node that lies": ([liar()], NODE, ("nvidia.com/gpu", "64", "capacity of 1")),
    "queues in a cycle": ([queue("a", parent="b"), queue("b", parent="a")], QUEUE, ("a", "b")),
    "a gang of nobody": ([group("g", 0), pod("p", in_group="g")], POD_GROUP, ("minMember is 0", "at least 1")),
    "large annotations": ([group("g"), pod("p", in_group="g", annotations=LARGE)], POD, ('"note" is 200 KiB', "128")),
    "owners in a loop": ([job("x", "y"), job("y", "x"), owned("p", "x")], POD_GROUP, ('Job "x"', 'Job "y"', "loop")),
    "a minimum in words": ([job("x", **{MINIMUM: "many"}), owned("p", "x")], POD_GROUP, ("many", "whole number")),
    "a minimum of nobody": ([job("x", **{MINIMUM: "0"}), owned("p", "x")], POD_GROUP, (MINIMUM, "is 0")),
}


@pytest.mark.parametrize("name", CASES)
async def test_the_thing_says_what_is_wrong_with_it_and_is_told_once(name):
    objects, resource, words = CASES[name]
    kube = FakeKube(node(), queue(), *objects)
    for _ in range(2):  # the second scheduler finds it said
        async with scheduling(kube):
            await until(lambda: all(word in said(kube, resource) for word in words))
            await until(lambda: happened(kube, resource.kind))
            await asyncio.sleep(0.6)
    told_of = [line for line in happened(kube, resource.kind) if all(word in line for word in words)]
    assert len(told_of) == len(set(told_of)) >= 1
    if any(obj["kind"] == "Pod" for obj in objects):
        assert placed(kube) == {"p": "n1"}, "it is used all the same"


async def test_a_mistake_that_is_mended_is_taken_off():
    kube = FakeKube(liar(), queue())
    async with scheduling(kube):
        await until(lambda: said(kube, NODE))
        honest = next(one for one in kube.all(NODE))
        honest["status"]["allocatable"] = honest["status"]["capacity"]
        kube.seed(honest)
        await until(lambda: not said(kube, NODE))
    kinds = [one["type"] for one in kube.all(NODE)[0]["status"]["conditions"]]
    assert kinds == ["Ready"]


async def test_before_the_first_cycle_no_condition_is_taken_off():
    """After a takeover the things say what the leader before found; this one has judged nothing yet."""
    marked = node()
    found = reason("Unexpected", field="a", given="b", expected="c", done="d")
    marked["status"]["conditions"].append(wording.input_condition(found, 0.0))
    store = Store()
    store.put(marked)
    mistakes = Mistakes(FakeKube(), {"node": store}, unstored=lambda _: None, tell=lambda *_: None)
    assert not mistakes.some and mistakes.due(60) == []
    mistakes.take({})
    assert mistakes.some


async def test_pods_whose_owner_cannot_be_read_say_so():
    kube = FakeKube(node(), queue(), job("bad"))
    kube.fail("get", "Job", ServerFailed("the server is ill", status=500), times=1000)
    async with scheduling(kube):
        await kube.create(owned("p", "bad"))
        await until(lambda: 'Job "bad"' in told(kube, "p") and "the server is ill" in told(kube, "p"))
        await until(lambda: any('Job "bad"' in line for line in happened(kube, "Pod")))
    assert placed(kube) == {}


async def test_an_owner_that_nobody_waits_for_is_not_asked_for_any_more():
    kube = FakeKube(node(), queue(), job("bad"))
    kube.fail("get", "Job", ServerFailed("the server is ill", status=500), times=1000)
    async with scheduling(kube) as running:
        await kube.create(owned("p", "bad"))
        await until(lambda: kube.calls["get", "Job"])
        await kube.delete(POD, "p", "ns")
        await until(lambda: not running._mirror.owners.wanted)


async def test_a_pod_that_waits_for_its_owner_counts_on_the_node_that_it_holds():
    """As after a start: pods run, and their owners are not read yet."""
    kube = FakeKube(node(gpus=4), queue(), job("bad"), owned("old", "bad", gpus=4, nodeName="n1"))
    kube.fail("get", "Job", ServerFailed("the server is ill", status=500), times=1)
    async with scheduling(kube):
        await kube.create(pod("new"))
        await asyncio.sleep(0.5)
        assert "new" not in placed(kube)
        await until(lambda: kube.calls["get", "Job"] >= 2)
        await asyncio.sleep(0.3)
        assert "new" not in placed(kube), "read by now, it still holds its place"
        await kube.delete(POD, "old", "ns")
        await until(lambda: placed(kube).get("new") == "n1")
