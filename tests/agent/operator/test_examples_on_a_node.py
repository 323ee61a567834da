"""Every example runs on the real node to the right end: one of each native type and framework."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.kube.client import KubeClient
from agent.kube.resources import POD, WORKLOAD
from tests.agent.live import clear, log_of, make_project, pods_of, reach, until

pytestmark = pytest.mark.node
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture(scope="module", autouse=True)
def roles(live_node):
    live_node.start("operator", "scheduler", "webhook", "activator")


@pytest.fixture
async def kube(live_node):
    async with live_node.connect() as client:
        await make_project(client, "vision")
        yield client
        await clear(client, "runai-vision")


async def submit(kube: KubeClient, name: str) -> dict[str, Any]:
    obj: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    await kube.create(obj)
    return obj


async def markers(kube: KubeClient, name: str) -> list[str]:
    found = []
    for pod in await pods_of(kube, "runai-vision", name):
        text = await log_of(kube, pod["metadata"]["name"], "runai-vision")
        found += [line for line in text.splitlines() if line.startswith("MARKER")]
    return sorted(found)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hello", 1),
        ("gpu-fraction", 1),
        ("completions", 6),
        ("gang", 4),
        ("pytorch", ["MARKER master got 10 from 1 workers", "MARKER worker 1 heard thanks"]),
        ("xgboost", ["MARKER master got 10 from 1 workers", "MARKER worker 1 heard thanks"]),
        ("tensorflow", ["MARKER chief heard worker 1", "MARKER worker 1 spoke"]),
        ("jax", ["MARKER coordinator heard process 1", "MARKER process 1 spoke"]),
        ("mpi", 4),
        ("elastic", 4),
    ],
)
async def test_it_completes_and_its_pods_have_spoken(kube, name, said):
    await submit(kube, name)
    await reach(kube, name, "runai-vision", "Completed", within=120)
    found = await markers(kube, name)
    assert found == said if isinstance(said, list) else len(found) == said


async def test_what_fails_says_why(kube):
    await submit(kube, "fails")
    assert "3" in (await reach(kube, "fails", "runai-vision", "Failed"))["message"]


async def test_a_workspace_stays_up_behind_its_service(kube):
    await submit(kube, "workspace")
    await reach(kube, "workspace", "runai-vision", "Running")
    assert "Directory listing" in await ask(kube, "http://workspace:8888/")


async def ask(kube: KubeClient, url: str, times: int = 1) -> str:
    """What a pod of the project gets from ``url``, through DNS and the Service."""
    script = (
        "import concurrent.futures, urllib.request\n"
        f"def ask(_): return urllib.request.urlopen({url!r}, timeout=100).read().decode()\n"
        f"with concurrent.futures.ThreadPoolExecutor(16) as pool: print(*pool.map(ask, range({times})))"
    )
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "example.local/python:3.11", "command": ["python3", "-c", script]}],
    }
    meta = {"generateName": "ask-", "namespace": "runai-vision"}
    made = await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    name = made["metadata"]["name"]

    async def over() -> bool:
        return (await kube.get(POD, name, "runai-vision"))["status"].get("phase") in ("Succeeded", "Failed")

    await until(over, within=120)
    return await log_of(kube, name, "runai-vision")


async def replicas(kube: KubeClient) -> int:
    found = await pods_of(kube, "runai-vision", "inference")
    return sum(1 for pod in found if not pod["metadata"].get("deletionTimestamp"))


async def test_inference_answers_scales_up_under_load_and_down_after(kube):
    await submit(kube, "inference")
    await reach(kube, "inference", "runai-vision", "Running")
    url = "http://inference.runai-vision.svc:8000/"
    assert "answered by" in await ask(kube, url)
    load = asyncio.create_task(ask(kube, url, times=150))

    async def grown() -> bool:
        return await replicas(kube) >= 2

    await until(grown)
    assert (await load).count("answered by") == 150

    async def shrunk() -> bool:
        return await replicas(kube) == 1

    await until(shrunk)


async def test_inference_comes_back_from_zero(kube):
    obj = yaml.safe_load((EXAMPLES / "inference.yaml").read_text())
    obj["spec"]["autoscaling"] |= {"minReplicas": 0, "scaleToZeroRetentionSeconds": 2, "scaleDownDelaySeconds": 1}
    await kube.create(obj)

    async def asleep() -> bool:
        status = (await kube.get(WORKLOAD, "inference", "runai-vision")).get("status") or {}
        return "scaled to zero" in status.get("message", "") and await replicas(kube) == 0

    await until(asleep)
    assert "answered by" in await ask(kube, "http://inference.runai-vision.svc:8000/")


async def test_a_new_image_replaces_the_pods(kube):
    await submit(kube, "inference")
    await reach(kube, "inference", "runai-vision", "Running")
    before = {pod["metadata"]["uid"] for pod in await pods_of(kube, "runai-vision", "inference")}
    body = {"spec": {"environment": [{"name": "VERSION", "value": "2"}]}}
    await kube.patch(WORKLOAD, "inference", "runai-vision", body=body)

    async def replaced() -> bool:
        now = await pods_of(kube, "runai-vision", "inference")
        fresh = {pod["metadata"]["uid"] for pod in now if not pod["metadata"].get("deletionTimestamp")}
        return bool(fresh) and not fresh & before

    await until(replaced)
    await reach(kube, "inference", "runai-vision", "Running")
