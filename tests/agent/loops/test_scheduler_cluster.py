"""The scheduler role as a process on a real API server: placement, reasons, kill -9, and two of them at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent import install
from agent.kube import errors
from agent.kube.client import KubeClient
from agent.kube.protocol import Obj
from agent.kube.resources import (
    EVENT,
    LEASE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_GROUP,
    QUEUE,
    STORAGE_CLASS,
    WORKLOAD,
)
from agent.kube.watch import Informers
from agent.loops.leases import Elector, identity
from agent.wire.install import crd_text, render_manifest

pytestmark = pytest.mark.cluster
SPACE = "d-live"
NAME = "d-scheduler"


@pytest.fixture(scope="module")
def kubeconfig(kube_cluster) -> str:
    return str(kube_cluster.kubeconfig)


@pytest.fixture(scope="module")
def prepared(kubeconfig) -> str:
    """The platform installed as a customer would, a namespace and a queue."""
    manifest = render_manifest(
        cluster_id="c", cluster_name="test", link_url="https://h", ca_pem="", enrolment_token="t", crd_yaml=crd_text()
    )

    async def prepare() -> None:
        async with KubeClient.connect(kubeconfig) as kube:
            await install.install(kube, install.parse(manifest))
            await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, manager="test")
            await kube.apply(queue("d-root"), manager="test")
            await kube.apply(queue("d-q", parent="d-root"), manager="test")

    asyncio.run(prepare())
    return kubeconfig


@pytest.fixture(scope="module")
def account(prepared, kube_cluster) -> str:
    """The kubeconfig of the agent's own service account: it may do what the manifest grants and no more."""
    return str(kube_cluster.service_account_kubeconfig("runai", "runai-agent"))


@pytest.fixture
def scheduler(account, tmp_path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts scheduler processes; they end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "agent", "scheduler", "--scheduler-name", NAME]
        log = (tmp_path / f"scheduler{len(started)}.log").open("wb")
        env = {**os.environ, "KUBECONFIG": account}
        started.append(subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
async def kube(prepared):
    async with KubeClient.connect(prepared) as client:
        yield client
        for pod in (await client.list(POD, SPACE)).items:
            await client.delete(POD, pod["metadata"]["name"], SPACE, grace_s=0)
        for group in (await client.list(POD_GROUP, SPACE)).items:
            await client.delete(POD_GROUP, group["metadata"]["name"], SPACE)


def queue(name: str, parent: str = "") -> Obj:
    free = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    spec: Obj = {"resources": {"gpu": free, "cpu": free, "memory": free}}
    spec |= {"parentQueue": parent} if parent else {}
    return {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": name}, "spec": spec}


def group(name: str, minimum: int) -> Obj:
    spec = {"queue": "d-q", "minMember": minimum}
    meta = {"name": name, "namespace": SPACE}
    return {"apiVersion": "scheduling.run.ai/v2alpha2", "kind": "PodGroup", "metadata": meta, "spec": spec}


def pod(name: str, gpus: int, in_group: str = "", **notes: str) -> Obj:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {"cpu": "100m"}
    notes |= {"pod-group-name": in_group} if in_group else {}
    labels = {"kai.scheduler/queue": "d-q", "kai.scheduler/node-pool": "simulated"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE, "labels": labels, "annotations": notes},
        "spec": {
            "schedulerName": NAME,
            "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
            "containers": [{"name": "c", "image": "example.local/none:1", "resources": {"limits": limits}}],
        },
    }


async def until(question: Callable[[], Any], within: float = 15.0) -> Any:
    """The first true answer."""
    end = time.monotonic() + within
    while True:
        answer = await question()
        if answer or time.monotonic() > end:
            assert answer, "it did not happen in time"
            return answer
        await asyncio.sleep(0.1)


async def bound(kube: KubeClient) -> dict[str, str]:
    pods = (await kube.list(POD, SPACE)).items
    return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in pods if p["spec"].get("nodeName")}


def all_bound(kube: KubeClient, count: int) -> Callable[[], Any]:
    async def question() -> bool:
        return len(await bound(kube)) == count

    return question


