"""kill -9 of web, link, worker, beat and agent (with its scheduler) while a client submits: all once, nothing lost.

The client repeats every request with its Idempotency-Key until it is answered. Each workload must be one row, one pod,
one marker line in its log, and reach Completed; the same while Redis is emptied again and again.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from local.files import read_json
from local.rest import RestError
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.node, pytest.mark.usefixtures("real_node"), pytest.mark.timeout(900)]
COUNT = 20
PLAN = ("web", "link", "worker", "cluster-1.agent", "beat") * 2


def body(name: str, project: str, cluster: str) -> dict[str, Any]:
    compute = {"gpuDevicesRequest": 1, "gpuRequestType": "portion", "gpuPortionRequest": 0.2, "cpuCoreRequest": 0.02}
    spec = {
        "image": "example.local/busybox:1",
        "command": "sh -c",
        "args": f"'echo MARKER {name}; sleep 1'",
        "compute": {**compute, "cpuMemoryRequest": "16Mi"},
    }
    return {"name": name, "projectId": project, "clusterId": cluster, "spec": spec}


def insist(call: Callable[[], Any], seconds: float = 120) -> Any:
    """Repeat until it is answered, as a stubborn client does; a refusal (4xx) is an answer and is raised."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except (RestError, httpx.HTTPError) as error:
            if getattr(error, "status", 0) in range(400, 500) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def submit_all(stack: RunningStack, prefix: str, killer: "Killer") -> dict[str, str]:
    """Names to ids of ``COUNT`` workloads, each POSTed with a key of its own and then once more, between the kills."""
    ids = {}
    with stack.rest() as rest:
        cluster = stack.facts["cluster"]["uuid"]
        project = insist(lambda: rest.get("/org-unit/projects", filterBy=f"name==vision,clusterId=={cluster}"))
        for number in range(COUNT):
            wanted = body(f"{prefix}-{number:02d}", str(project["projects"][0]["id"]), cluster)

            def post(wanted: dict[str, Any] = wanted) -> Any:
                return rest.post("/workloads/trainings", wanted, key=wanted["name"]).json()["workloadId"]

            killer.wait_for(number * len(PLAN) // COUNT)
            ids[wanted["name"]] = insist(post)
            assert insist(post) == ids[wanted["name"]]
    return ids


class Killer(threading.Thread):
    """Kills the processes of ``PLAN`` in turn, each once it is ready, and empties Redis each time if asked."""

    def __init__(self, stack: RunningStack, *, flush: bool) -> None:
        super().__init__(daemon=True)
        self.stack, self.flush, self.kills = stack, flush, 0
        parts = urlsplit(stack.facts["redis"])
        self.store = redis.Redis(host=parts.hostname or "", port=parts.port or 6379)

    def run(self) -> None:
        for name in PLAN:
            os.kill(self._ready(name), signal.SIGKILL)
            if self.flush:
                self.store.flushall()
            self.kills += 1
            time.sleep(0.7)

    def _ready(self, name: str) -> int:
        while True:
            state = read_json(self.stack.directory / "state.json") or {"processes": []}
            for process in state["processes"]:
                if process["name"] == name and process["phase"] == "ready":
                    return int(process["pid"])
            time.sleep(0.1)

    def wait_for(self, kills: int) -> None:
        while self.kills < kills and self.is_alive():
            time.sleep(0.05)


def wait_completed(stack: RunningStack, ids: dict[str, str], seconds: float) -> dict[str, str]:
    """Phase of each workload once all are Completed, or when the time is over."""
    deadline = time.monotonic() + seconds
    with stack.rest() as rest:
        while True:
            phases = {name: insist(lambda one=one: rest.get(f"/workloads/{one}"))["phase"] for name, one in ids.items()}
            if set(phases.values()) == {"Completed"} or time.monotonic() > deadline:
                return phases
            time.sleep(1)


@pytest.mark.parametrize("flush", [False, True], ids=["kills", "kills-and-flushall"])
def test_nothing_is_lost_and_nothing_runs_twice(stack: RunningStack, flush: bool) -> None:
    prefix = f"kill-{os.getpid()}-{'f' if flush else 'k'}"
    killer = Killer(stack, flush=flush)
    killer.start()
    ids = submit_all(stack, prefix, killer)
    killer.join(60)
    assert killer.kills == len(PLAN)

    assert wait_completed(stack, ids, 240) == dict.fromkeys(ids, "Completed")
    with stack.rest() as rest:
        rows = insist(lambda: rest.get("/workloads", filterBy=f"name=^{prefix}", limit=500))["workloads"]
    assert sorted(row["name"] for row in rows) == sorted(ids)
    pods = json.loads(stack.kubectl("get", "pods", "-n", "runai-vision", "-o", "json").stdout)["items"]
    runs = {name: [pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith(name)] for name in ids}
    assert {name: len(found) for name, found in runs.items()} == dict.fromkeys(ids, 1)
    logs = {name: stack.kubectl("logs", "-n", "runai-vision", found[0]).stdout for name, found in runs.items()}
    assert logs == {name: f"MARKER {name}\n" for name in ids}
