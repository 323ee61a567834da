"""Fixtures of the agent's tests on real clusters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent.live import Live


@pytest.fixture(scope="module")
def live_node(node_cluster, tmp_path_factory) -> Iterator[Live]:
    """The platform on a cluster with a real node; no role runs yet."""
    live = Live(node_cluster, tmp_path_factory.mktemp("agent"))
    live.install()
    yield live
    live.stop()


@pytest.fixture(scope="module")
def live_cluster(kube_cluster, tmp_path_factory) -> Iterator[Live]:
    """The platform on a cluster of simulated nodes; no role runs yet."""
    live = Live(kube_cluster, tmp_path_factory.mktemp("agent"))
    live.install()
    yield live
    live.stop()
