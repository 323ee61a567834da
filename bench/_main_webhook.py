"""The webhook's answers: AdmissionReviews posted to it over TLS, as the API server does, at a steady pace."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
import uuid
from typing import Any

import aiohttp

from agent.kube.client import KubeClient
from agent.kube.resources import MUTATING_WEBHOOK
from bench._main_figures import Line, line, spread
from bench._main_memory import pss_mib

Obj = dict[str, Any]
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
    """Open loop: ``rate`` questions a second. Milliseconds from sending to the whole answer, and memory
    (PSS) of the process after all."""
    client = (await kube.get(MUTATING_WEBHOOK, "runai"))["webhooks"][0]["clientConfig"]
    trust = ssl.create_default_context(cadata=base64.b64decode(client["caBundle"]).decode())
    taken: list[float] = []
    wrong = 0

    async def ask(session: aiohttp.ClientSession, body: Obj) -> None:
        nonlocal wrong
        begun = time.perf_counter()
        async with session.post(client["url"], json=body) as answer:
            found = await answer.json()
        taken.append(1000 * (time.perf_counter() - begun))
        wrong += not found["response"]["allowed"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        for obj in asked[:20]:  # connections and code paths are warm in a process that has run for a while
            await ask(session, review(obj))
        taken.clear()
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for index, obj in enumerate(asked):
                await asyncio.sleep(max(0.0, begun + index / rate - time.monotonic()))
                tasks.create_task(ask(session, review(obj)))
    figures = {**spread(taken), "refused": wrong, "pss_mib": round(pss_mib([pid]), 1)}
    return line("webhook", figures, TARGETS, unit="ms", per_s=rate)
