"""``/api/v2/workloads``: a whole manifest goes to the cluster, and what is wrong with it is named in its own words."""

import base64
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from access.services.bootstrap import system_actor
from projects.models import Project
from tests.conftest import Home, grant
from tests.fixtures_rooms import documents, make_project
from workloads.api import manifests
from workloads.api.lists import workload_of
from workloads.models import Workload
from workloads.services import replace_workload, request_of_yaml, suspend_workload, workload_yaml

PATH = "/api/v2/workloads"
JSON = "application/json"
SPEC = {
    "type": "distributed",
    "framework": "MPI",
    "workers": 3,
    "minReplicas": 2,
    "slotsPerWorker": 2,
    "sshAuthMountPath": "/keys/.ssh",
    "image": "example.local/python:3.11",
    "master": {"command": ["python3"], "compute": {"cpuMilli": 20}},
    "ports": [{"container": 8000, "name": "http"}],
    "storage": [{"kind": "emptyDir", "path": "/work", "sizeMib": 64}],
}
SERVICE = {
    "type": "inference",
    "image": "example.local/python:3.11",
    "ports": [{"container": 8000}],
    "autoscaling": {"minReplicas": 0, "maxReplicas": 3, "metric": "concurrency", "threshold": 2},
}


def manifest(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": {"name": "mine"}, "spec": spec, **more}


def submit(home: Home, project: Project, spec: dict[str, Any], **metadata: Any) -> Any:
    body = {"metadata": {"projectId": str(project.pk), **metadata}, "manifest": manifest(spec)}
    return home.api().post(PATH, body, content_type=JSON)


@pytest.mark.parametrize("spec", [SPEC, SERVICE], ids=["distributed", "inference"])
def test_every_field_reaches_the_cluster(acme: Home, project: Project, contract: Any, spec: dict[str, Any]) -> None:
    answer = submit(acme, project, spec)
    contract("POST", PATH, answer)
    sent = documents(project.cluster)[f"workload/{answer.json()['metadata']['id']}"]["spec"]
    for key in ("master", "ports", "storage", "autoscaling", "minReplicas", "slotsPerWorker", "sshAuthMountPath"):
        wanted = spec.get(key)
        got = sent.get(key)
        assert _within(wanted, got), (key, wanted, got)


def _within(wanted: Any, got: Any) -> bool:
    """Defaults may be added, nothing may be lost."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(_within(value, got.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(_within, wanted, got))
    return bool(got == wanted) or wanted is None


def test_it_is_read_back_and_deleted(acme: Home, project: Project, contract: Any) -> None:
    made = submit(acme, project, SPEC, name="other").json()["metadata"]
    assert made["name"] == "other"
    answer = acme.api().get(f"{PATH}/{made['id']}")
    contract("GET", PATH + "/{WorkloadV2Id}", answer)
    assert answer.json()["workload"]["rawManifest"]["spec"]["slotsPerWorker"] == 2
    assert answer.json()["syncInfo"]["status"] == "Queued"
    contract("DELETE", PATH + "/{WorkloadV2Id}", acme.api().delete(f"{PATH}/{made['id']}"))
    assert acme.api().get(f"{PATH}/{made['id']}").json()["syncInfo"]["status"] == "Deleting"


def test_yaml_in_base64_is_taken(acme: Home, project: Project) -> None:
    text = b"apiVersion: run.ai/v1\nkind: Workload\nmetadata: {name: y}\nspec: {type: training, image: a/b:1}\n"
    body = {"metadata": {"projectId": str(project.pk)}, "manifestBase64Encoded": base64.b64encode(text).decode()}
    assert acme.api().post(PATH, body, content_type=JSON).json()["metadata"]["name"] == "y"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"manifest": manifest(SPEC)}, "metadata"),
        ({"metadata": {}, "manifest": manifest(SPEC)}, "metadata.projectId"),
        ({"metadata": {"name": 7}, "manifest": manifest(SPEC)}, "metadata.name"),
        ({"metadata": {"name": "Bad Name"}}, "manifest"),
        ({"metadata": {}, "manifest": manifest(SPEC), "manifestBase64Encoded": "e30="}, "manifest"),
        ({"metadata": {}, "manifestBase64Encoded": "no base64"}, "manifestBase64Encoded"),
        ({"metadata": {}, "manifest": manifest(SPEC, kind="Deployment")}, "manifest"),
        ({"metadata": {}, "manifest": "text"}, "manifest"),
        ({"metadata": {}, "manifest": manifest({**SPEC, "colour": "red"})}, "manifest"),
        ({"metadata": {"name": "Bad Name"}, "manifest": manifest(SPEC)}, "metadata.name"),
        ({"metadata": {"clusterId": str(uuid4())}, "manifest": manifest(SPEC)}, "metadata.clusterId"),
        ({"metadata": {}, "manifest": manifest({**SPEC, "image": "a b"})}, "manifest.spec.image"),
        ({"metadata": {}, "manifest": manifest({**SPEC, "workers": 0})}, "manifest.spec.workers"),
    ],
)
def test_what_is_wrong_is_named(acme: Home, project: Project, body: dict[str, Any], field: str) -> None:
    if "metadata" in body and field != "metadata.projectId":
        body = body | {"metadata": {"projectId": str(project.pk), **body["metadata"]}}
    answer = acme.api().post(PATH, body, content_type=JSON)
    assert answer.status_code == 400, answer.content
    assert field in [item["field"] for item in answer.json()["errors"]]
    assert Workload.objects.count() == 0


def test_only_in_a_project_of_ones_own(acme: Home, project: Project) -> None:
    mine = make_project(project.cluster, "mine")
    grant("bob@example.test", "researcher", mine.scope)
    api = acme.api("bob@example.test")
    theirs = {"metadata": {"projectId": str(project.pk)}, "manifest": manifest(SPEC)}
    assert api.post(PATH, theirs, content_type=JSON).status_code == 400
    hidden = submit(acme, project, SPEC).json()["metadata"]["id"]
    assert api.get(f"{PATH}/{hidden}").status_code == 404
    assert api.delete(f"{PATH}/{hidden}").status_code == 404


def put(home: Home, workload_id: str, **body: Any) -> Any:
    return home.api().put(f"{PATH}/{workload_id}", body, content_type=JSON)


def sent(project: Project, workload_id: str) -> dict[str, Any]:
    return documents(project.cluster)[f"workload/{workload_id}"]["spec"]


def test_another_manifest_goes_to_the_cluster(acme: Home, project: Project, contract: Any) -> None:
    made = submit(acme, project, SERVICE).json()["metadata"]["id"]
    spec = {**SERVICE, "image": "example.local/python:3.12"}
    spec["autoscaling"] = {**SERVICE["autoscaling"], "maxReplicas": 5}
    answer = put(acme, made, manifest=manifest(spec, metadata={"name": "whatever"}))
    contract("PUT", PATH + "/{WorkloadV2Id}", answer)
    assert answer.json()["metadata"]["name"] == "mine"
    assert (sent(project, made)["image"], sent(project, made)["autoscaling"]["maxReplicas"]) == (spec["image"], 5)
    assert Workload.objects.get(pk=made).image == spec["image"]
    assert put(acme, made, metadata={"priority": "very-high"}).status_code == 202
    assert (sent(project, made)["priorityClass"], sent(project, made)["image"]) == ("very-high", spec["image"])


def test_a_priority_alone_leaves_zeros_as_they_are(acme: Home, project: Project) -> None:
    zeros = {"backoffLimit": 0, "ttlSecondsAfterFinished": 0, "terminationGracePeriodSeconds": 0}
    made = submit(acme, project, {"type": "training", "image": "a/b:1", **zeros}).json()["metadata"]["id"]
    assert put(acme, made, metadata={"priority": "very-high"}).status_code == 202
    assert {key: sent(project, made).get(key) for key in zeros} == zeros


def test_a_priority_alone_takes_back_no_change_made_meanwhile(acme: Home, project: Project, monkeypatch: Any) -> None:
    made = submit(acme, project, SERVICE).json()["metadata"]["id"]

    def then_another_changes_it(actor: Any, workload_id: Any) -> Workload:
        stale = workload_of(actor, workload_id)
        other = request_of_yaml(actor=actor, text=workload_yaml(stale), project_id=str(project.pk))
        replace_workload(actor=actor, workload=stale, request=replace(other, image="a/b:2"))
        return stale

    monkeypatch.setattr(manifests, "workload_of", then_another_changes_it)
    assert put(acme, made, metadata={"priority": "very-high"}).status_code == 202
    assert (sent(project, made)["priorityClass"], sent(project, made)["image"]) == ("very-high", "a/b:2")


def test_what_is_suspended_stays_so(acme: Home, project: Project) -> None:
    made = submit(acme, project, SERVICE).json()["metadata"]["id"]
    suspend_workload(actor=system_actor(), workload=Workload.objects.get(pk=made))
    assert put(acme, made, manifest=manifest({**SERVICE, "image": "a/b:2"})).status_code == 202
    assert (sent(project, made)["suspend"], sent(project, made)["image"]) == (True, "a/b:2")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"manifest": manifest({"type": "training", "image": "a:1"})}, "manifest.spec.type"),
        ({"manifest": manifest({**SERVICE, "image": "not an image"})}, "manifest.spec.image"),
        ({"manifest": manifest({**SERVICE, "nodePools": ["none"]})}, "manifest.spec.nodePools"),
        ({"metadata": {"name": "other"}}, "metadata.name"),
        ({"metadata": {"priority": 7}}, "metadata.priority"),
        ({"metadata": {"priority": "utmost"}}, "manifest.spec.priorityClass"),
    ],
)
def test_what_cannot_change_is_named(acme: Home, project: Project, body: dict[str, Any], field: str) -> None:
    made = submit(acme, project, SERVICE).json()["metadata"]["id"]
    before = sent(project, made)
    answer = put(acme, made, **body)
    assert answer.status_code == 400
    assert field in answer.content.decode()
    assert sent(project, made) == before


@pytest.mark.parametrize("change", [{"phase": "Failed"}, {"desired_phase": "Deleted"}, {"managed": False}])
def test_what_has_ended_or_is_not_ours_is_not_changed(acme: Home, project: Project, change: dict[str, Any]) -> None:
    made = submit(acme, project, SERVICE).json()["metadata"]["id"]
    Workload.objects.filter(pk=made).update(**change)
    assert put(acme, made, manifest=manifest({**SERVICE, "image": "a/b:2"})).status_code == 409


def test_a_viewer_changes_nothing(acme: Home, project: Project) -> None:
    made = submit(acme, project, SERVICE).json()["metadata"]["id"]
    grant("bob@example.test", "viewer")
    answer = acme.api("bob@example.test").put(
        f"{PATH}/{made}", {"manifest": manifest({**SERVICE, "image": "a/b:2"})}, content_type=JSON
    )
    assert answer.status_code == 403
