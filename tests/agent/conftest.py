"""Fixtures of the agent's tests on real clusters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.agent.live import Live, free_devices


@pytest.fixture(scope="module")
def live_node(node_cluster, tmp_path_factory) -> Iterator[Live]:
    """The platform on a cluster with a real node; no role runs yet. Leaves every device to the tests that follow."""
    live = Live(node_cluster, tmp_path_factory.mktemp("agent"))
    live.install()
    yield live
    live.stop()
    asyncio.run(free_devices(live))


@pytest.fixture(scope="module")
def live_cluster(kube_cluster, tmp_path_factory) -> Iterator[Live]:
    """The platform on a cluster of simulated nodes; no role runs yet."""
    live = Live(kube_cluster, tmp_path_factory.mktemp("agent"))
    live.install()
    yield live
    live.stop()
