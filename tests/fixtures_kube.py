"""Pytest fixtures of local Kubernetes clusters, loaded by ``pytest_plugins``: real API servers, one a session and kind.

``kube_cluster``: API server with two KWOK nodes. ``node_cluster``: with a node that runs containers, skipped with the
reason where the machine cannot. A supervisor runs the processes; its reaper cleans up should pytest be killed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kube import packages
from local.kube.api import Api
from local.kube.binaries import CONTROL_PLANE, NODE, ensure
from local.kube.cluster import LocalCluster
from local.kube.errors import KubeError
from local.supervisor import Supervisor


def say(sentence: str) -> None:
    """Past pytest's capture: the first build takes minutes, and silence looks like a hang."""
    print(sentence, file=sys.__stderr__, flush=True)


def make_cluster(directory: Path, *, nodes: int = 2, gpus: int = 8, real_node: bool = False) -> LocalCluster:
    """A cluster that is not started yet; its programs are built where they are missing, or the test is skipped."""
    try:
        binaries = ensure(say, (*CONTROL_PLANE, *(NODE if real_node else ())))
    except KubeError as error:
        pytest.skip(f"no Kubernetes here: {error}")
    return LocalCluster("test", 100, directory, nodes, gpus, real_node, binaries)


def running(real_node: bool) -> Iterator[LocalCluster]:
    """A cluster in a fresh directory, run by a supervisor, gone without a trace at the end."""
    directory = Path(tempfile.mkdtemp(prefix="runai-kube-"))
    cluster = make_cluster(directory / "cluster", real_node=real_node)
    cluster.prepare()
    supervisor = Supervisor(directory, say=lambda line: None)
    try:
        clean_up = [sys.executable, "-m", "local.kube", "down", "--dir", str(cluster.dir)]
        specs = cluster.processes()
        supervisor.add(specs, cleanup=[clean_up])
        supervisor.wait_ready([spec.name for spec in specs])
        cluster.after_start()
        yield cluster
    finally:
        supervisor.stop()
        cluster.teardown()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def kube_cluster() -> Iterator[LocalCluster]:
    """A real API server, controller manager and two KWOK nodes ``sim-001`` and ``sim-002`` of 8 GPUs."""
    yield from running(real_node=False)


@pytest.fixture(scope="session")
def kube_api(kube_cluster: LocalCluster) -> Api:
    """The administrator's client of ``kube_cluster``."""
    return Api(kube_cluster.kubeconfig)


@pytest.fixture(scope="session")
def node_cluster() -> Iterator[LocalCluster]:
    """As ``kube_cluster``, with the real node ``node-1`` of 8 simulated GPUs."""
    if why := packages.refusal():
        pytest.skip(why)
    yield from running(real_node=True)


@pytest.fixture(scope="session")
def node_api(node_cluster: LocalCluster) -> Api:
    """The administrator's client of ``node_cluster``."""
    return Api(node_cluster.kubeconfig)
