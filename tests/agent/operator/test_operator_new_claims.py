"""Volume claims that a workload brings: made once, before its pods; ephemeral ones go with it, others stay."""

from __future__ import annotations

import pytest

from agent.kube.errors import Forbidden
from agent.kube.resources import PERSISTENT_VOLUME_CLAIM, POD, WORKLOAD
from agent.operator.workload import problems
from agent.wire.codec import from_dict
from agent.wire.objects import WorkloadSpec
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.operating import namespace, operating, project, status, workload


def mount(name: str = "", ephemeral: bool = False, **claim) -> dict:
    body = {"kind": "pvc", "path": "/data", "claim": {"sizeMib": 1024, "ephemeral": ephemeral, **claim}}
    return body | ({"name": name} if name else {})


async def run(kube: FakeKube, *specs: dict) -> None:
    for index, spec in enumerate(specs):
        await kube.create(workload(f"w{index}", storage=[spec]))
    async with operating(kube) as operator:
        await operator.settle()


def mounted(kube: FakeKube) -> list[str]:
    return [one["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] for one in kube.all(POD)]


async def test_it_is_made_as_asked_and_mounted():
    kube = FakeKube(project(), namespace("runai-vision"))
    await run(kube, mount("results", storageClass="fast", accessModes=["ReadWriteMany"]))
    (claim,) = kube.all(PERSISTENT_VOLUME_CLAIM)
    assert claim["metadata"]["name"] == "results"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "1024Mi"}},
        "storageClassName": "fast",
    }
    assert mounted(kube) == ["results"]


@pytest.mark.parametrize(("ephemeral", "left"), [(True, 0), (False, 1)])
async def test_only_an_ephemeral_one_goes_with_its_workload(ephemeral, left):
    kube = FakeKube(project(), namespace("runai-vision"))
    await run(kube, mount(ephemeral=ephemeral))
    assert mounted(kube) == [kube.all(PERSISTENT_VOLUME_CLAIM)[0]["metadata"]["name"]]
    await kube.delete(WORKLOAD, "w0", "runai-vision")
    assert len(kube.all(PERSISTENT_VOLUME_CLAIM)) == left


async def test_one_that_is_there_is_used_and_nobody_is_asked():
    kube = FakeKube(project(), namespace("runai-vision"))
    await run(kube, mount("shared"), mount("shared"))
    assert mounted(kube) == ["shared", "shared"]
    assert len(kube.all(PERSISTENT_VOLUME_CLAIM)) == 1
    assert {method for method, kind in kube.calls if kind == "PersistentVolumeClaim"} == {"create"}


async def test_a_refusal_is_told_and_no_pod_is_made():
    kube = FakeKube(project(), namespace("runai-vision"))
    kube.fail("create", "PersistentVolumeClaim", Forbidden("exceeded quota: storage", status=403), times=9)
    await run(kube, mount())
    assert kube.all(POD) == []
    assert "exceeded quota: storage" in status(kube, "w0")["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"claim": {"sizeMib": 0}}, "spec.storage[0].claim.sizeMib"),
        ({"claim": {"sizeMib": 1, "accessModes": ["Write"]}}, "spec.storage[0].claim.accessModes"),
        ({"claim": {"sizeMib": 1, "ephemeral": True}, "name": "mine"}, "spec.storage[0].name"),
        ({"kind": "emptyDir", "claim": {"sizeMib": 1}}, "spec.storage[0].claim"),
        ({"claim": None}, "spec.storage[0].name"),
    ],
)
def test_mistakes_name_their_field(change, field):
    spec = {"type": "training", "image": "a:1", "storage": [mount() | change]}
    (problem,) = problems(from_dict(WorkloadSpec, spec))
    assert problem.startswith(f"{field}: ")
