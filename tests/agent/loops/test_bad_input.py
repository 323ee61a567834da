"""Bad input on a real API server: a condition and an Event name the mistake, and the workload beside it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from agent.kube.client import KubeClient
from agent.kube.errors import Invalid, NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, JOB, NODE, TOPOLOGY
from tests.agent.live import Live, until
from tests.agent.loops.scenes import NAME, SPACE, Scene, Step, queue, submit

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


CASES: dict[str, tuple[tuple[Step, ...], tuple[str, ...]]] = {
    "an unknown queue": ((submit("bad", queue="nowhere"),), ("nowhere", "does not exist")),
    "a queue in another case": ((submit("bad", queue="D-Scenes-Q"),), ("D-Scenes-Q", "does not exist")),
    "a queue with children": ((submit("bad", queue="d-scenes-root"),), ("d-scenes-root", "child queues")),
    "a cycle of queues": (
        (queue("d-c1", parent="d-c2"), queue("d-c2", parent="d-c1"), submit("bad", queue="d-c1")),
        ("d-c1", "cannot be used"),
    ),
    "a gang larger than the cluster": ((submit("bad", 20, minimum=20),), ("20", "gang starts whole")),
    "a gang larger than its pods": ((submit("bad", 2, minimum=3),), ("2 of the minimum of 3",)),
    "a fraction of a quarter of a megabyte": ((submit("bad", gpu=0, notes=LONG),), ("gpu-fraction", "7777")),
    "a topology that is not there": ((submit("bad", group={"topologyConstraint": LEVEL}),), ("d-scenes-topology",)),
    "a topology of a label that nobody has": (
        (topology("d-scenes-topology", "nobody/has"), submit("bad", group={"topologyConstraint": LEVEL})),
        ("nobody/has",),
    ),
    "a node that lies": ((liar("64"), submit("bad", gpu=9)), ("9", "GPUs")),
}


@pytest.fixture(scope="module")
def process(live_cluster: Live) -> Iterator[Live]:
    flags = ("--scheduler-name", NAME, "--no-leader-election")
    started = live_cluster.start("scheduler", *flags, RUNAI_AGENT_GPU_RESERVATIONS="false")
    yield live_cluster
    assert started.poll() is None


@pytest.fixture
async def scene(process: Live):
    async with KubeClient.connect(str(process.cluster.kubeconfig)) as kube:
        await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, manager="test")
        made = Scene(kube)
        await made.queue("d-scenes-root", parent="")
        await made.queue("d-scenes-q")
        yield made
        await made.clear()
        for resource, name in ((TOPOLOGY, "d-scenes-topology"), (NODE, LIAR)):
            with contextlib.suppress(NotFound):
                await kube.delete(resource, name)
        for event in (await kube.list(EVENT, SPACE)).items:
            await kube.delete(EVENT, event["metadata"]["name"], SPACE)


async def events(scene: Scene, *namespaces: str) -> str:
    found = [event for space in namespaces for event in (await scene.kube.list(EVENT, space)).items]
    return "\n".join(event["message"] for event in found)


@pytest.mark.parametrize("name", CASES)
async def test_the_mistake_is_named_and_others_go_on(name: str, scene: Scene) -> None:
    steps, words = CASES[name]
    for step in steps:
        await step(scene)
    await scene.submit("good", 2)

    async def named() -> bool:
        said, happened = await scene.texts("bad"), await events(scene, SPACE)
        return all(word in said and word in happened for word in words)

    async def placed() -> bool:
        return (await scene.counts())["good"] == 2

    await until(placed, within=20)
    try:
        await until(named, within=20)
    except AssertionError:
        pytest.fail(f"says {(await scene.texts('bad'))[:900]!r}, events {(await events(scene, SPACE))[:900]!r}")
    assert (await scene.counts())["bad"] == 0
    assert max(len(line) for line in (await scene.texts("bad")).splitlines()) <= 1024


async def told_about(scene: Scene, *words: str) -> None:
    """An Event about a thing of the cluster (they are in namespace default) holds the words."""

    async def told() -> bool:
        happened = await events(scene, "default")
        return any(all(word in line for word in words) for line in happened.splitlines())

    await until(told, within=20)


async def test_a_queue_in_a_cycle_says_so_itself(scene: Scene) -> None:
    for name, parent in (("d-c1", "d-c2"), ("d-c2", "d-c1")):
        await scene.queue(name, parent=parent)
    await told_about(scene, "d-c1", "d-c2")


async def test_a_node_that_offers_more_than_it_has_is_used_for_what_it_has(scene: Scene) -> None:
    await liar("64")(scene)
    await told_about(scene, "nvidia.com/gpu", "64")
    await scene.submit("many", 20)

    async def placed() -> bool:
        return (await scene.counts())["many"] == 17

    await until(placed, within=20)
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


async def test_annotations_of_the_largest_size_are_carried(scene: Scene) -> None:
    await scene.submit("large", notes={"note": "x" * (MOST_ANNOTATIONS - 1000)})

    async def placed() -> bool:
        return (await scene.counts())["large"] == 1

    await until(placed, within=20)


async def test_a_gang_of_nobody_is_no_gang(scene: Scene) -> None:
    await scene.submit("nobody", 2, minimum=0)

    async def placed() -> bool:
        return (await scene.counts())["nobody"] == 2

    await until(placed, within=20)


async def test_owners_that_own_each_other_are_looked_at_once(scene: Scene) -> None:
    """The chain ends where it began: the pods are one group and run."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.local/none:1"}]}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"suspend": True, "template": template}}
    made = [
        await scene.kube.create({**body, "metadata": {"name": name, "namespace": SPACE}}) for name in ("one", "two")
    ]
    references = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
        for job in made
    ]
    for name, reference in (("one", references[1]), ("two", references[0])):
        await scene.kube.patch(JOB, name, SPACE, body={"metadata": {"ownerReferences": [reference]}})
    await scene.submit("looped", 2, notes={"pod-group-name": ""}, owners=[references[0]])

    async def placed() -> bool:
        return (await scene.counts())["looped"] == 2

    await until(placed, within=20)
    for name in ("one", "two"):
        await scene.kube.delete(JOB, name, SPACE, propagation="Background")
