"""Pods of every kind, applied by plain kubectl: the right PodGroup, and a gang starts with its last pod.

First everything but the last pod of each owner is there, and no node is; then nodes come; then the last pods.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.kube.client import KubeClient
from agent.kube.resources import POD, POD_GROUP
from local.kube.api import Api
from tests.agent.grouping.foreign_kinds import CASES, HERE, QUEUE, RAY_PARTS, SPACE, definitions, owner, pod
from tests.agent.live import Live, until
from tests.agent.loops.scenes import NAME

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
Obj = dict[str, Any]
READER: Obj = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "d-kinds-things", "labels": {"run.ai/reads-workload-kind": "true"}},
    "rules": [{"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}],
}
"""Lets the agent read a kind that nobody told it of."""
NODES = ("sim-001", "sim-002")


@dataclass
class World:
    """What was made, and what was seen of it at each step."""

    live: Live
    owners: dict[str, list[Obj]] = field(default_factory=dict)
    groups: list[Obj] = field(default_factory=list)
    early: list[Obj] = field(default_factory=list)
    """Pods after the nodes came and before the last pods did."""
    late: list[Obj] = field(default_factory=list)

    def kubectl(self, *objects: Obj) -> list[Obj]:
        """Apply; what the server made of it, in the same order."""
        program = str(self.live.cluster.binaries["kubectl"])
        command = (program, f"--kubeconfig={self.live.cluster.kubeconfig}", "apply", "-o", "json", "-f", "-")
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return list(answer["items"]) if answer["kind"] == "List" else [answer]

    def make_owners(self) -> None:
        """Level by level, for each needs the uid of the one above."""
        self.owners = {name: [] for name in CASES}
        for level in range(max(len(case.chain) for case in CASES.values())):
            names = [name for name, case in CASES.items() if len(case.chain) > level]
            above = {name: self.owners[name][-1] if level else None for name in names}
            made = self.kubectl(*(owner(name, CASES[name], level, above[name]) for name in names))
            for name, obj in zip(names, made, strict=True):
                self.owners[name].append(obj)

    def make_pods(self, *, last: bool) -> None:
        """Either all but the last of each owner's pods (a pod that stands alone is not kept back), or that one."""
        chosen = []
        for name, case in CASES.items():
            numbered = list(enumerate(case.pods))
            kept = numbered[1:] if len(numbered) > 1 else numbered
            part = numbered[: len(numbered) - len(kept)] if last else kept
            above = self.owners[name][-1] if case.chain else None
            chosen += [pod(name, index, labels, above) for index, labels in part]
        self.kubectl(*chosen)

    def holders(self, name: str, pods: list[Obj]) -> set[str]:
        """uids of the objects that its groups must belong to."""
        case = CASES[name]
        if case.named is None:
            return {one["metadata"]["uid"] for one in pods if case_of(one) == name}
        return {self.owners[name][case.named]["metadata"]["uid"]}

    def groups_of(self, name: str) -> list[Obj]:
        wanted = self.holders(name, self.late)
        return [one for one in self.groups if any(ref["uid"] in wanted for ref in refs(one))]

    async def pods(self, kube: KubeClient) -> list[Obj]:
        return (await kube.list(POD, SPACE)).items


def case_of(obj: Obj) -> str:
    """The case a pod belongs to, by its name: ``<case>-pod-N``, or what a controller makes of ``<case>-LEVEL``."""
    found = re.fullmatch(r"(.+?)-(pod-\d+|\d-.+)", obj["metadata"]["name"])
    assert found, obj["metadata"]["name"]
    return found[1]


def bound(pods: list[Obj], name: str) -> int:
    return sum(1 for one in pods if case_of(one) == name and one["spec"].get("nodeName"))


def label_nodes(live: Live, value: str | None) -> None:
    api = Api(live.cluster.kubeconfig)
    for node in NODES:
        api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {HERE: value}}})


async def nothing(missing: Callable[[], Awaitable[str]], within: float = 40.0) -> None:
    """Wait until nothing is missing; fail with what is."""
    deadline = time.monotonic() + within
    while found := await missing():
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.3)


