"""Informers on an API in memory: they stay true whatever happens to the watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.kube import errors, watch
from agent.kube.resources import CONFIG_MAP, POD_GROUP, Resource
from agent.kube.watch import Informer
from tests.agent.fake_kube import FakeKube


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": value}}


@asynccontextmanager
async def following(kube: FakeKube, resource: Resource = CONFIG_MAP, **options: Any) -> AsyncIterator[Informer]:
    informer = Informer(kube, resource, **options)
    task = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(2):
            await informer.synced()
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not condition():
            await asyncio.sleep(0.005)


def names(informer: Informer) -> set[str]:
    return {obj["metadata"]["name"] for obj in informer.store}


async def test_lists_then_follows():
    kube = FakeKube(config_map("a"))
    async with following(kube) as informer:
        await kube.create(config_map("b"))
        await kube.delete(CONFIG_MAP, "a", "ns")
        await until(lambda: names(informer) == {"b"})


async def test_a_watch_that_ends_silently_is_resumed_without_a_list():
    kube = FakeKube()
    async with following(kube) as informer:
        await until(lambda: kube.calls["watch", "ConfigMap"] == 1)
        kube.drop_watches()
        await kube.create(config_map("b"))
        await until(lambda: names(informer) == {"b"})
        assert kube.calls["list", "ConfigMap"] == 1


async def test_gone_means_listing_again():
    kube = FakeKube(config_map("a"))
    async with following(kube) as informer:
        kube.drop_watches()
        kube.seed(config_map("b"))
        await kube.delete(CONFIG_MAP, "a", "ns")
        kube.compact()
        kube.drop_watches()
        await until(lambda: names(informer) == {"b"})
        assert informer.relists >= 2


@pytest.mark.parametrize("method", ["list", "watch"])
async def test_trouble_is_waited_out(method):
    kube = FakeKube(config_map("a"))
    kube.fail(method, "ConfigMap", errors.Unreachable("down"), times=2)
    async with following(kube) as informer:
        await kube.create(config_map("b"))
        await until(lambda: names(informer) == {"a", "b"})


async def test_an_optional_kind_that_is_not_installed_counts_as_synced():
    kube = FakeKube()
    kube.fail("list", "PodGroup", errors.NotFound("no such kind", status=404), times=1000)
    async with following(kube, POD_GROUP, optional=True) as informer:
        assert not informer.installed


async def test_a_silent_informer_says_that_it_is_stale(monkeypatch):
    kube = FakeKube()
    async with following(kube) as informer:
        assert not informer.is_stale
        monkeypatch.setattr(watch, "_STALE_S", -1.0)
        assert informer.is_stale
