"""Samples reach a link that is slow, sick or strict; the buffer has a bound; the role measures real endpoints."""

from __future__ import annotations

import asyncio
import base64
import gzip
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.config import Settings
from agent.kube.resources import POD
from agent.kube.watch import Informers
from agent.loops import metrics
from agent.loops.context import Context, RoleState
from agent.loops.measuring import Measurer
from agent.loops.metrics import interval_s
from agent.loops.shipping import Shipper
from agent.metrics.aggregate import samples
from agent.wire.codec import from_json
from agent.wire.samples import Sample, SampleBatch
from tests.agent.fake_kube import FakeKube

SAMPLES = tuple(Sample("CPU_USAGE_CORES", "node", f"n{index}", 1000, float(index)) for index in range(10))


class Link:
    """The other end: answers ``statuses`` in turn, then 200; keeps what it took."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.taken: list[SampleBatch] = []
        self.tokens: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers["Authorization"])
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append(from_json(SampleBatch, gzip.decompress(request.get_extra_info_body)))
        return web.json_response({"accepted": 1}, status=status)


@pytest.fixture
async def link():
    found = Link()

    @web.middleware
    async def raw(request: web.Request, handler: Any) -> web.StreamResponse:
        request.get_extra_info_body = b"".join([chunk async for chunk in request.content.iter_any()])
        if not request.get_extra_info_body.startswith(b"\x1f\x8b"):  # aiohttp has inflated it
            request.get_extra_info_body = gzip.compress(request.get_extra_info_body)
        return await handler(request)

    app = web.Application(middlewares=[raw])
    app.router.add_post("/agent/v1/metrics", found.answer)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


def cluster(url: str, token: str = "secret") -> FakeKube:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "runai-link", "namespace": "runai"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "runai-metrics-credential"}}
    secret["metadata"]["namespace"] = "runai"
    secret["data"] = {"token": base64.b64encode(token.encode()).decode()}
    return FakeKube(config | {"data": {"url": url}}, secret)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_tick_arrives_whole(link, http):
    shipper = Shipper(cluster(link.url), http)
    shipper.put(SAMPLES)
    assert await shipper.ship() == ""
    assert link.taken == [SampleBatch(SAMPLES)]
    assert link.tokens == ["Bearer secret"]


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403])
async def test_trouble_keeps_the_batch_for_the_next_time(link, http, status):
    link.statuses = [status]
    shipper = Shipper(cluster(link.url), http)
    shipper.put(SAMPLES)
    assert str(status) in await shipper.ship()
    assert await shipper.ship() == ""
    assert [batch.samples for batch in link.taken] == [SAMPLES]


async def test_a_batch_that_is_refused_for_good_does_not_stop_the_next(link, http):
    link.statuses = [400]
    shipper = Shipper(cluster(link.url), http)
    shipper.put(SAMPLES)
    shipper.put(SAMPLES[:1])
    assert await shipper.ship() == ""
    assert ([batch.samples for batch in link.taken], shipper.dropped) == ([SAMPLES[:1]], 10)


async def test_the_oldest_go_when_the_buffer_is_full(http):
    shipper = Shipper(cluster("http://127.0.0.1:1"), http, max_buffered=300)
    for _ in range(5):
        shipper.put(SAMPLES)
    assert (shipper.waiting, shipper.dropped) == (1, 40)
    assert "does not answer" in await shipper.ship()


async def test_without_a_credential_it_waits_and_says_so(http):
    shipper = Shipper(FakeKube(), http)
    shipper.put(SAMPLES)
    assert "waiting for the link role" in await shipper.ship()


async def test_a_tick_reads_kubelets_exporters_and_caches(http, monkeypatch):
    async def page(request: web.Request) -> web.Response:
        return web.Response(text='DCGM_FI_DEV_GPU_UTIL{gpu="0",Hostname="n1",namespace="ns",pod="p"} 40\n')

    app = web.Application()
    app.router.add_get("/metrics", page)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {}}}
    node["status"] = {"allocatable": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2"}}
    node["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "u"}}
    pod["metadata"]["labels"] = {"run.ai/workload-id": "w"}
    resources = {"limits": {"nvidia.com/gpu": "1"}}
    pod |= {"spec": {"nodeName": "n1", "containers": [{"resources": resources}]}, "status": {"phase": "Running"}}
    kube = FakeKube(node, pod)
    use = b'{"node":{"nodeName":"n1"},"pods":[{"podRef":{"uid":"u"},"cpu":{"usageNanoCores":500000000}}]}'
    kube.raw["/api/v1/nodes/n1/proxy/stats/summary"] = use
    informers = Informers(kube)
    async with TestServer(app) as server:
        monkeypatch.setenv("RUNAI_DCGM_URL", f"{server.make_url('/metrics')},http://127.0.0.1:1/metrics")
        measurer = Measurer(kube, informers, http)
        await informers.synced()
        found = {(s.kind, s.metric): s.value for s in samples(await measurer.tick(1000))}
    await informers.close()
    assert found["workload", "GPU_UTILIZATION"] == 40
    assert found["workload", "CPU_USAGE_CORES"] == 0.5
    assert found["cluster", "UNALLOCATED_GPU"] == 1
    assert list(measurer.problems) == ["DCGM exporter http://127.0.0.1:1/metrics"]


async def test_a_pod_that_starts_is_measured_soon(http, link, monkeypatch):
    monkeypatch.setattr(metrics, "LEAST_S", 0.05)
    monkeypatch.setattr(metrics, "SETTLE_S", 0.05)
    kube = cluster(link.url)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}
    pod["metadata"]["labels"] = {"run.ai/workload-id": "w"}
    kube.seed(pod | {"spec": {"nodeName": "n1", "containers": []}, "status": {"phase": "Pending"}})
    informers = Informers(kube)
    role = Context("metrics", kube, informers, Settings(), RoleState("metrics"))
    task = asyncio.create_task(metrics.run(role))
    await asyncio.sleep(0.2)
    await kube.patch(POD, "p", "ns", body={"status": {"phase": "Running"}}, subresource="status")
    await asyncio.sleep(0.4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await informers.close()
    found = [s.value for batch in link.taken for s in batch.samples if s.metric == "RUNNING_POD_COUNT"]
    assert found == [0.0, 1.0]
    assert role.health.ok


@pytest.mark.parametrize("given", ["0", "soon", "-5", "99999"])
def test_a_wrong_interval_is_named(monkeypatch, given):
    monkeypatch.setenv("RUNAI_AGENT_METRICS_S", given)
    with pytest.raises(ValueError, match="RUNAI_AGENT_METRICS_S"):
        interval_s(1)


@pytest.mark.parametrize(("nodes", "expected"), [(1, 15.0), (500, 30.0)])
def test_big_clusters_are_measured_less_often(nodes, expected):
    assert interval_s(nodes) == expected
