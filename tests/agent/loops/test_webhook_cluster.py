"""The webhook as a process on a real API server: asked, killed, its certificate expired, two of it started."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from agent.admission.certificates import make
from agent.kube.errors import Invalid, KubeError, NotFound
from agent.kube.resources import MUTATING_WEBHOOK, POD, SECRET, WORKLOAD
from tests.agent.live import make_project, until, workload

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def process(live_cluster):
    live_cluster.start("operator")
    return live_cluster.start("webhook")


@pytest.fixture
async def kube(live_cluster):
    async with live_cluster.connect() as client:
        yield client


@pytest.fixture
async def space(kube) -> str:
    name = await make_project(kube, "door")
    await until(lambda: refuses(kube, name))
    return name


async def refuses(kube, space: str) -> bool:
    """Whether the webhook answers: only it knows this rule."""
    try:
        await kube.create(workload("probe", space, framework="caffe"))
    except Invalid:
        return True
    await kube.delete(WORKLOAD, "probe", space)
    return False


def bare(name: str, space: str, **notes: str):
    meta = {"name": name, "namespace": space, "annotations": notes}
    spec = {"containers": [{"name": "c", "image": "example.local/none:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


async def test_a_pod_of_a_project_is_ours_and_others_are_not_touched(kube, space):
    made = await kube.create(bare("ours", space))
    other = await kube.create(bare("theirs", "default"))
    assert made["spec"]["schedulerName"] == "runai-scheduler"
    assert other["spec"]["schedulerName"] == "default-scheduler"
    await kube.delete(POD, "ours", space, grace_s=0)
    await kube.delete(POD, "theirs", "default", grace_s=0)


async def test_a_refusal_names_field_and_rule(kube, space):
    with pytest.raises(KubeError, match=r"gpu-fraction.*at most 1"):
        await kube.create(bare("wrong", space, **{"gpu-fraction": "7"}))


async def test_who_submitted_is_known(kube, space):
    made = await kube.create(workload("signed", space, nodePools=["simulated"]))
    assert made["spec"]["type"] == "training"
    await kube.delete(WORKLOAD, "signed", space)


async def test_answers_are_quick(kube, space):
    """The whole call of the API server, dry run: p50 says what a pod pays for being asked about."""
    took = []
    for index in range(60):
        started = time.perf_counter()
        await kube.create(bare(f"quick-{index}", space))
        took.append(time.perf_counter() - started)
        await kube.delete(POD, f"quick-{index}", space, grace_s=0)
    assert sorted(took)[30] < 0.15


async def test_killed_it_blocks_nobody_and_comes_back(live_cluster, kube, space, process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    started = time.monotonic()
    made = await kube.create(bare("meanwhile", space))
    assert time.monotonic() - started < 5
    assert made["spec"]["schedulerName"] == "default-scheduler"
    await kube.delete(POD, "meanwhile", space, grace_s=0)
    live_cluster.start("webhook")
    live_cluster.start("webhook")  # a second one waits for its turn
    await until(lambda: refuses(kube, space))


async def test_an_expired_certificate_is_replaced(live_cluster, kube, space):
    config = await kube.get(MUTATING_WEBHOOK, "runai")
    trusted = config["webhooks"][0]["clientConfig"]["caBundle"]
    stale = make(("10.0.0.1",), datetime.now(UTC) - timedelta(days=100))
    data = {"ca.crt": stale.ca, "tls.crt": stale.certificate, "tls.key": stale.key}
    body = {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}
    await kube.patch(SECRET, "runai-webhook-tls", "runai", body=body)

    async def renewed() -> bool:
        try:
            fresh = await kube.get(MUTATING_WEBHOOK, "runai")
        except NotFound:
            return False
        return fresh["webhooks"][0]["clientConfig"]["caBundle"] != trusted

    await until(renewed, within=60)
    await asyncio.sleep(1)
    await until(lambda: refuses(kube, space))