async def play(world: World) -> None:
    early = sum(case.made or max(1, len(case.pods) - 1) for case in CASES.values())
    total = sum(case.count for case in CASES.values())
    async with world.live.connect() as kube:

        async def stored() -> str:
            """What is still missing of: all pods are there, and each group is stored."""
            pods = await world.pods(kube)
            groups = {ref["uid"] for one in (await kube.list(POD_GROUP, SPACE)).items for ref in refs(one)}
            lost = [name for name in CASES if not world.holders(name, pods) <= groups]
            return f"{len(pods)} of {early} pods, no group of {lost}" if lost or len(pods) != early else ""

        async def placed() -> str:
            pods = await world.pods(kube)
            whole = [name for name, case in CASES.items() if not case.is_gang and not case.parts]
            return ", ".join(name for name in whole if not bound(pods, name))

        async def all_placed() -> str:
            pods = await world.pods(kube)
            wait = [one["metadata"]["name"] for one in pods if not one["spec"].get("nodeName")]
            return f"{len(pods)} of {total} pods, waiting {wait}" if wait or len(pods) != total else ""

        await nothing(stored)
        label_nodes(world.live, "yes")
        await nothing(placed)
        world.early = await world.pods(kube)
        world.make_pods(last=True)
        await nothing(all_placed)
        world.late = await world.pods(kube)
        world.groups = (await kube.list(POD_GROUP, SPACE)).items


@pytest.fixture(scope="module")
def world(live_cluster: Live) -> Iterator[World]:
    found = World(live_cluster)
    free = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    spec = {"resources": {"gpu": free, "cpu": free, "memory": free}}
    queues: list[Obj] = [
        {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": f"{QUEUE}-root"}, "spec": spec},
        {
            "apiVersion": "scheduling.run.ai/v2",
            "kind": "Queue",
            "metadata": {"name": QUEUE},
            "spec": {**spec, "parentQueue": f"{QUEUE}-root"},
        },
    ]
    made = [*definitions(), READER]
    process = live_cluster.start(
        "scheduler", "--scheduler-name", NAME, "--no-leader-election", RUNAI_AGENT_GPU_RESERVATIONS="false"
    )
    try:
        found.kubectl({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, *queues, *made)
        wait_served(live_cluster, made)
        found.make_owners()
        found.make_pods(last=False)
        asyncio.run(play(found))
        assert process.poll() is None
        yield found
    finally:
        live_cluster.stop()
        clean(live_cluster, made)


def wait_served(live: Live, made: list[Obj]) -> None:
    async def served() -> bool:
        api = Api(live.cluster.kubeconfig)
        listed = api.call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
        ready = {
            one["metadata"]["name"]
            for one in listed
            if any(c["type"] == "Established" and c["status"] == "True" for c in one["status"].get("conditions") or ())
        }
        return {one["metadata"]["name"] for one in made if one is not READER} <= ready

    asyncio.run(until(served))


def clean(live: Live, made: list[Obj]) -> None:
    api = Api(live.cluster.kubeconfig, timeout_s=60)
    label_nodes(live, None)
    if api.find(f"/api/v1/namespaces/{SPACE}") is not None:
        api.call("DELETE", f"/api/v1/namespaces/{SPACE}")

    async def gone() -> bool:
        return api.find(f"/api/v1/namespaces/{SPACE}") is None

    asyncio.run(until(gone, within=120))
    names = [f"{one['apiVersion']}/{one['kind'].lower()}s/{one['metadata']['name']}" for one in made]
    names += [f"scheduling.run.ai/v2/queues/{name}" for name in (QUEUE, f"{QUEUE}-root")]
    for name in names:
        if api.find(f"/apis/{name}") is not None:
            api.call("DELETE", f"/apis/{name}")


def refs(obj: Obj) -> list[Obj]:
    return list(obj["metadata"].get("ownerReferences") or ())


@pytest.mark.parametrize("name", CASES)
def test_its_pods_get_the_right_groups(name: str, world: World) -> None:
    case, groups = CASES[name], world.groups_of(name)
    assert len(groups) == (case.stored or case.groups)
    for group in groups:
        spec = group["spec"]
        assert (spec["queue"], spec["priorityClassName"]) == (QUEUE, case.priority)
        parts = {one["name"]: one.get("minMember", one.get("minSubGroup")) for one in spec.get("subGroups") or ()}
        assert parts == case.parts
        assert case.parts or spec["minMember"] == case.minimum


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.is_gang or case.parts == RAY_PARTS])
def test_a_gang_starts_with_its_last_pod(name: str, world: World) -> None:
    assert (bound(world.early, name), bound(world.late, name)) == (0, CASES[name].count)


def test_every_pod_is_placed_on_a_node_that_it_asks_for(world: World) -> None:
    assert {one["spec"]["nodeName"] for one in world.late} <= set(NODES)
    assert {name: bound(world.late, name) for name in CASES} == {name: case.count for name, case in CASES.items()}
