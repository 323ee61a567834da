"""The operator as a process on a real API server: killed again and again, it makes every pod once and the real
definitions take all that it writes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import install
from agent.kube.client import KubeClient
from agent.kube.errors import NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import CLUSTER_ROLE, NAMESPACE, POD, PROJECT, QUEUE, ROLE, WORKLOAD
from agent.loops.reconcile_operands import missing_rights
from agent.wire.install import agent_rules, crd_text, render_manifest
from tests.agent.operator.operating import namespace, project, workload

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[3]
COUNT = 12
FACTS = {"cluster_id": "c", "cluster_name": "t", "link_url": "https://h", "ca_pem": "", "enrolment_token": "t"}


def start(kubeconfig: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent", "operator"],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": kubeconfig},
        stdout=subprocess.DEVNULL,
    )


async def until(what: Any, seconds: float = 60.0) -> Any:
    """The first true answer of ``what``, asked ten times a second."""
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.1)
    return found


async def test_killed_at_any_time_it_makes_every_pod_once_and_clears_up(kube_cluster):
    kubeconfig = str(kube_cluster.kubeconfig)
    async with KubeClient.connect(kubeconfig) as kube:
        await install.install_definitions(kube)
        for obj in (namespace("runai"), project("killed")):
            await kube.apply(obj, manager="test")
        process = start(kubeconfig)
        try:
            await until(lambda: ready(kube))
            for index in range(COUNT):
                await kube.create(workload(f"w{index}", "runai-killed", nodePools=["default"]))
                if index % 4 == 3:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    process = start(kubeconfig)
            names = await until(lambda: all_told(kube))
            assert names == sorted(f"w{index}-0" for index in range(COUNT))
            assert (await kube.get(QUEUE, "killed"))["spec"]["resources"]["gpu"]["quota"] == 2
            await kube.delete(PROJECT, "killed")
            await until(lambda: gone(kube))
        finally:
            process.kill()
            process.wait()


LESS = {
    "everywhere": ("ClusterRole", "runai-agent", None, "pods"),
    "in its namespace": ("Role", "runai-agent", "runai", "secrets in namespace runai"),
    "for people": ("ClusterRole", "runai-researcher", None, "in ClusterRole runai-researcher"),
}


@pytest.mark.parametrize(("kind", "name", "space", "says"), LESS.values(), ids=list(LESS))
async def test_rights_that_the_installation_lacks_are_named(kube_cluster, kind, name, space, says):
    """Asked with the agent's own account; the manifest is applied again afterwards."""
    manifest = install.parse(render_manifest(**FACTS, crd_yaml=crd_text()))
    async with KubeClient.connect(str(kube_cluster.kubeconfig)) as admin:
        await install.install(admin, manifest)
        account = str(kube_cluster.service_account_kubeconfig("runai", "runai-agent"))
        async with KubeClient.connect(account) as kube:

            async def complains() -> bool:
                return says in await missing_rights(kube)

            async def content() -> bool:
                return await missing_rights(kube) == ""

            await until(content)
            few: list[Obj] = [{"apiGroups": [""], "resources": ["events"], "verbs": ["get"]}]
            if name == "runai-agent" and kind == "ClusterRole":
                few += [rule for rule in agent_rules() if "pods" not in rule["resources"]]
            try:
                await admin.patch(ROLE if space else CLUSTER_ROLE, name, space, body={"rules": few})
                await until(complains)
            finally:
                await install.install(admin, manifest)
            await until(content)


async def ready(kube: KubeClient) -> bool:
    found: Obj = await kube.get(PROJECT, "killed")
    return bool((found.get("status") or {}).get("phase") == "Ready")


async def all_told(kube: KubeClient) -> list[str]:
    """Names of the pods, once every workload has a phase."""
    workloads = (await kube.list(WORKLOAD, "runai-killed")).items
    if not all((item.get("status") or {}).get("phase") == "Pending" for item in workloads):
        return []
    return sorted(pod["metadata"]["name"] for pod in (await kube.list(POD, "runai-killed")).items)


async def gone(kube: KubeClient) -> bool:
    try:
        await kube.get(NAMESPACE, "runai-killed")
    except NotFound:
        return "killed" not in [queue["metadata"]["name"] for queue in (await kube.list(QUEUE)).items]
    return False
