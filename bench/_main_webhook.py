"""The webhook's answers: AdmissionReviews posted to it over TLS, as the API server does, at a steady pace."""

from __future__ import annotations

import asyncio
import base64
import gc
import ssl
import time
import uuid
from typing import Any

import msgspec

from agent.kube.client import KubeClient
from agent.kube.http import Pool
from agent.kube.resources import MUTATING_WEBHOOK
from bench._main_figures import Line, line, spread
from bench._main_memory import pss_mib

Obj = dict[str, Any]
WARM = 20
"""Questions at once beforehand: an API server at work holds connections, and its webhook has run for a while."""
IN_FLIGHT = 64
TARGETS = {"p99": 15.0, "pss_mib": 60.0}


def review(obj: Obj) -> Obj:
    """What the API server asks about a new object of a person."""
    kind = {"group": obj["apiVersion"].rpartition("/")[0], "version": "v1", "kind": obj["kind"]}
    user = {"username": "alice@example.test", "groups": ["system:authenticated"]}
    meta = obj["metadata"]
    asked = {"uid": str(uuid.uuid4()), "kind": kind, "operation": "CREATE", "userInfo": user, "object": obj}
    asked |= {"namespace": meta["namespace"], "name": meta["name"]}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def pod(name: str, namespace: str) -> Obj:
    meta = {"name": name, "namespace": namespace, "annotations": {"gpu-fraction": "0.5"}}
    spec = {"containers": [{"name": "main", "image": "example.local/busybox:1", "command": ["true"]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


async def measure(kube: KubeClient, pid: int, asked: list[Obj], rate: float) -> Line:
    """Open loop: ``rate`` questions a second, by a client that spends little itself. Milliseconds from sending to the
    whole answer, and memory (PSS) of the process after all."""
    client = (await kube.get(MUTATING_WEBHOOK, "runai"))["webhooks"][0]["clientConfig"]
    trust = ssl.create_default_context(cadata=base64.b64decode(client["caBundle"]).decode())
    server, path = client["url"].rsplit("/", 1)
    bodies = [msgspec.json.encode(review(obj)) for obj in asked]
    taken: list[float] = []
    refused = 0

    async def ask(pool: Pool, body: bytes) -> None:
        nonlocal refused
        begun = time.perf_counter()
        answer = await pool.request("POST", f"/{path}", headers={"Content-Type": "application/json"}, body=body)
        taken.append(1000 * (time.perf_counter() - begun))
        refused += not msgspec.json.decode(answer.body)["response"]["allowed"]

    async with Pool(server, trust, limit=IN_FLIGHT, timeout_s=30) as pool:
        await asyncio.gather(*(ask(pool, body) for body in bodies[:WARM]))
        taken.clear()
        gc.collect()
        gc.freeze()  # what this process holds of the loads before is no part of an answer's time
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for index, body in enumerate(bodies):
                await asyncio.sleep(max(0.0, begun + index / rate - time.monotonic()))
                tasks.create_task(ask(pool, body))
        gc.unfreeze()
    figures = {**spread(taken), "refused": refused, "pss_mib": round(pss_mib([pid]), 1)}
    return line("webhook", figures, TARGETS, unit="ms", per_s=rate)
