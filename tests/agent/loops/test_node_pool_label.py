"""The node label that names the pool is the RunaiConfig's, for what is measured and reported too, at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from agent.config import Settings
from agent.kube.resources import RUNAI_CONFIG
from agent.kube.watch import Informers
from agent.link.outbox import Outbox
from agent.link.reporter import Reporter
from agent.loops.configured import Configured, pool_label
from agent.loops.measuring import Measurer
from tests.agent.fake_kube import FakeKube

OURS, THEIRS = "kai.scheduler/node-pool", "example.com/pool"


def cluster() -> FakeKube:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {OURS: "ours", THEIRS: "theirs"}}}
    meta = {"name": "runai", "namespace": "runai"}
    return FakeKube(node, {"apiVersion": "run.ai/v1", "kind": "RunaiConfig", "metadata": meta, "spec": {}})


async def follow(kube: FakeKube, label: str) -> None:
    await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"nodePoolLabelKey": label}})
    await asyncio.sleep(0.05)


def pools_in(outbox: Outbox) -> list[str]:
    return [json.loads(held.raw)["nodePool"] for (kind, _), held in outbox._held.items() if kind == "Node"]


async def test_reports_of_nodes_follow_it():
    kube = cluster()
    informers = Informers(kube)
    configured, outbox = Configured(informers), Outbox()
    reporter = Reporter(informers, "c", lambda: pool_label(Settings(), configured))
    await reporter.start("v1")
    reporter.flush(outbox)
    assert pools_in(outbox) == ["ours"]
    await follow(kube, THEIRS)
    reporter.flush(outbox)
    await informers.close()
    assert pools_in(outbox) == ["theirs"]


async def test_what_is_measured_follows_it(monkeypatch):
    monkeypatch.setenv("RUNAI_DCGM_URL", "http://127.0.0.1:1/metrics")
    kube = cluster()
    informers = Informers(kube)
    configured = Configured(informers)
    found: list[Any] = []
    async with aiohttp.ClientSession() as http:
        measurer = Measurer(kube, informers, http, pool_label=lambda: pool_label(Settings(), configured))
        await informers.synced()
        for label in (OURS, THEIRS):
            await follow(kube, label)
            found += [node.pool for node in (await measurer.tick(1)).nodes]
    await informers.close()
    assert found == ["ours", "theirs"]


async def test_a_flag_of_the_process_wins():
    kube = cluster()
    informers = Informers(kube)
    configured = Configured(informers)
    await informers.synced()
    await follow(kube, THEIRS)
    given = Settings(node_pool_label="by/flag", given=frozenset({"node_pool_label"}))
    assert pool_label(given, configured) == "by/flag"
    await informers.close()
