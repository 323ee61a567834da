"""The check before an install: every missing prerequisite is named with its remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.diagnose import diagnose
from agent.operator.prerequisites import Cluster, findings, report

READY = {"type": "Ready", "status": "True"}


def node(gpus: str = "8", ready: bool = True) -> dict[str, Any]:
    condition = READY if ready else {"type": "Ready", "status": "False"}
    return {"metadata": {"name": "n"}, "status": {"conditions": [condition], "allocatable": {"nvidia.com/gpu": gpus}}}


DEFAULT_CLASS = {"metadata": {"name": "s", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
EXPORTER = {"metadata": {"labels": {"app": "nvidia-dcgm-exporter"}}}
GOOD = Cluster("v1.34.4", [node()], [DEFAULT_CLASS], [EXPORTER], "Active", link_error="")


def test_a_good_cluster_lacks_nothing():
    assert all(item.ok and not item.remedy for item in findings(GOOD))


@pytest.mark.parametrize(
    ("fault", "name", "remedy"),
    [
        ({"version": "v1.20.1"}, "Kubernetes version", "upgrade"),
        ({"nodes": [node(ready=False)]}, "Ready nodes", "kubelet"),
        ({"refused": ["create namespaces"]}, "Rights to install", "cluster-admin"),
        ({"namespace_phase": "Terminating"}, "Namespace", "finalizers"),
        ({"foreign_definitions": ["queues.scheduling.run.ai"]}, "Definitions", "uninstall"),
        ({"link_error": "refused"}, "Control plane", "HTTPS"),
        ({"nodes": [node(gpus="0")]}, "GPUs", "GPU Operator"),
        ({"pods": []}, "DCGM exporter", "DCGM exporter"),
        ({"storage_classes": []}, "Default StorageClass", "default"),
    ],
)
def test_a_fault_is_named_with_its_remedy(fault, name, remedy):
    missing = [item for item in findings(replace(GOOD, **fault)) if not item.ok]
    assert [item.name for item in missing] == [name]
    assert remedy in missing[0].remedy
    assert f"remedy: {missing[0].remedy}" in report(missing)


@pytest.mark.cluster
async def test_on_a_real_cluster(live_cluster):
    async with live_cluster.connect() as kube:
        by_name = {item.name: item for item in await diagnose(kube)}
    assert by_name["Kubernetes version"].ok
    assert by_name["Rights to install"].ok
    assert not by_name["Control plane"].ok
    assert "https://h" in by_name["Control plane"].message
