"""From REST submit to a bound pod and a started container: submits at a steady pace, pods watched meanwhile.

Open loop: each POST leaves at its own time, whether or not the ones before are answered. All times are of one monotonic
clock in one process: before a POST is sent, and when the watch delivers the pod's change.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from agent.kube.client import KubeClient
from agent.kube.resources import POD
from agent.wire.labels import WORKLOAD_NAME
from bench._main_figures import Line, line, spread
from bench._main_stack import Target

PROJECT, NAMESPACE = "vision", "runai-vision"
PATIENCE_S = 60.0
TARGETS = {"p50": 700.0, "p99": 2000.0}


@dataclass(frozen=True)
class Load:
    """``count`` workloads at ``rate`` a second; ``spec`` is what differs between kinds of nodes."""

    nodes: str
    count: int
    rate: float
    spec: dict[str, Any]


SIMULATED = {
    "nodePools": ["simulated"],
    "compute": {"gpuDevicesRequest": 1},
    "annotations": [{"name": "local.run.ai/run-seconds", "value": "1"}],
}
REAL = {
    "command": "sh",
    "args": "-c true",
    "compute": {"gpuDevicesRequest": 1, "gpuRequestType": "portion", "gpuPortionRequest": 0.05,
                "cpuCoreRequest": 0.01, "cpuMemoryRequest": "8Mi"},
}  # fmt: skip


@dataclass
class Marks:
    """Monotonic seconds of what happened to one workload."""

    sent: float = 0.0
    answered: float | None = None
    created: float | None = None
    bound: float | None = None
    started: float | None = None


@dataclass
class Watched:
    """Marks by workload name, filled by the watch and by the submits."""

    marks: dict[str, Marks] = field(default_factory=dict)

    def see(self, pod: dict[str, Any], now: float) -> None:
        marks = self.marks.get(pod["metadata"].get("labels", {}).get(WORKLOAD_NAME, ""))
        if marks is None:
            return
        marks.created = marks.created or now
        if pod["spec"].get("nodeName"):
            marks.bound = marks.bound or now
        if any(_has_started(item) for item in pod.get("status", {}).get("containerStatuses") or ()):
            marks.started = marks.started or now

    def missing(self) -> list[str]:
        return [name for name, marks in self.marks.items() if marks.started is None]


def _has_started(status: dict[str, Any]) -> bool:
    return bool({"running", "terminated"} & set(status.get("state") or ()))


def measure(target: Target, load: Load) -> list[Line]:
    """Lines ``submit_to_accepted``, ``…_bound`` and ``…_started``, in milliseconds since the POST was sent."""
    watched = asyncio.run(_run(target, load))
    facts = {"nodes": load.nodes, "per_s": load.rate}
    lines = []
    for what, limits in (("answered", None), ("created", None), ("bound", TARGETS), ("started", None)):
        taken = [
            1000 * (at - marks.sent) for marks in watched.marks.values() if (at := getattr(marks, what)) is not None
        ]
        lost = load.count - len(taken)
        lines.append(line(f"submit_to_{what}", {**spread(taken), "lost": lost}, limits, unit="ms", **facts))
    return lines


async def _run(target: Target, load: Load) -> Watched:
    watched, prefix = Watched(), f"bench-{secrets.token_hex(3)}"
    with target.rest() as rest:
        cluster = target.facts["cluster"]["uuid"]
        found = rest.get("/org-unit/projects", filterBy=f"name=={PROJECT},clusterId=={cluster}")["projects"]
        token = rest.token()
    body = {"projectId": str(found[0]["id"]), "clusterId": cluster}
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=64)
    async with (
        KubeClient.connect(target.facts["kubeconfig"], user_agent="runai-bench") as kube,
        httpx.AsyncClient(
            base_url=target.facts["api"], headers=headers, timeout=30, limits=limits, trust_env=False
        ) as http,
    ):
        listing = await kube.list(POD, NAMESPACE)
        watching = asyncio.create_task(_watch(kube, listing.resource_version, watched))
        ids = await _submit(http, load, body, prefix, watched)
        deadline = time.monotonic() + PATIENCE_S
        while watched.missing() and time.monotonic() < deadline and not watching.done():
            await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await _delete(http, ids)
    return watched


async def _watch(kube: KubeClient, version: str, watched: Watched) -> None:
    async for event in kube.watch(POD, NAMESPACE, resource_version=version):
        if event.type in ("ADDED", "MODIFIED"):
            watched.see(event.object, time.monotonic())


async def _submit(
    http: httpx.AsyncClient, load: Load, body: dict[str, Any], prefix: str, watched: Watched
) -> list[str]:
    """Ids of those that were accepted."""
    begun, jobs = time.monotonic() + 0.2, []
    for number in range(load.count):
        name = f"{prefix}-{number:03d}"
        spec = {"image": "example.local/busybox:1", "backoffLimit": 0, **load.spec}
        await asyncio.sleep(max(0.0, begun + number / load.rate - time.monotonic()))
        jobs.append(asyncio.create_task(_post(http, {"name": name, **body, "spec": spec}, watched)))
    return [one for one in await asyncio.gather(*jobs) if one]


async def _post(http: httpx.AsyncClient, body: dict[str, Any], watched: Watched) -> str:
    marks = watched.marks.setdefault(body["name"], Marks(sent=time.monotonic()))
    try:
        answer = await http.post(
            "/api/v1/workloads/trainings", json=body, headers={"Idempotency-Key": uuid.uuid4().hex}
        )
        answer.raise_for_status()
    except httpx.HTTPError:
        return ""
    marks.answered = time.monotonic()
    return str(answer.json()["workloadId"])


async def _delete(http: httpx.AsyncClient, ids: Sequence[str]) -> None:
    """Leave the cluster as it was; gently, one after the other."""
    for one in ids:
        await http.delete(f"/api/v1/workloads/trainings/{one}")
