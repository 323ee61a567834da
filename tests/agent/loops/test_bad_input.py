"""Bad input on a real API server: a condition and an Event name the mistake, and the workload beside it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.kube.client import KubeClient
from agent.kube.errors import Invalid, KubeError, NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, JOB, NODE, POD, POD_GROUP, QUEUE, TOPOLOGY, Resource
from agent.loops.wording import INPUT, conditions_of
from tests.agent.live import Live, until
from tests.agent.loops.scenes import NAME, SPACE, Scene, Step, queue

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
MOST_ANNOTATIONS = 256 * 1024
LONG = {"gpu-fraction": "7" * (MOST_ANNOTATIONS - 1000)}
LEVEL = {"topology": "d-scenes-topology", "requiredTopologyLevel": "nobody/has"}
LIAR = "d-scenes-liar"


def topology(name: str, level: str) -> Step:
    async def do(scene: Scene) -> None:
        obj = {"apiVersion": "kai.scheduler/v1alpha1", "kind": "Topology", "metadata": {"name": name}}
        await scene.kube.apply({**obj, "spec": {"levels": [{"nodeLabel": level}]}}, manager="test")

    return do


def liar(gpus: str) -> Step:
    """A node of one GPU that offers more than it has."""

    async def do(scene: Scene) -> None:
        meta = {"name": LIAR, "labels": {"kai.scheduler/node-pool": "simulated"}}
        await scene.kube.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
        room = {"cpu": "8", "memory": "8Gi", "pods": "10", "nvidia.com/gpu": "1"}
        ready = [{"type": "Ready", "status": "True", "reason": "Test", "message": "for a test"}]
        status = {"capacity": room, "allocatable": {**room, "nvidia.com/gpu": gpus}, "conditions": ready}
        await scene.kube.patch(NODE, LIAR, body={"status": status}, subresource="status")

    return do


def bad(name: str, pods: int = 1, **more: Any) -> Step:
    return lambda scene: scene.submit(name, pods, **more)


CASES: dict[str, tuple[tuple[Step, ...], tuple[str, ...]]] = {
    "unknown-queue": ((bad("unknown-queue", queue="nowhere"),), ("nowhere", "does not exist")),
    "queue-in-another-case": (
        (bad("queue-in-another-case", queue="D-Scenes-Q"),),
        ("D-Scenes-Q", "does not exist"),
    ),
    "queue-with-children": ((bad("queue-with-children", queue="d-scenes-root"),), ("d-scenes-root", "child queues")),
    "cycle-of-queues": (
        (queue("d-c1", parent="d-c2"), queue("d-c2", parent="d-c1"), bad("cycle-of-queues", queue="d-c1")),
        ("d-c1", "cannot be used"),
    ),
    "larger-than-the-cluster": ((bad("larger-than-the-cluster", 20, minimum=20),), ("20", "gang starts whole")),
    "larger-than-its-pods": ((bad("larger-than-its-pods", 2, minimum=3),), ("2 of the minimum of 3",)),
    "quarter-of-a-megabyte": ((bad("quarter-of-a-megabyte", gpu=0, notes=LONG),), ("gpu-fraction", "7777")),
    "no-topology": (
        (bad("no-topology", group={"topologyConstraint": {**LEVEL, "topology": "d-none"}}),),
        ("d-none",),
    ),
    "label-that-nobody-has": (
        (
            topology("d-scenes-topology", "nobody/has"),
            bad("label-that-nobody-has", group={"topologyConstraint": LEVEL}),
        ),
        ("nobody/has",),
    ),
    "node-that-lies": ((liar("64"), bad("node-that-lies", gpu=9)), ("9", "GPUs")),
}
"""Name of the workload → what makes it bad, and the words that name the mistake. All of them wait side by side."""


@pytest.fixture(scope="module")
def process(live_cluster: Live) -> Iterator[Live]:
    flags = ("--scheduler-name", NAME, "--no-leader-election")
    started = live_cluster.start("scheduler", *flags, RUNAI_AGENT_GPU_RESERVATIONS="false")
    yield live_cluster
    assert started.poll() is None


@asynccontextmanager
async def playing(live: Live) -> AsyncIterator[Scene]:
    async with KubeClient.connect(str(live.cluster.kubeconfig)) as kube:
        await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, manager="test")
        made = Scene(kube)
        await made.queue("d-scenes-root", parent="")
        await made.queue("d-scenes-q")
        try:
            yield made
        finally:
            await made.clear()
            for resource, name in ((TOPOLOGY, "d-scenes-topology"), (NODE, LIAR)):
                with contextlib.suppress(NotFound):
                    await kube.delete(resource, name)
            for event in (await kube.list(EVENT, SPACE)).items:
                await kube.delete(EVENT, event["metadata"]["name"], SPACE)


@pytest.fixture
async def scene(process: Live) -> AsyncIterator[Scene]:
    async with playing(process) as made:
        yield made


async def events(scene: Scene, space: str, about: str = "") -> str:
    """Messages of the Events about objects whose name begins with ``about``."""
    found = (await scene.kube.list(EVENT, space)).items
    return "\n".join(one["message"] for one in found if one["involvedObject"]["name"].startswith(about))


@dataclass
class Said:
    """What became of all the bad workloads, side by side with a good one."""

    conditions: dict[str, str] = field(default_factory=dict)
    happened: dict[str, str] = field(default_factory=dict)
    bound: Counter[str] = field(default_factory=Counter)

    def is_named(self, name: str) -> bool:
        _, words = CASES[name]
        return all(word in self.conditions[name] and word in self.happened[name] for word in words)


@pytest.fixture(scope="module")
def said(process: Live) -> Said:
    found = Said()

    async def look(scene: Scene) -> bool:
        for name in CASES:
            found.conditions[name] = await scene.texts(name)
            found.happened[name] = await events(scene, SPACE, name)
        found.bound = await scene.counts()
        return found.bound["good"] == 2 and all(found.is_named(name) for name in CASES)

    async def play() -> None:
        async with playing(process) as scene:
            for steps, _ in CASES.values():
                for step in steps:
                    await step(scene)
            await scene.submit("good", 2)
            with contextlib.suppress(AssertionError):  # each case says below what it lacks
                await until(lambda: look(scene), within=30)

    asyncio.run(play())
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_mistake_is_named_in_a_condition_and_an_event(name: str, said: Said) -> None:
    assert said.is_named(name), (said.conditions[name][:900], said.happened[name][:900])
    assert said.bound[name] == 0
    assert max(len(line) for line in said.conditions[name].splitlines()) <= 1024


def test_the_workload_beside_them_goes_on(said: Said) -> None:
    assert said.bound["good"] == 2


async def told_about(scene: Scene, *words: str) -> None:
    """An Event about a thing of the cluster (they are in namespace default) holds the words."""

    async def told() -> bool:
        happened = await events(scene, "default")
        return any(all(word in line for word in words) for line in happened.splitlines())

    await until(told, within=20)


async def said_of_itself(scene: Scene, resource: Resource, *words: str) -> None:
    """A thing of that kind carries a condition that holds the words."""

    async def told() -> bool:
        found = (await scene.kube.list(resource)).items
        said = [one.get("message") or "" for obj in found for one in conditions_of(obj) if one["type"] == INPUT]
        return any(all(word in line for word in words) for line in said)

    await until(told, within=20)


async def placed(scene: Scene, workload: str, count: int) -> None:
    async def so() -> bool:
        return (await scene.counts())[workload] == count

    await until(so, within=20)


async def test_a_queue_in_a_cycle_says_so_itself(scene: Scene) -> None:
    for name, parent in (("d-c1", "d-c2"), ("d-c2", "d-c1")):
        await scene.queue(name, parent=parent)
    await told_about(scene, "d-c1", "d-c2")
    await said_of_itself(scene, QUEUE, "d-c1", "d-c2")


async def test_a_node_that_offers_more_than_it_has_is_used_for_what_it_has(scene: Scene) -> None:
    await liar("64")(scene)
    await told_about(scene, "nvidia.com/gpu", "64")
    await said_of_itself(scene, NODE, "nvidia.com/gpu", "64")
    await scene.submit("many", 20)
    await placed(scene, "many", 17)
    await asyncio.sleep(1.0)
    assert (await scene.counts())["many"] == 17


@pytest.mark.parametrize(
    ("kind", "spec", "name", "words"),
    [
        ("Queue", {"resources": {}}, "D-Scenes-Q", "lowercase"),
        ("PodGroup", {"queue": "d-scenes-q", "minMember": -1}, "bad", "minMember"),
    ],
)
async def test_what_the_api_server_refuses_names_the_field(
    kind: str, spec: Obj, name: str, words: str, scene: Scene
) -> None:
    version = {"Queue": "v2", "PodGroup": "v2alpha2"}[kind]
    meta = {"name": name} | ({"namespace": SPACE} if kind == "PodGroup" else {})
    with pytest.raises(Invalid, match=words):
        await scene.kube.create(
            {"apiVersion": f"scheduling.run.ai/{version}", "kind": kind, "metadata": meta, "spec": spec}
        )


async def in_space(scene: Scene, resource: Resource, *words: str) -> None:
    """The condition and the Event of a thing in the scenes' namespace hold the words."""
    await said_of_itself(scene, resource, *words)

    async def told() -> bool:
        happened = await events(scene, SPACE)
        return any(all(word in line for word in words) for line in happened.splitlines())

    await until(told, within=20)


