"""What stands before a pod's own containers: volumes that cannot be mounted, containers that fetch and fail."""

from __future__ import annotations

from typing import Any

import pytest

from agent.kube.resources import EVENT, POD
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.operating import namespace, operating, play, project, running, status, workload

CREATING = [{"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}]
VAGUE = "Unable to attach or mount volumes: unmounted volumes=[storage-0]: context deadline exceeded"
CAUSE = 'MountVolume.SetUp failed for volume "storage-0" : secret "nowhere" not found'


def event(kube: FakeKube, text: str, name: str, reason: str = "FailedMount") -> dict[str, Any]:
    (pod,) = kube.all(POD)
    meta = {"name": name, "namespace": "runai-vision"}
    about = {"kind": "Pod", "name": "hello-0", "namespace": "runai-vision", "uid": pod["metadata"]["uid"]}
    body = {"reason": reason, "message": text, "involvedObject": about}
    return {"apiVersion": "v1", "kind": "Event", "metadata": meta, **body}


async def placed(kube: FakeKube) -> None:
    await kube.patch(POD, "hello-0", "runai-vision", body={"spec": {"nodeName": "n1"}})
    await play(kube, "hello-0", phase="Pending", containerStatuses=CREATING)


def told(kube: FakeKube) -> list[str]:
    return [one["message"] for one in kube.all(EVENT) if one["involvedObject"].get("kind") == "Workload"]


async def test_a_volume_that_cannot_be_mounted_is_named_and_told_once():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await placed(kube)
        for text, name in ((VAGUE, "a"), (CAUSE, "b"), (VAGUE + ".", "c")):
            await kube.create(event(kube, text, name))
            await operator.settle()
        found = status(kube)
        ready = next(one for one in found["conditions"] if one["type"] == "Ready")
        assert found["phase"] == "Initializing"
        assert found["message"] == f"a volume of hello-0 cannot be mounted on node n1: {CAUSE}"
        assert (ready["reason"], ready["message"]) == ("MountFailed", found["message"])
        assert len(told(kube)) == 1


async def test_a_sandbox_that_cannot_be_made_is_told():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await placed(kube)
        await kube.create(event(kube, "Failed to create pod sandbox: no network", "a", "FailedCreatePodSandBox"))
        await operator.settle()
        found = status(kube)
        assert found["reasons"][0]["code"] == "SandboxFailed"
        assert found["message"] == "hello-0 cannot be set up on node n1: Failed to create pod sandbox: no network"
        assert len(told(kube)) == 1


async def test_nothing_is_said_of_it_once_the_volumes_are_there():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await placed(kube)
        await kube.create(event(kube, CAUSE, "a"))
        await operator.settle()
        ready = [{"type": "PodReadyToStartContainers", "status": "True"}]
        await play(kube, "hello-0", phase="Pending", containerStatuses=CREATING, conditions=ready)
        await operator.settle()
        assert status(kube)["message"] == "hello-0 is being set up on node n1"


async def test_an_event_that_is_gone_says_nothing_any_more():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await placed(kube)
        await kube.create(event(kube, CAUSE, "a"))
        await operator.settle()
        await kube.delete(EVENT, "a", "runai-vision")
        await operator.settle()
        assert status(kube)["message"] == "hello-0 is being set up on node n1"


def fetching(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Statuses of a pod whose first container fetches a repository."""
    main = {"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}
    first = {"name": "fetch-0", "image": "git:1", "state": state, **more}
    return {"initContainerStatuses": [first], "containerStatuses": [main]}


LOST = {"exitCode": 128, "reason": "Error", "message": "fatal: repository 'x' not found\n"}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}
NO_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


@pytest.mark.parametrize(
    ("statuses", "code", "message"),
    [
        (
            fetching(BACK_OFF, restartCount=1, lastState={"terminated": LOST}),
            "PreparationFailed",
            "fetch-0 of hello-0 ended with code 128: fatal: repository 'x' not found, tried 2 times",
        ),
        (fetching(NO_IMAGE), "ImagePullFailed", 'the image "git:1" cannot be pulled: no such image'),
        (fetching({"running": {}}), "ContainerCreating", "hello-0 is being set up on node n1"),
    ],
    ids=["fails again and again", "its image cannot be pulled", "at work"],
)
async def test_what_fetches_before_the_start_is_told(statuses, code, message):
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await placed(kube)
        await play(kube, "hello-0", phase="Pending", **statuses)
        await operator.settle()
        found = status(kube)
        assert (found["reasons"][0]["code"], found["message"]) == (code, message)


async def test_a_pod_that_failed_before_its_start_says_what_failed():
    kube = FakeKube(project(), namespace("runai-vision"), workload(backoffLimit=0))
    async with operating(kube) as operator:
        await placed(kube)
        await play(kube, "hello-0", phase="Failed", **fetching({"terminated": LOST}))
        await operator.settle()
        assert status(kube)["phase"] == "Failed"
        assert status(kube)["message"] == "fetch-0 of hello-0 ended with code 128: fatal: repository 'x' not found"


async def test_a_pod_that_runs_says_nothing_of_what_was_before():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await placed(kube)
        await kube.create(event(kube, CAUSE, "a"))
        await play(kube, "hello-0", **running())
        await operator.settle()
        assert status(kube)["message"] == "running on node n1"
