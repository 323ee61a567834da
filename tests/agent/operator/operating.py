"""An operator on a Kubernetes in memory, and the objects that tests put there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent.config import Settings
from agent.kube.resources import POD, WORKLOAD
from agent.kube.watch import Informers
from agent.loops import first_news
from agent.loops.context import Context, RoleState
from agent.loops.operator import Operator
from tests.agent.fake_kube import FakeKube


@asynccontextmanager
async def operating(kube: FakeKube, first_news_s: float = 0.0) -> AsyncIterator[Operator]:
    """A running operator; another one may run on the same ``kube`` afterwards, as after a kill. It speaks at once."""
    patience, first_news.FIRST_NEWS_S = first_news.FIRST_NEWS_S, first_news_s
    informers = Informers(kube)
    operator = Operator(Context("operator", kube, informers, Settings(), RoleState("operator")))
    task = asyncio.create_task(operator.run())
    try:
        await informers.synced()
        await operator.settle()
        yield operator
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await informers.close()
        first_news.FIRST_NEWS_S = patience


def project(name: str = "vision", **spec: Any) -> dict[str, Any]:
    quota = {"nodePool": "default", "gpu": {"deserved": 2000, "limit": -1, "overQuotaWeight": 1000}}
    body = {"id": "1", "displayName": name, "namespace": f"runai-{name}", "department": "", "quotas": [quota], **spec}
    return {"apiVersion": "run.ai/v1", "kind": "Project", "metadata": {"name": name}, "spec": body}


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def definition() -> dict[str, Any]:
    meta = {"name": "projects.run.ai"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta}


def workload(name: str = "hello", namespace: str = "runai-vision", **spec: Any) -> dict[str, Any]:
    body = {"type": "training", "image": "example.local/busybox:1", **spec}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": meta, "spec": body}


def pods(kube: FakeKube) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in kube.all(POD))


def status(kube: FakeKube, name: str = "hello") -> dict[str, Any]:
    return next(obj.get("status", {}) for obj in kube.all(WORKLOAD) if obj["metadata"]["name"] == name)


async def play(kube: FakeKube, name: str, namespace: str = "runai-vision", **status: Any) -> None:
    """What scheduler and kubelet would write on a pod."""
    await kube.patch(POD, name, namespace, body={"status": status}, subresource="status")


def ended(code: int, reason: str = "", *, at: str = "2026-01-01T00:00:10Z") -> dict[str, Any]:
    """Container statuses of a pod that ran for ten seconds."""
    why = reason or ("Completed" if code == 0 else "Error")
    state = {"exitCode": code, "reason": why, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": at}
    statuses = [{"name": "main", "ready": False, "restartCount": 0, "state": {"terminated": state}}]
    return {"phase": "Succeeded" if code == 0 else "Failed", "containerStatuses": statuses}


def running() -> dict[str, Any]:
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "state": state}],
    }
