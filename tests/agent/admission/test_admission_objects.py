"""Workloads, queues and topologies at the door, and who may change what."""

from __future__ import annotations

from typing import Any

import pytest

from agent.admission.objects import review_queue, review_topology, review_workload
from agent.admission.pods import Space, Supply
from agent.admission.review import Request

SPACE, SUPPLY = Space("vision"), Supply(device_mib=80_000)


def ask(
    obj: dict[str, Any], old: dict[str, Any] | None = None, *, operation: str = "", user: str = "anna", **more: Any
):
    verb = operation or ("UPDATE" if old else "CREATE")
    groups = frozenset(more.get("groups", ("system:authenticated",)))
    return Request("u", more.get("kind", "Workload"), verb, "runai-vision", "w", user, groups, obj, old or {})


def workload(notes: dict[str, str] | None = None, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": "w", "namespace": "runai-vision", "annotations": notes or {}, "labels": labels or {}}
    return {"metadata": meta, "spec": {"type": "training", "image": "i", **spec}}


def told(obj: dict[str, Any]) -> str:
    return "; ".join(review_workload(ask(obj), SPACE, SUPPLY, protect=False).problems)


@pytest.mark.parametrize(
    ("spec", "field", "rule"),
    [
        ({"compute": {"gpuDevices": 1, "gpuPortionMilli": -500}}, "gpuPortionMilli", "1 to 999"),
        ({"compute": {"gpuDevices": 1, "gpuMemoryMib": 90_000}}, "gpuMemoryMib", "80000"),
        ({"compute": {"gpuDevices": -1}}, "gpuDevices", "at least 0"),
        ({"framework": "caffe", "type": "distributed", "workers": 2}, "framework", "pytorch"),
        ({"command": ["x" * 100_000]}, "spec.command", "65536"),
        ({"type": "dance"}, "spec.type", "training"),
        ({"image": "a b"}, "spec.image", "image"),
        ({"workers": "two"}, "workers", ""),
    ],
)
def test_a_wrong_workload_is_refused_with_field_and_rule(spec, field, rule):
    text = told(workload(**spec))
    assert field in text
    assert rule in text


def test_a_namespace_of_another_project_is_refused():
    assert "'vision'" in told(workload(labels={"run.ai/project": "nlp"}))


def test_two_owners_are_refused():
    obj = workload()
    obj["metadata"]["ownerReferences"] = [{"uid": "a"}, {"uid": "b"}]
    assert "ownerReferences" in told(obj)


def test_who_made_it_is_written_down():
    answer = review_workload(ask(workload()), SPACE, SUPPLY, protect=False)
    assert answer.patch[0]["value"] == {"run.ai/submitted-by": "anna"}


@pytest.mark.parametrize(
    ("user", "groups", "protect", "refused"),
    [
        ("anna", (), True, False),
        ("ben", (), True, True),
        ("ben", (), False, False),
        ("system:serviceaccount:runai:runai-agent", ("system:serviceaccounts:runai",), True, False),
        ("system:serviceaccount:runai-nlp:default", ("system:serviceaccounts:runai-nlp",), True, True),
        ("root", ("system:masters",), True, False),
    ],
)
def test_only_the_owner_may_delete_where_that_is_protected(user, groups, protect, refused):
    asked = ask({}, workload({"run.ai/submitted-by": "anna"}), operation="DELETE", user=user, groups=groups)
    assert bool(review_workload(asked, SPACE, SUPPLY, protect=protect).problems) is refused


def test_nobody_makes_another_the_owner():
    old, new = workload({"run.ai/submitted-by": "anna"}), workload({"run.ai/submitted-by": "ben"})
    assert review_workload(ask(new, old, user="ben"), SPACE, SUPPLY, protect=False).problems


def queue(labels: dict[str, str] | None = None, **gpu: float) -> dict[str, Any]:
    return {"metadata": {"name": "w", "labels": labels or {}}, "spec": {"resources": {"gpu": gpu}}}


@pytest.mark.parametrize(
    ("gpu", "field"),
    [({"quota": -3}, "quota"), ({"limit": -2}, "limit"), ({"overQuotaWeight": -1}, "overQuotaWeight"),
     ({"quota": 5, "limit": 2}, "limit of 2")],
)  # fmt: skip
def test_queues_that_make_no_sense(gpu, field):
    assert field in review_queue(ask(queue(**gpu), kind="Queue")).problems[0]


def test_queues_of_projects_are_changed_by_their_projects_only():
    ours = queue({"run.ai/managed-by": "operator", "run.ai/project": "vision"})
    assert "vision" in review_queue(ask(ours, ours)).problems[0]
    assert not review_queue(ask(ours, ours, groups=("system:masters",))).problems


def topology(*keys: str) -> dict[str, Any]:
    return {"metadata": {"name": "t"}, "spec": {"levels": [{"nodeLabel": key} for key in keys]}}


@pytest.mark.parametrize(
    ("keys", "word"),
    [(("a b",), "label key"), (("zone", "zone"), "twice"), (("kubernetes.io/hostname", "rack"), "lowest")],
)
def test_wrong_topologies(keys, word):
    assert word in review_topology(ask(topology(*keys))).problems[0]


def test_levels_never_change():
    assert not review_topology(ask(topology("zone"), topology("zone"))).problems
    assert "zone" in review_topology(ask(topology("rack"), topology("zone"))).problems[0]
