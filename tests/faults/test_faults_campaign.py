"""Kills at random moments, whatever state a process is in, with four clients at once: every workload runs once.

On simulated nodes, so it runs on every machine; the long form has more seeds and real containers. That nothing was made
twice is read from the API server's audit log: a pod that was created and removed again would be there.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from local.files import read_json
from tests.faults.test_faults_kills import body, insist, wait_completed
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
CLIENTS, EACH, ROUNDS = 4, 5, 2
PAUSE_S = 3.0
"""Between a POST and its repetition: long enough for something to die meanwhile."""
VICTIMS = ("web", "web's child", "link", "worker", "beat", "cluster-1.agent", "valkey", "FLUSHALL")
LONG_SEEDS = [pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12)]


class Chaos(threading.Thread):
    """Every victim is struck twice, in an order and at moments that the seed says; also while it is still starting."""

    def __init__(self, stack: RunningStack, seed: int) -> None:
        super().__init__(daemon=True)
        self.stack, self.dice, self.enough = stack, random.Random(seed), threading.Event()
        self.done: Counter[str] = Counter()
        parts = urlsplit(stack.facts["redis"])
        self.address = {"host": parts.hostname or "", "port": parts.port or 6379}

    def run(self) -> None:
        for _ in range(ROUNDS):
            for name in self.dice.sample(VICTIMS, len(VICTIMS)):
                if self.enough.wait(self.dice.uniform(0.2, 2.0)):
                    return
                with suppress(OSError, redis.RedisError, StopIteration, IndexError):
                    self.strike(name)
                    self.done[name] += 1

    def strike(self, name: str) -> None:
        if name == "FLUSHALL":
            redis.Redis(**self.address).flushall()
        elif name == "web's child":
            pid = self.pid("web")
            os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), signal.SIGKILL)
        else:
            os.kill(self.pid(name), signal.SIGKILL)

    def pid(self, name: str) -> int:
        state = read_json(self.stack.directory / "state.json") or {"processes": []}
        return next(int(item["pid"]) for item in state["processes"] if item["name"] == name and item["pid"])


def submit_some(stack: RunningStack, names: list[str], spec: dict[str, Any]) -> dict[str, str]:
    """One client: each POST is repeated with its key until it is answered, and once more after that."""
    ids = {}
    cluster = stack.facts["cluster"]["uuid"]
    with insist(stack.rest) as rest:
        found = insist(lambda: rest.get("/org-unit/projects", filterBy=f"name==vision,clusterId=={cluster}"))
        for name in names:
            wanted = body(name, str(found["projects"][0]["id"]), cluster)
            wanted["spec"] |= spec

            def post(wanted: dict[str, Any] = wanted) -> Any:
                return rest.post("/workloads/trainings", wanted, key=wanted["name"]).json()["workloadId"]

            ids[name] = insist(post)
            time.sleep(PAUSE_S)
            assert insist(post) == ids[name]
    return ids


def submit_all(stack: RunningStack, prefix: str, spec: dict[str, Any]) -> dict[str, str]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [
            pool.submit(submit_some, stack, [f"{prefix}-{client}-{number}" for number in range(EACH)], spec)
            for client in range(CLIENTS)
        ]
        return {name: one for job in jobs for name, one in job.result().items()}


def pods_created(stack: RunningStack, prefix: str) -> Counter[str]:
    """How many pods were ever created for each workload of this run, as the API server wrote down."""
    log = Path(stack.facts["clusters"][0]["audit_log"])
    with log.open() as lines:
        return Counter(
            made["metadata"]["labels"]["run.ai/workload-name"]
            for line in lines
            if prefix in line
            for made in _created(json.loads(line))
        )


def _created(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    of_pods = entry["objectRef"]["resource"] == "pods" and not entry["objectRef"].get("subresource")
    if entry["verb"] == "create" and of_pods and entry.get("responseStatus", {}).get("code") == 201:
        yield entry["requestObject"]


def survive(stack: RunningStack, seed: int, prefix: str, spec: dict[str, Any]) -> dict[str, str]:
    """Ids of all workloads, Completed, each one row and one pod."""
    chaos = Chaos(stack, seed)
    chaos.start()
    try:
        ids = submit_all(stack, prefix, spec)
    except BaseException:
        chaos.enough.set()
        raise
    chaos.join(60)
    assert chaos.done.total() >= len(VICTIMS), chaos.done
    assert wait_completed(stack, ids, 240) == dict.fromkeys(ids, "Completed"), chaos.done
    with stack.rest() as rest:
        rows = insist(lambda: rest.get("/workloads", filterBy=f"name=^{prefix}", limit=500))["workloads"]
    assert sorted(row["name"] for row in rows) == sorted(ids)
    assert pods_created(stack, prefix) == dict.fromkeys(ids, 1), chaos.done
    return ids


@pytest.mark.parametrize("seed", [1, *LONG_SEEDS])
def test_simulated_workloads_run_once_each(stack: RunningStack, seed: int) -> None:
    spec = {
        "nodePools": ["simulated"],
        "annotations": [{"name": "local.run.ai/run-seconds", "value": "1"}],
        "compute": {"gpuDevicesRequest": 1},
    }
    survive(stack, seed, f"chaos-{os.getpid()}-{seed}", spec)


@pytest.mark.long
@pytest.mark.node
@pytest.mark.usefixtures("real_node")
@pytest.mark.parametrize("seed", range(101, 106))
def test_real_containers_leave_one_line_each(stack: RunningStack, seed: int) -> None:
    ids = survive(stack, seed, f"chaos-{os.getpid()}-{seed}", {})
    logs = {
        name: stack.kubectl("logs", "-n", "runai-vision", "-l", f"run.ai/workload-name={name}").stdout for name in ids
    }
    assert logs == {name: f"MARKER {name}\n" for name in ids}
