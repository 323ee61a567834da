"""Thirty behaviours of the live scheduler, black-box: a process on a real API server with two nodes of eight GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.kube.client import KubeClient
from tests.agent.live import Live
from tests.agent.loops.scenes import (
    NAME,
    SPACE,
    Scene,
    Step,
    at,
    bound,
    config_map,
    cordon,
    delete,
    queue,
    submit,
    told,
    ungate,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
FIRST, SECOND = "sim-001", "sim-002"
ON_SECOND = {"nodeSelector": {"kubernetes.io/hostname": SECOND}}
APART = {
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"workload": "a"}}}
            ]
        }
    }
}
VOLUME = {"volumes": [{"name": "v", "configMap": {"name": "late"}}]}
HALF = {"gpu-fraction": "0.5"}
TEAMS = (queue("d-a", 8), queue("d-b", 8))

CASES: dict[str, tuple[Step, ...]] = {
    "one pod": (submit("a"), bound(a=1)),
    "a gang that fits": (submit("a", 2, gpu=8, minimum=2), bound(a=2)),
    "a gang that does not fit starts in no part": (submit("a", 3, gpu=8, minimum=3), bound(a=0), told("a", "3")),
    "a pod larger than any node": (submit("a", gpu=9), bound(a=0), told("a", "9")),
    "two halves share a device": (submit("f", 15), submit("a", 2, gpu=0, notes=HALF), bound(f=15, a=2)),
    "a fraction above one": (submit("a", gpu=0, notes={"gpu-fraction": "1.5"}), bound(a=0), told("a", "gpu-fraction")),
    "GPU memory that no device has": (submit("a", gpu=0, notes={"gpu-memory": "999999"}), bound(a=0), told("a", "G")),
    "a node selector": (submit("a", 2, **ON_SECOND), bound(a=2), at("a", SECOND)),
    "a selector for no node": (submit("a", nodeSelector={"no": "where"}), bound(a=0), told("a", "node")),
    "anti-affinity": (submit("a", 3, **APART), bound(a=2)),
    "more CPU than a node has": (submit("a", gpu=0, cpu="100"), bound(a=0), told("a", "CPU")),
    "pods of another scheduler wait for it": (submit("a", scheduler="somebody"), submit("b"), bound(a=0, b=1)),
    "what others hold is theirs": (
        submit("f", gpu=8, scheduler="somebody", nodeName=FIRST),
        submit("a", 2, gpu=8),
        bound(f=1, a=1),
        at("f", FIRST),
    ),
    "gated pods wait": (
        submit("a", schedulingGates=[{"name": "example.com/wait"}]),
        submit("b"),
        bound(a=0, b=1),
        ungate("a"),
        bound(a=1),
    ),
    "an unknown queue": (submit("a", queue="d-nobody"), submit("b"), bound(a=0, b=1), told("a", "d-nobody")),
    "a queue that comes late": (submit("a", queue="d-late"), bound(a=0), queue("d-late"), bound(a=1)),
    "a limit": (queue("d-a", limit=2), submit("a", 3, queue="d-a"), bound(a=2)),
    "non-preemptible work stays in quota": (
        queue("d-a", 1),
        submit("a", queue="d-a", priority="build"),
        bound(a=1),
        submit("b", queue="d-a", priority="build"),
        bound(a=1, b=0),
    ),
    "priority preempts": (
        submit("a", gpu=8),
        submit("b", gpu=8),
        bound(a=1, b=1),
        submit("c", gpu=8, priority="build-preemptible"),
        bound(c=1),
    ),
    "equal priority does not": (submit("a", 2, gpu=8), bound(a=2), submit("b", gpu=8), bound(a=2, b=0)),
    "nothing is preempted in vain": (
        submit("a", 2, gpu=8),
        bound(a=2),
        submit("b", 3, gpu=8, minimum=3, priority="build-preemptible"),
        bound(a=2, b=0),
    ),
    "over quota is reclaimed": (
        *TEAMS,
        submit("a", gpu=8, queue="d-a"),
        submit("a2", gpu=8, queue="d-a"),
        bound(a=1, a2=1),
        submit("b", gpu=8, queue="d-b"),
        bound(b=1),
    ),
    "quota is not reclaimed": (
        queue("d-a", 16),
        queue("d-b", 0),
        submit("a", 2, gpu=8, queue="d-a"),
        bound(a=2),
        submit("b", queue="d-b"),
        bound(a=2, b=0),
    ),
    "non-preemptible work is not reclaimed": (
        queue("d-a", 16),
        queue("d-b", 8),
        submit("a", 2, gpu=8, queue="d-a", priority="build"),
        bound(a=2),
        submit("b", queue="d-b"),
        bound(a=2, b=0),
    ),
    "a gang is reclaimed whole": (
        *TEAMS,
        submit("a", 2, gpu=8, minimum=2, queue="d-a"),
        bound(a=2),
        submit("b", gpu=8, queue="d-b"),
        bound(a=0, b=1),
    ),
    "an elastic gang takes what there is": (submit("f", 14), bound(f=14), submit("a", 4, minimum=2), bound(f=14, a=2)),
    "an elastic gang shrinks": (
        *TEAMS,
        submit("a", 4, gpu=4, minimum=1, queue="d-a"),
        bound(a=4),
        submit("b", gpu=8, queue="d-b"),
        bound(a=2, b=1),
    ),
    "room that comes free is used": (
        submit("a", 2, gpu=8),
        bound(a=2),
        submit("b", gpu=8),
        bound(b=0),
        delete("a"),
        bound(b=1),
    ),
    "a waiting pod may go": (submit("a", gpu=9), bound(a=0), delete("a"), submit("b"), bound(b=1)),
    "a cordoned node gets nothing": (
        cordon(FIRST),
        submit("a", 2, gpu=8),
        bound(a=1),
        at("a", SECOND, None),
        cordon(FIRST, False),
        bound(a=2),
    ),
    "a missing ConfigMap": (
        submit("a", gpu=0, **VOLUME),
        bound(a=0),
        told("a", "late"),
        config_map("late"),
        bound(a=1),
    ),
}


@pytest.fixture(scope="module")
def process(live_cluster: Live) -> Iterator[Live]:
    """The scheduler, with the rights of the agent's own account."""
    command = [sys.executable, "-m", "agent", "scheduler", "--scheduler-name", NAME, "--no-leader-election"]
    env = {**os.environ, "KUBECONFIG": live_cluster.account, "RUNAI_AGENT_GPU_RESERVATIONS": "false"}
    with (live_cluster.logs / "scenes.log").open("wb") as log:
        started = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    yield live_cluster
    assert started.poll() is None, (live_cluster.logs / "scenes.log").read_text()[-2000:]
    started.kill()
    started.wait()


@pytest.mark.parametrize("name", CASES)
async def test_behaviour(name: str, process: Live) -> None:
    async with KubeClient.connect(str(process.cluster.kubeconfig)) as kube:
        await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, manager="test")
        scene = Scene(kube)
        await scene.queue("d-scenes-root", parent="")
        await scene.queue("d-scenes-q")
        try:
            for step in CASES[name]:
                await step(scene)
        finally:
            await scene.clear()