async def test_gang_fraction_and_reason(kube, scheduler):
    scheduler()
    await kube.create(group("g", 3))
    for index in range(3):
        await kube.create(pod(f"g{index}", 2, "g"))
    await kube.create(pod("half", 0, **{"gpu-fraction": "0.5"}))
    await until(all_bound(kube, 4))
    half = await kube.get(POD, "half", SPACE)
    assert half["metadata"]["labels"]["runai-gpu-group"]
    await kube.create(pod("huge", 9))

    async def told() -> list[Obj]:
        events = (await kube.list(EVENT, SPACE, fields="involvedObject.name=huge")).items
        return [event for event in events if event["reason"] == "FailedScheduling"]

    events = await until(told)
    assert "9 requested" in events[0]["message"]

    async def held() -> bool:
        status = (await kube.get(QUEUE, "d-root")).get("status") or {}
        return (status.get("allocated") or {}).get("nvidia.com/gpu") == "6500m"

    await until(held)


async def test_killed_in_the_middle_nothing_is_lost_or_doubled(kube, scheduler):
    first = scheduler()
    await kube.create(pod("p0", 1))
    await until(all_bound(kube, 1))
    for index in range(1, 16):
        await kube.create(pod(f"p{index}", 1))
        if index == 8:
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            scheduler()
    await until(all_bound(kube, 16))
    per_node = [list((await bound(kube)).values()).count(node) for node in ("sim-001", "sim-002")]
    assert per_node == [8, 8]


