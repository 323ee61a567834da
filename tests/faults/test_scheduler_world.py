"""What others do to the cluster under the scheduler: nodes, namespaces and definitions go, one owner is bad.

Other workloads go on meanwhile, requests do not grow with the number of pods in trouble, and the audit log is clean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from agent.kube.errors import NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, NAMESPACE, NODE, POD
from local.kube.api import Api
from tests.agent.live import Live
from tests.agent.loops.scenes import NAME, SPACE, TAINT
from tests.faults.stage import Stage, staged, until
from tests.faults.weather import PASS, Call, Fault, Rule, once

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
LONG = pytest.mark.long
DOOMED = "d-doomed"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.scheduling.run.ai"


async def at_once(work: list[Awaitable[Any]], most: int = 32) -> None:
    for start in range(0, len(work), most):
        await asyncio.gather(*work[start : start + most])


async def test_a_node_goes_from_under_a_gang(live_cluster: Live) -> None:
    """Four of six pods lose their node. Their controller makes them anew, the node comes back, the gang is whole."""
    async with staged(live_cluster) as stage:
        stage.run()
        scene = stage.scene
        await scene.submit("gang", 6, gpu=2, minimum=6)
        await stage.bound(gang=6)
        where = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in await scene.pods("gang")}
        node = max(where.values(), key=list(where.values()).count)
        try:
            await scene.kube.delete(NODE, node)
            await scene.submit("other", 2)
            await stage.bound(other=2)
            for name in [name for name, place in where.items() if place == node]:
                await scene.kube.delete(POD, name, SPACE, grace_s=0)
        finally:
            await asyncio.to_thread(live_cluster.cluster.after_start)
        await scene.submit("gang", 6, gpu=2, minimum=6, missing_only=True)
        await stage.bound(gang=6, other=2)
        assert stage.deaths == 0, stage.logs()
        await stage.clean(grace_s=30)


def pod(name: str, space: str, owner: Obj | None = None, **labels: str) -> Obj:
    """A pod of one GPU in the scenes' queue, without a group of its own."""
    marks = {"workload": "owned", "kai.scheduler/node-pool": "simulated", "kai.scheduler/queue": "d-scenes-q", **labels}
    meta: Obj = {"name": name, "namespace": space, "labels": marks}
    meta |= {"ownerReferences": [owner]} if owner else {}
    limits = {"nvidia.com/gpu": "1"}
    container = {"name": "c", "image": "example.local/none:1", "resources": {"limits": limits}}
    spec = {"schedulerName": NAME, "tolerations": [TAINT], "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@LONG
async def test_a_namespace_goes_while_its_pods_are_bound(live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        kube, admin = stage.scene.kube, Api(live_cluster.cluster.kubeconfig)
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DOOMED}}
        await kube.apply(space, manager="test")
        await until(lambda: exists(stage, "default"), 20)

        def doom() -> None:
            admin.call("DELETE", f"/api/v1/namespaces/{DOOMED}")

        bind = once("POST pods/binding", doom, done=False, where=f"/{DOOMED}/", nth=2)
        stage.proxy.rules.append(lambda call: Fault(PASS, act=found.act) if (found := bind(call)) else None)
        stage.run()
        await at_once([kube.create(pod(f"doomed-{number}", DOOMED)) for number in range(12)])
        await stage.scene.submit("other", 4)
        await stage.bound(other=4)

        async def gone() -> bool:
            try:
                await kube.get(NAMESPACE, DOOMED)
            except NotFound:
                return True
            return False

        await until(gone, 60)
        await stage.scene.submit("after", 12)
        await stage.bound(other=4, after=12)
        before = asked_in(stage, DOOMED)
        await asyncio.sleep(2)
        assert asked_in(stage, DOOMED) == before, "it still asks about what is gone"
        assert before < 12 * 8
        await stage.clean()


async def exists(stage: Stage, account: str) -> bool:
    """The service account that pods of a new namespace need."""
    found = Api(stage.live.cluster.kubeconfig).find(f"/api/v1/namespaces/{DOOMED}/serviceaccounts/{account}")
    return found is not None


def asked_in(stage: Stage, space: str) -> int:
    return sum(count for path, count in stage.proxy.asked.items() if f"/namespaces/{space}/" in path)


