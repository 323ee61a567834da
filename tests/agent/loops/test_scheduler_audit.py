"""Faults under which the API server's audit log must stay clean: no pod bound twice, no node over capacity, no stranger
touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.kube.client import KubeClient
from tests.agent.live import Live
from tests.agent.loops.scenes import NAME, SPACE, Scene

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
GPUS = 8


def entries(log: Path, since: int) -> Iterator[dict[str, Any]]:
    """What was written to pods of the scenes after ``since`` bytes of the log, successful ones only."""
    with log.open("rb") as lines:
        lines.seek(since)
        for line in lines:
            entry = json.loads(line)
            target = entry.get("objectRef") or {}
            if target.get("namespace") == SPACE and (entry.get("responseStatus") or {}).get("code", 0) < 300:
                yield entry


def faults(log: Path, since: int, strangers: set[str]) -> list[str]:
    """Broken invariants, in words."""
    binds: Counter[str] = Counter()
    nodes: Counter[str] = Counter()
    found: list[str] = []
    for entry in entries(log, since):
        target = entry["objectRef"]
        ours = "runai-agent" in entry["user"]["username"]
        if ours and target["name"] in strangers:
            found.append(f"{entry['verb']} of the stranger {target['name']}")
        if target.get("subresource") == "binding":
            body = entry["requestObject"]
            binds[target["name"]] += 1
            nodes[body["target"]["name"]] += 1
    found += [f"{name} was bound {count} times" for name, count in binds.items() if count > 1]
    found += [f"{name} got {count} GPUs" for name, count in nodes.items() if count > GPUS]
    return found


def start(live: Live, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "agent", "scheduler", "--scheduler-name", NAME, *flags]
    env = {**os.environ, "KUBECONFIG": live.account, "RUNAI_AGENT_GPU_RESERVATIONS": "false"}
    log = (live.logs / f"audit-{len(live.processes)}.log").open("wb")
    live.processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
    return live.processes[-1]


async def all_bound(scene: Scene, count: int) -> None:
    deadline = time.monotonic() + 60
    while sum((await scene.counts()).values()) < count:
        assert time.monotonic() < deadline, f"bound {await scene.counts()}"


@pytest.mark.parametrize("fault", ["kill -9 in the middle", "two at once"])
async def test_the_audit_log_is_clean(fault: str, live_cluster: Live) -> None:
    log = live_cluster.cluster.audit_log
    since = log.stat().st_size if log.exists() else 0
    both = fault.startswith("two")
    async with KubeClient.connect(str(live_cluster.cluster.kubeconfig)) as kube:
        await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, manager="test")
        scene = Scene(kube)
        await scene.queue("d-scenes-root", parent="")
        await scene.queue("d-scenes-q")
        first = start(live_cluster)
        if both:
            start(live_cluster)
        try:
            await scene.submit("stranger", scheduler="somebody")
            await scene.submit("single", 4)
            await scene.submit("gang", 6, minimum=6)
            if not both:
                os.kill(first.pid, signal.SIGKILL)
                start(live_cluster)
            await scene.submit("more", 6)
            await all_bound(scene, 16)
            time.sleep(0.5)  # the log is written a moment later
            assert faults(log, since, {"stranger-0"}) == []
            bound = sum(1 for entry in entries(log, since) if entry["objectRef"].get("subresource") == "binding")
            assert bound == 16
        finally:
            live_cluster.stop()
            await scene.clear()