async def large(scene: Scene) -> None:
    await scene.submit("used", notes={"note": "x" * (MOST_ANNOTATIONS - 1000)})


async def nobody(scene: Scene) -> None:
    await scene.submit("used", minimum=0)


async def looped(scene: Scene) -> None:
    """Two Jobs own each other, and the pod."""
    made = [await job(scene, name) for name in ("one", "two")]
    for name, reference in (("one", made[1]), ("two", made[0])):
        await scene.kube.patch(JOB, name, SPACE, body={"metadata": {"ownerReferences": [reference]}})
    await scene.submit("used", notes={"pod-group-name": ""}, owners=[made[0]])


async def in_words(scene: Scene) -> None:
    made = await job(scene, "one", **{"kai.scheduler/batch-min-member": "many"})
    await scene.submit("used", notes={"pod-group-name": ""}, owners=[made])


async def job(scene: Scene, name: str, **notes: str) -> Obj:
    """A Job whose controller does nothing, and a reference to it."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.local/none:1"}]}}
    meta = {"name": name, "namespace": SPACE, "annotations": notes}
    body = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"suspend": True, "template": template}}
    made = await scene.kube.create({**body, "metadata": meta})
    return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": made["metadata"]["uid"]}


USED = {
    "annotations of the largest size": (large, POD, ('annotation "note"', "at most 128 KiB")),
    "a gang of nobody": (nobody, POD_GROUP, ("minMember is 0", "at least 1")),
    "owners that own each other": (looped, POD_GROUP, ("a loop", 'Job "one"', 'Job "two"')),
    "a minimum in words": (in_words, POD_GROUP, ("batch-min-member", "many", "a whole number")),
}
"""What is wrong and used all the same: what is made, which kind says it, and the words that name the mistake."""


@pytest.mark.parametrize("name", USED)
async def test_what_is_used_all_the_same_says_what_is_wrong_with_it(name: str, scene: Scene) -> None:
    make, resource, words = USED[name]
    try:
        await make(scene)
        await scene.submit("good", 2)
        await placed(scene, "used", 1)
        await placed(scene, "good", 2)
        await in_space(scene, resource, *words)
    finally:
        for one in (await scene.kube.list(JOB, SPACE)).items:
            with contextlib.suppress(NotFound):  # it went with its owner
                await scene.kube.delete(JOB, one["metadata"]["name"], SPACE, propagation="Background")


async def test_two_megabytes_of_annotations_never_come_to_be(scene: Scene) -> None:
    with pytest.raises(KubeError, match="annotations"):
        await scene.submit("huge", notes={"note": "x" * (2 << 20)})