async def test_a_local_volume_is_claimed_before_its_pod_is_bound(kube, scheduler):
    label = "kubernetes.io/hostname"
    host = (await kube.get(NODE, "sim-002"))["metadata"]["labels"][label]
    wait = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    meta = {"name": "d-local"}
    await kube.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta} | wait, manager="t")
    shared: Obj = {"storageClassName": "d-local", "accessModes": ["ReadWriteOnce"]}
    term = {"matchExpressions": [{"key": label, "operator": "In", "values": [host]}]}
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}
    volume = shared | affinity | {"capacity": {"storage": "1Gi"}, "local": {"path": "/none"}}
    claim = shared | {"resources": {"requests": {"storage": "1Gi"}}}
    await kube.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "d-v"}, "spec": volume})
    meta = {"name": "d-c", "namespace": SPACE}
    await kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim})
    user = pod("a", 1)
    user["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "d-c"}}]
    try:
        scheduler()
        await kube.create(user)
        await until(all_bound(kube, 1), within=60)
        assert await bound(kube) == {"a": "sim-002"}
        assert (await kube.get(PERSISTENT_VOLUME_CLAIM, "d-c", SPACE))["status"]["phase"] == "Bound"
    finally:
        await kube.delete(POD, "a", SPACE, grace_s=0)
        await kube.delete(PERSISTENT_VOLUME_CLAIM, "d-c", SPACE)
        await kube.delete(PERSISTENT_VOLUME, "d-v")
        await kube.delete(STORAGE_CLASS, "d-local")


async def test_of_two_one_works_and_the_other_takes_over(kube, scheduler):
    first, second = scheduler(), scheduler()
    await kube.create(pod("a", 1))
    await until(all_bound(kube, 1))
    leader = (await kube.get(LEASE, "runai-scheduler", "runai"))["spec"]["holderIdentity"]
    leading = first if f"_{first.pid}_" in leader else second
    leading.kill()
    leading.wait()
    await kube.create(pod("b", 1))
    await until(all_bound(kube, 2), within=5.0)


async def test_a_leader_that_hangs_is_replaced_and_binds_nothing_when_it_wakes(kube, scheduler):
    first, second = scheduler(), scheduler()
    await kube.create(pod("a", 1))
    await until(all_bound(kube, 1))
    leader = (await kube.get(LEASE, "runai-scheduler", "runai"))["spec"]["holderIdentity"]
    leading, standby = (first, second) if f"_{first.pid}_" in leader else (second, first)
    os.kill(leading.pid, signal.SIGSTOP)
    await kube.create(pod("b", 1))
    await until(all_bound(kube, 2))
    os.kill(leading.pid, signal.SIGCONT)
    await asyncio.to_thread(leading.wait, 30)
    await kube.create(pod("c", 1))
    await until(all_bound(kube, 3))
    assert standby.poll() is None


async def test_a_paused_leader_goes_on_when_it_wakes(kube, scheduler):
    process = scheduler()
    await kube.create(pod("a", 1))
    await until(all_bound(kube, 1))
    os.kill(process.pid, signal.SIGSTOP)
    await kube.create(pod("b", 1))
    await asyncio.sleep(5)
    os.kill(process.pid, signal.SIGCONT)
    await until(all_bound(kube, 2))
    assert process.poll() is None


async def test_an_informer_of_the_real_thing(kube):
    informers = Informers(kube)
    store = informers.store(POD, SPACE)
    await informers.synced()
    await kube.create(pod("seen", 1))

    async def seen() -> bool:
        return store.get("seen", SPACE) is not None

    await until(seen)
    assert "managedFields" not in store.get("seen", SPACE)["metadata"]
    await kube.delete(POD, "seen", SPACE, grace_s=0)

    async def gone() -> bool:
        return store.get("seen", SPACE) is None

    await until(gone)
    await informers.close()


async def test_a_second_bind_and_a_wrong_uid_are_conflicts(kube):
    made = await kube.create(pod("once", 1))
    with pytest.raises(errors.Conflict):
        await kube.bind(SPACE, "once", "sim-001", uid="00000000-0000-0000-0000-000000000000")
    await kube.bind(SPACE, "once", "sim-001", uid=made["metadata"]["uid"])
    with pytest.raises(errors.Conflict):
        await kube.bind(SPACE, "once", "sim-002", uid=made["metadata"]["uid"])
    with pytest.raises(errors.Conflict):
        await kube.delete(POD, "once", SPACE, uid="00000000-0000-0000-0000-000000000000")


async def test_a_lease_on_the_real_thing(kube):
    elector = Elector(kube, "d-test", "kube-system", identity())

    async def work() -> None:
        assert elector.leading
        await asyncio.sleep(1.5)

    await asyncio.wait_for(elector.hold(work()), 10)
    lease = await kube.get(LEASE, "d-test", "kube-system")
    assert lease["spec"]["holderIdentity"] == ""
    await kube.delete(LEASE, "d-test", "kube-system")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": "a b"}, "image must not contain spaces"),
        ({"image": ""}, "image"),
        ({"type": "train"}, 'Unsupported value: "train"'),
        ({"compute": {"gpuDevices": -1}}, "gpuDevices.*greater than or equal to 0"),
        ({"compute": {"gpuDevices": 1, "gpuPortionMilli": 1000}}, "gpuPortionMilli"),
        ({"compute": {"gpuDevices": 1, "gpuPortionMilli": 500, "gpuMemoryMib": 1}}, "not both"),
        ({"compute": {"gpuPortionMilli": 500}}, "needs gpuDevices"),
        ({"compute": {"cpuMilli": 2000, "cpuLimitMilli": 1000}}, "cpuMilli must not exceed cpuLimitMilli"),
        ({"workers": 2}, "workers belong to type distributed"),
        ({"environment": [{"value": "x"}]}, "name"),
    ],
)
async def test_a_wrong_workload_is_refused_with_its_field(kube, spec, words):
    body = {"type": "training", "image": "example.local/busybox:1", **spec}
    obj = {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": {"name": "w", "namespace": SPACE}, "spec": body}
    with pytest.raises(errors.Invalid, match=words):
        await kube.create(obj)


async def test_a_right_workload_is_taken_and_applying_it_again_changes_nothing(kube):
    body = {"type": "distributed", "image": "example.local/busybox:1", "workers": 4, "compute": {"gpuDevices": 1}}
    obj = {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": {"name": "w", "namespace": SPACE}, "spec": body}
    first = await kube.apply(obj, manager="test")
    second = await kube.apply(obj, manager="test")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    await kube.delete(WORKLOAD, "w", SPACE)
