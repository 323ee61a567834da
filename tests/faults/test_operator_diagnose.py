"""``python -m agent diagnose`` on a cluster with seeded faults: each is named with its remedy, and the exit status says
that something required is missing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.kube.client import KubeClient
from agent.kube.errors import NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import CONFIG_MAP, CRD, NAMESPACE, NODE
from tests.agent.live import ROOT, until
from tests.faults.operator_world import Plant

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]


def diagnose(kubeconfig: Path | str) -> tuple[int, str]:
    env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    argv = [sys.executable, "-m", "agent", "diagnose"]
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def remedy(report: str, name: str) -> str:
    """The remedy below the finding of that name; empty where it is not missing."""
    lines = report.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if name in line and "remedy:" in following:
            return following.split("remedy:")[1].strip()
    return ""


async def test_five_seeded_faults_are_named_with_their_remedies(plant: Plant) -> None:
    async with plant.connect() as kube:
        _, before = diagnose(plant.cluster.kubeconfig)
        assert "HTTPS" in remedy(before, "Control plane"), before  # the manifest of the tests names no real one
        for name in ("Ready nodes", "Namespace", "Definitions", "Rights to install"):
            assert remedy(before, name) == "", before

        nodes = (await kube.list(NODE)).items
        try:
            await foreign_definition(kube, "kai")
            await no_nodes(kube)
            await leaving_namespace(kube)
            code, report = diagnose(plant.cluster.kubeconfig)
        finally:
            await mend(plant, kube, nodes)
    assert code == 1, report
    assert "uninstall" in remedy(report, "Definitions"), report
    assert "kubelet" in remedy(report, "Ready nodes"), report
    assert "GPU Operator" in remedy(report, "GPUs"), report
    assert "finalizers" in remedy(report, "Namespace"), report


async def test_a_user_without_rights_is_told_so(plant: Plant) -> None:
    code, report = diagnose(plant.cluster.service_account_kubeconfig("default", "nobody"))
    assert code == 1, report
    assert "cluster-admin" in remedy(report, "Rights to install"), report


async def mend(plant: Plant, kube: KubeClient, nodes: list[Obj]) -> None:
    """The cluster as it was: others use it too."""
    await kube.patch(CONFIG_MAP, "holds", "runai", body={"metadata": {"finalizers": []}})
    await until(lambda: _gone(kube))
    await asyncio.to_thread(plant.install)
    await foreign_definition(kube, None)
    for node in nodes:
        for key in ("resourceVersion", "uid", "creationTimestamp"):
            node["metadata"].pop(key)
        await kube.create(node)


async def _gone(kube: KubeClient) -> bool:
    try:
        await kube.get(NAMESPACE, "runai")
    except NotFound:
        return True
    return False


async def foreign_definition(kube: KubeClient, owner: str | None) -> None:
    """As KAI's chart would have installed it; None: ours again."""
    meta: Obj = {"annotations": {"meta.helm.sh/release-name": owner}}
    meta |= {"labels": {"app.kubernetes.io/part-of": owner}} if owner else {}
    await kube.patch(CRD, "queues.scheduling.run.ai", body={"metadata": meta})


async def no_nodes(kube: KubeClient) -> None:
    for node in (await kube.list(NODE)).items:
        await kube.delete(NODE, node["metadata"]["name"])


async def leaving_namespace(kube: KubeClient) -> None:
    """It is deleted, and something in it does not let go."""
    meta: Obj = {"name": "holds", "namespace": "runai", "finalizers": ["example.test/holds"]}
    await kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    await kube.delete(NAMESPACE, "runai")

    async def going() -> bool:
        try:
            return bool((await kube.get(NAMESPACE, "runai"))["status"].get("phase") == "Terminating")
        except NotFound:
            return False

    await until(going)
