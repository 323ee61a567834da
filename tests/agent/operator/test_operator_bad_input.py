"""Mistakes against the real API server with the webhook: refused with field and rule, or told by a condition and an
event that name them; the other workloads go on.
"""

from __future__ import annotations

from typing import Any

import pytest

from agent.kube.client import KubeClient
from agent.kube.errors import Invalid
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, WORKLOAD
from tests.agent.live import clear, make_project, reach, status, until, workload

pytestmark = pytest.mark.cluster
SPACE = "runai-mistakes"
HALF = {"gpuDevices": 1, "gpuPortionMilli": 500}
SCALED: dict[str, Any] = {"type": "inference", "ports": [{"container": 8000}]}


@pytest.fixture(scope="module", autouse=True)
def roles(live_cluster):
    live_cluster.start("operator", "scheduler", "webhook")


@pytest.fixture
async def kube(live_cluster):
    async with live_cluster.connect() as client:
        await make_project(client, "mistakes")
        await until(lambda: refuses(client))
        yield client
        await clear(client, SPACE)


async def refuses(kube: KubeClient) -> bool:
    """Whether the webhook answers and has seen the project: only it knows this rule."""
    try:
        await kube.create(labelled("probe", "elsewhere"))
    except Invalid:
        return True
    await kube.delete(WORKLOAD, "probe", SPACE)
    return False


def labelled(name: str, project: str) -> Obj:
    obj = workload(name, SPACE, suspend=True)
    obj["metadata"]["labels"] = {"run.ai/project": project}
    return obj


def owned_twice() -> Obj:
    obj = workload("wrong", SPACE)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}
    obj["metadata"]["ownerReferences"] = [owner, owner | {"name": "b", "uid": "2"}]
    return obj


def bare(notes: dict[str, str], gpus: int = 0) -> Obj:
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    container = {"name": "c", "image": "example.local/none:1", "resources": limits}
    meta = {"name": "wrong", "namespace": SPACE, "annotations": notes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("obj", "field", "rule"),
    [
        (workload("wrong", SPACE, compute={**HALF, "gpuPortionMilli": -1}), "gpuPortionMilli", "1 to 999"),
        (bare({"gpu-fraction": "-0.5"}), "gpu-fraction", "above 0"),
        (bare({"gpu-fraction": "0.5"}, gpus=1), "gpu-fraction", "not both"),
        (workload("wrong", SPACE, compute={**HALF, "gpuMemoryMib": 100}), "gpuMemoryMib", "not both"),
        (workload("wrong", SPACE, compute={"gpuDevices": 1, "gpuMemoryMib": 10**8}), "gpuMemoryMib", "at most"),
        (bare({"gpu-memory": "100000000"}), "gpu-memory", "at most"),
        (workload("wrong", SPACE, type="distributed", workers=2, framework="caffe"), "framework", "PyTorch|pytorch"),
        (
            workload("wrong", SPACE, **SCALED, autoscaling={"minReplicas": 3, "maxReplicas": 1}),
            "maxReplicas",
            "1 given",
        ),
        (workload("wrong", SPACE, type="distributed", workers=2, minReplicas=3), "minReplicas", "3 given"),
        (owned_twice(), "ownerReferences", "at most one"),
        (workload("wrong", SPACE, ports=[{"container": 80}, {"container": 80}]), "ports", "twice"),
        (workload("wrong", SPACE, command=["sh", "-c", "x" * 100_000]), "command", "65536"),
        (labelled("wrong", "elsewhere"), "run.ai/project", "belongs to project 'mistakes'"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
async def test_it_is_refused_with_field_and_rule(kube, obj, field, rule):
    with pytest.raises(Invalid, match=rf"(?s){field}.*({rule})"):
        await kube.create(obj)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"storage": [{"kind": "pvc", "path": "/data", "name": "nowhere"}]}, "nowhere"),
        ({"storage": [{"kind": "configMap", "path": "/data", "name": "no-map"}]}, "no-map"),
        ({"annotations": {"local.run.ai/pull-error": "manifest unknown"}}, "manifest unknown"),
    ],
    ids=["a claim that is not there", "a ConfigMap that is not there", "an image that never pulls"],
)
async def test_what_shows_later_is_told_by_status_and_event(kube, spec, words):
    """And the workload that came after it runs."""
    await kube.create(workload("hopeful", SPACE, nodePools=["simulated"], **spec))
    await kube.create(workload("fine", SPACE, nodePools=["simulated"]))
    await reach(kube, "fine", SPACE, "Running")

    async def named() -> Obj:
        found = await status(kube, "hopeful", SPACE)
        said = words in (found.get("message") or "") and any(words in one["message"] for one in found["reasons"])
        return found if said else {}

    found = await until(named)
    assert found["phase"] != "Running"
    ready = next(item for item in found["conditions"] if item["type"] == "Ready")
    assert ready["status"] == "False" and words in ready["message"]
    await until(lambda: told(kube, "hopeful", words))


async def told(kube: KubeClient, name: str, words: str) -> bool:
    """An event on the workload or its pod names the mistake."""
    events = (await kube.list(EVENT, SPACE)).items
    about = [event for event in events if event["involvedObject"]["name"].startswith(name)]
    return any(words in (event.get("message") or "") for event in about)


async def test_without_the_webhook_the_status_says_the_same(live_cluster, kube):
    """Admission may be away: what it would have refused fails with the same sentence and an event, and makes no pod."""
    live_cluster.stop()
    await kube.create(workload("unseen", SPACE, framework="caffe"))
    live_cluster.start("operator", "scheduler", "webhook")
    found = await reach(kube, "unseen", SPACE, "Failed")
    assert "spec.framework: 'caffe' given" in found["message"]
    await until(lambda: told(kube, "unseen", "caffe"))