def unreadable(call: Call) -> Fault | None:
    """Nobody gets to read the owner ``bad``."""
    return Fault(500) if call.what == "GET jobs" and call.path.endswith("/bad") else None


def invalid(call: Call) -> Fault | None:
    return None


async def owner(stage: Stage, name: str, minimum: str) -> Obj:
    """A Job whose controller does nothing, as somebody else makes its pods."""
    meta = {"name": name, "namespace": SPACE, "annotations": {"kai.scheduler/batch-min-member": minimum}}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.local/none:1"}]}}
    body: Obj = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}
    made = await stage.scene.kube.create(body | {"spec": {"template": template, "suspend": True}})
    return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": made["metadata"]["uid"], "controller": False}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("rule", "count"),
    [
        pytest.param(unreadable, 500, id="unreadable-500"),
        pytest.param(unreadable, 10_000, id="unreadable-10000", marks=LONG),
        pytest.param(invalid, 10_000, id="a gang nobody can hold-10000", marks=LONG),
    ],
)
async def test_one_bad_owner_of_many_pods(rule: Rule, count: int, live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        stage.proxy.rules.append(rule)
        stage.run()
        admin = Api(live_cluster.cluster.kubeconfig, timeout_s=120)
        try:
            bad = await owner(stage, "bad", "999999")
            await at_once([stage.scene.kube.create(pod(f"bad-{number}", SPACE, bad)) for number in range(count)])
            good = await owner(stage, "good", "2")
            await at_once([stage.scene.kube.create(pod(f"good-{n}", SPACE, good, workload="good")) for n in range(2)])
            await stage.scene.submit("other", 4)
            await stage.bound(good=2, other=4, owned=0)
            before = stage.proxy.calls.total()
            await asyncio.sleep(5)
            if rule is unreadable:
                await until(lambda: told_of_owner(stage), 20)
            assert stage.proxy.asked[f"/apis/batch/v1/namespaces/{SPACE}/jobs/bad"] < 60, "asked once a pod"
            assert stage.deaths == 0, stage.logs()
            told = stage.proxy.calls.total() - before
            assert told < 5 * 300 + 100, f"{told} requests in five seconds for pods that wait for the same"
            await stage.clean()
        finally:
            stage.end()
            admin.call("DELETE", f"/api/v1/namespaces/{SPACE}/pods?gracePeriodSeconds=0")
            for name in ("bad", "good"):
                admin.call("DELETE", f"/apis/batch/v1/namespaces/{SPACE}/jobs/{name}?propagationPolicy=Background")


async def told_of_owner(stage: Stage) -> bool:
    """A pod's condition and its Event name the owner that cannot be read."""
    pods = await stage.scene.pods("owned")
    said = [one.get("message") or "" for one in (pods[0].get("status") or {}).get("conditions") or ()]
    happened = [one["message"] for one in (await stage.scene.kube.list(EVENT, SPACE)).items]
    return all(any('Job "bad" cannot be read' in line for line in lines) for lines in (said, happened))


@LONG
@pytest.mark.parametrize("kind", ["queues", "podgroups"])
async def test_a_definition_goes_and_comes_back(kind: str, live_cluster: Live) -> None:
    """Without queues nothing new is bound and what is bound is still counted; with them all goes on."""
    admin, path = Api(live_cluster.cluster.kubeconfig), DEFINITIONS.format(kind)
    async with staged(live_cluster) as stage:
        stage.run()
        await stage.scene.submit("before", 6)
        await stage.bound(before=6)
        try:
            admin.call("DELETE", path)

            async def gone() -> bool:
                return admin.find(path) is None

            await until(gone, 60)
            await stage.scene.kube.create(pod("alone", SPACE, workload="alone"))
            await asyncio.sleep(1.0)
            counts = await stage.scene.counts()
            assert (counts["before"], counts["alone"]) == (6, 0 if kind == "queues" else 1)
        finally:
            await asyncio.to_thread(live_cluster.install)
        await until(lambda: restored(stage), 30)
        await stage.scene.submit("after", 9)
        await stage.bound(before=6, alone=1, after=9)
        assert stage.deaths == 0, stage.logs()
        await stage.clean()


async def restored(stage: Stage) -> bool:
    """The definitions are served again, and the scene's queues are there."""
    try:
        await stage.scene.queue("d-scenes-root", parent="")
        await stage.scene.queue("d-scenes-q")
    except NotFound:
        return False
    return True
