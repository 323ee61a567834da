"""Claims that a workload brings, on a real API server, by the agent's account with the rights that the chart gives."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.kube.client import KubeClient
from agent.kube.errors import Forbidden
from agent.kube.protocol import Obj
from agent.kube.resources import PERSISTENT_VOLUME_CLAIM, WORKLOAD
from local.kube.binaries import ensure
from tests.agent.live import ROOT, clear, make_project, pods_of, reach, until, workload
from tests.fixtures_kube import say

pytestmark = pytest.mark.cluster
CHART = ROOT / "deploy" / "charts" / "runai-cluster"
RIGHTS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
CLASS = "shelf"


def rights() -> list[Obj]:
    """What the chart, as helm renders it, allows to whom."""
    helm = str(ensure(say, ("helm",))["helm"])
    argv = [helm, "template", "runai", str(CHART), "-n", "runai", "--kube-version", "1.34.0"]
    text = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
    found = [obj for obj in yaml.safe_load_all(text) if obj and obj["kind"] in RIGHTS]
    assert {obj["kind"] for obj in found} == set(RIGHTS)
    return found


def volume(name: str, mib: int) -> Obj:
    """A disk for whoever claims one of the class."""
    spec = {"capacity": {"storage": f"{mib}Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": CLASS}
    spec |= {"hostPath": {"path": str(Path("/", "mnt", name))}, "persistentVolumeReclaimPolicy": "Retain"}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def kube(live_cluster):
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": CLASS}}
    kind |= {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    async with live_cluster.connect() as admin:
        for obj in (*rights(), kind, volume("disk-kept", 64), volume("disk-ephemeral", 64)):
            await admin.apply(obj, manager="test")
        live_cluster.start("operator", "scheduler")
        space = await make_project(admin, "claims")
        yield admin
        await clear(admin, space)
        live_cluster.stop()


def mount(path: str, name: str | None = None, **claim: Any) -> Obj:
    made: Obj = {"kind": "pvc", "path": path, "claim": {"sizeMib": 64, "storageClass": CLASS, **claim}}
    return made | ({"name": name} if name else {})


async def test_claims_are_made_bound_and_mounted_and_only_the_ephemeral_one_goes(live_cluster, kube):
    space = "runai-claims"
    storage = [mount("/data", "results"), mount("/scratch", ephemeral=True)]
    await kube.create(workload("brings", space, nodePools=["simulated"], storage=storage))
    await reach(kube, "brings", space, "Running")
    claims = {one["metadata"]["name"]: one for one in (await kube.list(PERSISTENT_VOLUME_CLAIM, space)).items}
    (pod,) = await pods_of(kube, space, "brings")
    volumes = [one["persistentVolumeClaim"] for one in pod["spec"]["volumes"] if "persistentVolumeClaim" in one]
    assert {volume["claimName"] for volume in volumes} == set(claims)
    assert [claim["status"]["phase"] for claim in claims.values()] == ["Bound", "Bound"]
    await kube.delete(WORKLOAD, "brings", space)

    async def left() -> bool:
        found = (await kube.list(PERSISTENT_VOLUME_CLAIM, space)).items
        return [one["metadata"]["name"] for one in found] == ["results"]

    await until(left)


async def test_the_account_is_no_administrator_s(live_cluster, kube):
    """It makes claims and deletes none, whoever made them."""
    async with KubeClient.connect(live_cluster.account) as account:
        with pytest.raises(Forbidden):
            await account.delete(PERSISTENT_VOLUME_CLAIM, "results", "runai-claims")
