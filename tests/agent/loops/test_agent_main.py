"""Roles in one process: health, and what the end of one means."""

from __future__ import annotations

import asyncio
import socket
import sys
import types

import aiohttp
import pytest

from agent import main
from agent.config import Settings
from agent.kube.client import KubeClient
from agent.loops.context import Context, Health
from agent.loops.serving import serve
from agent.loops.snapshots import Board
from tests.agent.fake_kube import FakeKube


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def role(monkeypatch):
    """Makes ``agent.loops.metrics`` whatever the test says."""

    def install(run):
        module = types.ModuleType("agent.loops.metrics")
        module.run = run
        monkeypatch.setitem(sys.modules, "agent.loops.metrics", module)

    return install


async def run(kube: FakeKube, **settings: object) -> int:
    return await asyncio.wait_for(main.run_roles(kube, Settings(roles=("metrics",), **settings)), 5)


async def test_a_role_that_fails_ends_the_process(role):
    async def broken(context: Context) -> None:
        raise RuntimeError("defect")

    role(broken)
    assert await run(FakeKube(), leader_election=False) == 1


async def test_a_role_that_returns_is_a_failure_too(role):
    async def done(context: Context) -> None:
        return

    role(done)
    assert await run(FakeKube()) == 1


async def test_without_our_namespace_the_lease_is_in_kube_system(role):
    kube = FakeKube()

    async def look(context: Context) -> None:
        assert context.leading
        raise RuntimeError("enough")

    role(look)
    await run(kube)
    assert [key[2] for key in kube.objects if key[1] == "leases"] == ["kube-system"]


async def test_health_says_what_is_wrong():
    health = Health(("scheduler", "link"))
    health.of("scheduler").set(True, "working")
    health.of("link").set(False, "no answer from the control plane")
    port = free_port()
    kube = types.SimpleNamespace(requests={("GET", 200): 3}, bytes={"sent": 7})
    informers = types.SimpleNamespace(lists={"Pod": 1})
    task = asyncio.create_task(serve(Settings(port=port), health, kube, informers, Board()))
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            try:
                answer = await session.get(f"http://127.0.0.1:{port}/healthz")
                break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)
        text = await answer.text()
        metrics = await (await session.get(f"http://127.0.0.1:{port}/metrics")).text()
        nothing = await session.get(f"http://127.0.0.1:{port}/else")
        unseen = await session.get(f"http://127.0.0.1:{port}/snapshot")
    task.cancel()
    assert answer.status == 503
    assert "link: not ok no answer" in text
    assert 'runai_api_requests_total{code="200",method="GET"} 3.0' in metrics
    assert 'runai_role_ok{role="link"} 0.0' in metrics
    assert (nothing.status, unseen.status) == (404, 404)


@pytest.mark.parametrize(
    ("arguments", "status"), [(["install"], 2), (["install", "-f", "/nowhere/at/all"], 2), (["scheduler"], 2)]
)
def test_exit_status(arguments, status, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    assert main.main(arguments) == status
    assert capsys.readouterr().err.startswith("agent: ")


def test_a_client_outside_of_its_block_says_so(monkeypatch, tmp_path):
    path = tmp_path / "k"
    path.write_text(
        "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'http://h'}}]"
    )
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(KubeClient.connect(str(path)).raw_get("/"))
