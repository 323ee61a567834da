"""Mounts that do not exist, on a real node: the workload says which one, by condition and event, and others go on."""

from __future__ import annotations

from typing import Any

import pytest

from agent.kube.client import KubeClient
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT
from tests.agent.live import clear, make_project, reach, status, until, workload

pytestmark = pytest.mark.node
SPACE = "runai-missing"
SLEEP = {"command": ["sleep", "600"]}


@pytest.fixture(scope="module", autouse=True)
def roles(live_node):
    live_node.start("operator", "scheduler")


@pytest.fixture
async def kube(live_node):
    async with live_node.connect() as client:
        await make_project(client, "missing")
        yield client
        await clear(client, SPACE)


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"storage": [{"kind": "secret", "path": "/data", "name": "nowhere"}]}, "MountFailed", "nowhere"),
        ({"environment": [{"name": "A", "secret": "nowhere", "key": "k"}]}, "CreateContainerConfigError", "nowhere"),
        (
            {"storage": [{"kind": "git", "path": "/src", "source": "none", "image": "example.local/busybox:1"}]},
            "PreparationFailed",
            "git: not found",
        ),
    ],
    ids=["a Secret that is not there", "a variable's Secret that is not there", "a repository that cannot be fetched"],
)
async def test_what_is_missing_is_named(kube: KubeClient, spec: dict[str, Any], code: str, words: str) -> None:
    await kube.create(workload("hopeful", SPACE, restartPolicy="OnFailure", **SLEEP, **spec))
    await kube.create(workload("fine", SPACE, **SLEEP))
    await reach(kube, "fine", SPACE, "Running")

    async def named() -> Obj:
        found = await status(kube, "hopeful", SPACE)
        return found if any(one["code"] == code for one in found.get("reasons") or ()) else {}

    found = await until(named)
    ready = next(item for item in found["conditions"] if item["type"] == "Ready")
    assert ready["status"] == "False" and words in ready["message"]

    async def told() -> bool:
        about = [one for one in (await kube.list(EVENT, SPACE)).items if one["involvedObject"]["name"] == "hopeful"]
        return any(words in one["message"] for one in about)

    await until(told)
