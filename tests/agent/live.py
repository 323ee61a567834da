"""The agent's roles as processes on a real cluster, with the service account of the manifest; what tests ask."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import install
from agent.kube.client import KubeClient
from agent.kube.errors import NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import NAMESPACE, POD, QUEUE, WORKLOAD
from agent.wire import labels as names
from agent.wire.install import crd_text, render_manifest
from local.kube.cluster import LocalCluster

ROOT = Path(__file__).resolve().parents[2]
FREE = {"deserved": -1, "limit": -1, "overQuotaWeight": 1000}


@dataclass
class Live:
    """A cluster with the platform installed. ``start`` runs roles; every one ends with ``stop``."""

    cluster: LocalCluster
    logs: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    account: str = ""

    def install(self) -> None:
        manifest = render_manifest(
            cluster_id="c",
            cluster_name="test",
            link_url="https://h",
            ca_pem="",
            enrolment_token="t",
            crd_yaml=crd_text(),
        )

        async def apply() -> None:
            async with KubeClient.connect(str(self.cluster.kubeconfig)) as kube:
                await install.install(kube, install.parse(manifest))
                for obj in host_access():
                    await kube.apply(obj, manager="test")

        asyncio.run(apply())
        self.account = str(self.cluster.service_account_kubeconfig("runai", "runai-agent"))

    def start(self, *roles: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.logs / f"agent-{len(self.processes)}.log").open("wb")
        command = [sys.executable, "-m", "agent", *roles]
        env = {**os.environ, "KUBECONFIG": self.account, **environment}
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()

    def connect(self) -> KubeClient:
        return KubeClient.connect(str(self.cluster.kubeconfig))


def host_access() -> list[Obj]:
    """Roles that run on the host reach pods through the API server only."""
    from_host = [{"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["*"]}]
    api, meta = "rbac.authorization.k8s.io", {"name": "local-host-access"}
    role = {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": meta, "rules": from_host}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": meta,
        "subjects": [{"kind": "ServiceAccount", "name": "runai-agent", "namespace": "runai"}],
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "local-host-access"},
    }
    return [role, binding]


async def until(question: Callable[[], Any], within: float = 60.0) -> Any:
    """The first true answer."""
    end = time.monotonic() + within
    while True:
        answer = await question()
        if answer or time.monotonic() > end:
            assert answer, "it did not happen in time"
            return answer
        await asyncio.sleep(0.2)


async def make_project(kube: KubeClient, name: str, **spec: Any) -> str:
    """A project with endless quota and its namespace, ready to use; returns the namespace."""
    quota = {"nodePool": "default", "gpu": FREE, "cpu": FREE, "memory": FREE}
    pools = [quota, {**quota, "nodePool": "simulated"}]
    body = {"id": "1", "displayName": name, "namespace": f"runai-{name}", "department": "", "quotas": pools, **spec}
    obj = {"apiVersion": "run.ai/v1", "kind": "Project", "metadata": {"name": name}, "spec": body}
    await kube.apply(obj, manager="test")

    async def ready() -> bool:
        try:
            await kube.get(NAMESPACE, f"runai-{name}")
            await kube.get(QUEUE, f"{name}.simulated")
        except NotFound:
            return False
        return True

    await until(ready)
    return f"runai-{name}"


def workload(name: str, namespace: str, **spec: Any) -> Obj:
    plain = {"imagePullPolicy": "IfNotPresent", "terminationGracePeriodSeconds": 1}
    body = {"type": "training", "image": "example.local/busybox:1", **plain, **spec}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": meta, "spec": body}


async def status(kube: KubeClient, name: str, namespace: str) -> Obj:
    return dict((await kube.get(WORKLOAD, name, namespace)).get("status") or {})


async def reach(kube: KubeClient, name: str, namespace: str, *phases: str, within: float = 90.0) -> Obj:
    """The workload's status once it is in one of ``phases``; fails with what it says otherwise."""
    end = time.monotonic() + within
    while True:
        found = await status(kube, name, namespace)
        if found.get("phase") in phases:
            return found
        assert time.monotonic() < end, f"{name} is {found.get('phase')}: {found.get('message')}"
        await asyncio.sleep(0.2)


async def log_of(kube: KubeClient, pod: str, namespace: str) -> str:
    chunks = [chunk async for chunk in kube.logs(namespace, pod)]
    return b"".join(chunks).decode()


async def pods_of(kube: KubeClient, namespace: str, workload: str) -> list[Obj]:
    return (await kube.list(POD, namespace, labels=f"run.ai/workload-name={workload}")).items


async def free_devices(live: Live) -> None:
    """No reservation pod holds a device any more: with no scheduler left, nobody else would remove it."""
    async with live.connect() as kube:

        async def gone() -> bool:
            pods = (await kube.list(POD, names.RESERVATION_NAMESPACE)).items
            for pod in pods:
                with contextlib.suppress(NotFound):
                    await kube.delete(POD, pod["metadata"]["name"], names.RESERVATION_NAMESPACE)
            return not pods

        await until(gone)


async def clear(kube: KubeClient, namespace: str) -> None:
    """No workload and no pod is left."""
    for obj in (await kube.list(WORKLOAD, namespace)).items:
        await kube.delete(WORKLOAD, obj["metadata"]["name"], namespace)
    for pod in (await kube.list(POD, namespace)).items:
        if not pod["metadata"].get("ownerReferences"):
            await kube.delete(POD, pod["metadata"]["name"], namespace, grace_s=0)

    async def gone() -> bool:
        return not (await kube.list(POD, namespace)).items

    await until(gone)
