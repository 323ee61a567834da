"""What a project's namespace holds: made or not, LimitRange, pull secrets; nothing of others is touched."""

from __future__ import annotations

from typing import Any

import pytest

from agent.kube.resources import LIMIT_RANGE, NAMESPACE, POD, PROJECT, RUNAI_CONFIG, SERVICE_ACCOUNT
from agent.operator import desired
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.operating import namespace, operating, project, workload


def account(*secrets: str, space: str = "runai-vision", **notes: str) -> dict[str, Any]:
    meta = {"name": "default", "namespace": space, "annotations": notes}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": meta,
        "imagePullSecrets": [{"name": name} for name in secrets],
    }


def config(**spec: Any) -> dict[str, Any]:
    meta = {"name": "runai", "namespace": "runai"}
    return {"apiVersion": "run.ai/v1", "kind": "RunaiConfig", "metadata": meta, "spec": spec}


def secrets(kube: FakeKube, space: str = "runai-vision") -> list[str]:
    found = next(obj for obj in kube.all(SERVICE_ACCOUNT) if obj["metadata"]["namespace"] == space)
    return [item["name"] for item in found.get("imagePullSecrets") or ()]


# ---- pull secrets ----------------------------------------------------------------------------------------------------

OURS = desired.PULL_SECRETS


@pytest.mark.parametrize(
    ("have", "mark", "wanted", "after"),
    [
        ((), "", ("a", "b"), ["a", "b"]),
        (("theirs",), "", ("a",), ["theirs", "a"]),
        (("theirs", "a"), "a", (), ["theirs"]),
        (("a", "b"), "a,b", ("b",), ["b"]),
        (("a",), "", ("a",), None),  # somebody put it there: it is never ours to take
        (("theirs", "a"), "a", ("a",), None),
        ((), "", (), None),
    ],
)
def test_only_our_secrets_come_and_go(have, mark, wanted, after):
    obj = account(*have, **({OURS: mark} if mark else {}))
    patch = desired.pull_secrets(obj, wanted)
    assert (patch and [item["name"] for item in patch["imagePullSecrets"]]) == after


async def test_pods_and_the_account_of_the_namespace_have_them():
    kube = FakeKube(project(imagePullSecrets=["regcred"]), account("theirs"))
    async with operating(kube) as operator:
        assert secrets(kube) == ["theirs", "regcred"]
        await kube.create(workload(imagePullSecrets=["own"]))
        await operator.settle()
        assert kube.all(POD)[0]["spec"]["imagePullSecrets"] == [{"name": "own"}, {"name": "regcred"}]
        await kube.patch(PROJECT, "vision", body={"spec": {"imagePullSecrets": None}})
        await operator.settle()
        assert secrets(kube) == ["theirs"]


async def test_an_account_that_comes_later_gets_them():
    kube = FakeKube(project(imagePullSecrets=["regcred"]))
    async with operating(kube) as operator:
        await kube.create(account())
        await operator.settle()
        assert secrets(kube) == ["regcred"]


# ---- LimitRange ------------------------------------------------------------------------------------------------------


async def test_defaults_of_the_cluster_are_a_limit_range_and_go_with_them():
    kube = FakeKube(project(), config(defaults={"request": {"cpu": "100m"}, "maximum": {"memory": "64Gi"}}))
    async with operating(kube) as operator:
        made = kube.all(LIMIT_RANGE)[0]
        wanted = {"type": "Container", "defaultRequest": {"cpu": "100m"}, "max": {"memory": "64Gi"}}
        assert made["spec"]["limits"] == [wanted]
        await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"defaults": None}})
        await operator.settle()
        assert kube.all(LIMIT_RANGE) == []


async def test_somebody_elses_limit_range_stays():
    meta = {"name": desired.LIMIT_RANGE, "namespace": "runai-vision"}
    theirs = {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": []}}
    kube = FakeKube(project(), theirs)
    async with operating(kube):
        assert len(kube.all(LIMIT_RANGE)) == 1


# ---- namespaces ------------------------------------------------------------------------------------------------------


async def test_without_namespace_creation_a_project_waits_and_says_so():
    kube = FakeKube(project(), config(createNamespaces=False))
    async with operating(kube) as operator:
        assert kube.all(NAMESPACE) == []
        status = kube.all(PROJECT)[0]["status"]
        assert status["phase"] == "NotReady"
        assert "runai/queue=vision" in status["message"]
        await kube.create(namespace("runai-vision", **{"runai/queue": "vision"}))
        await operator.settle()
        assert kube.all(PROJECT)[0]["status"]["phase"] == "Ready"


async def test_switching_it_on_makes_what_waits():
    kube = FakeKube(project(), config(createNamespaces=False))
    async with operating(kube) as operator:
        await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"createNamespaces": True}})
        await operator.settle()
        assert [obj["metadata"]["name"] for obj in kube.all(NAMESPACE)] == ["runai-vision"]


async def test_an_adopted_namespace_is_given_back_as_it_was():
    theirs = namespace("runai-vision", team="x")
    kube = FakeKube(
        project(imagePullSecrets=["regcred"]), theirs, account("theirs"), config(defaults={"request": {"cpu": "1"}}),
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
         "metadata": {"name": "projects.run.ai"}},
    )  # fmt: skip
    async with operating(kube) as operator:
        await kube.delete(PROJECT, "vision")
        await operator.settle()
        assert kube.all(NAMESPACE)[0]["metadata"]["labels"] == {"team": "x"}
        assert secrets(kube) == ["theirs"]
        assert kube.all(LIMIT_RANGE) == []
