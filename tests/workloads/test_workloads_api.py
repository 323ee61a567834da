"""Trainings over REST: the contract's shapes, errors by field, duplicates, idempotency, and who may."""

from typing import Any
from uuid import uuid4

import pytest

from clusters.models import Cluster
from projects.models import Project
from tests.conftest import Home, grant
from tests.fixtures_rooms import documents, make_project, make_workload
from workloads.models import Workload

TRAININGS = "/api/v1/workloads/trainings"
INFERENCES = "/api/v1/workloads/inferences"
WORKLOADS = "/api/v1/workloads"
JSON = "application/json"
CLAIM = {"path": "/d", "claimInfo": {"size": "1Gi"}}


def body(project: Project, **more: Any) -> dict[str, Any]:
    spec = {"image": "example.local/busybox:1", "command": "sh", "args": '-c "echo hello"'}
    return {
        "name": "train",
        "projectId": str(project.pk),
        "clusterId": str(project.cluster_id),
        **more,
        "spec": spec | more.get("spec", {}),
    }


def submit(home: Home, project: Project, **more: Any) -> Any:
    return home.api().post(TRAININGS, body(project, **more), content_type=JSON)


def test_a_training_is_accepted_and_owed_to_the_cluster(acme: Home, project: Project, contract: Any) -> None:
    answer = submit(acme, project, spec={"compute": {"gpuDevicesRequest": 1, "gpuPortionRequest": 0.5}})
    assert answer.status_code == 202, answer.content
    contract("POST", TRAININGS, answer)
    document = documents(project.cluster)[f"workload/{answer.json()['workloadId']}"]
    assert document["metadata"]["namespace"] == "runai-team-a"
    assert document["spec"]["args"] == ["-c", "echo hello"]
    assert document["spec"]["compute"] == {"gpuDevices": 1, "gpuPortionMilli": 500}


def test_what_was_asked_is_answered(acme: Home, project: Project, contract: Any) -> None:
    compute = {"gpuDevicesRequest": 2, "cpuCoreRequest": 0.5, "cpuMemoryRequest": "512Mi"}
    made = submit(acme, project, spec={"compute": compute, "environmentVariables": [{"name": "A", "value": "b"}]})
    answer = acme.api().get(f"{TRAININGS}/{made.json()['workloadId']}")
    contract("GET", TRAININGS + "/{workloadId}", answer)
    spec = answer.json()["spec"]
    assert spec["compute"] == compute and spec["args"] == "-c 'echo hello'"
    assert spec["environmentVariables"] == [{"name": "A", "value": "b"}]


def test_inference_has_a_path_of_its_own(acme: Home, project: Project, contract: Any) -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 3, "metric": "concurrency", "metricThreshold": 5}
    sent = body(project, name="serve", spec={"servingPort": {"container": 8000}, "autoscaling": scaling})
    made = acme.api().post(INFERENCES, sent, content_type=JSON)
    assert made.status_code == 202, made.content
    contract("POST", INFERENCES, made)
    spec = documents(project.cluster)[f"workload/{made.json()['workloadId']}"]["spec"]
    assert (spec["type"], spec["ports"][0]["container"], spec["autoscaling"]["maxReplicas"]) == ("inference", 8000, 3)
    answer = acme.api().get(f"{INFERENCES}/{made.json()['workloadId']}")
    contract("GET", INFERENCES + "/{workloadId}", answer)
    assert answer.json()["spec"]["servingPort"]["container"] == 8000


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Bad Name"}, "name"),
        ({"name": 7}, "name"),
        ({"projectId": "999999"}, "projectId"),
        ({"projectId": None}, "projectId"),
        ({"clusterId": str(uuid4())}, "clusterId"),
        ({"spec": {"image": "a b"}}, "spec.image"),
        ({"spec": {"image": None}}, "spec.image"),
        ({"spec": {"args": "'open"}}, "spec.args"),
        ({"spec": {"compute": {"gpuDevicesRequest": -1}}}, "spec.compute.gpuDevicesRequest"),
        ({"spec": {"compute": {"gpuDevicesRequest": 1.5}}}, "spec.compute.gpuDevicesRequest"),
        ({"spec": {"compute": {"gpuDevicesRequest": "NaN"}}}, "spec.compute.gpuDevicesRequest"),
        ({"spec": {"compute": {"gpuDevicesRequest": 2, "gpuPortionRequest": 1.5}}}, "spec.compute.gpuPortionRequest"),
        ({"spec": {"compute": {"gpuRequestType": "portion"}}}, "spec.compute.gpuPortionRequest"),
        ({"spec": {"compute": {"cpuMemoryRequest": "lots"}}}, "spec.compute.cpuMemoryRequest"),
        ({"spec": {"compute": {"cpuCoreRequest": True}}}, "spec.compute.cpuCoreRequest"),
        ({"spec": {"nodePools": ["nowhere"]}}, "spec.nodePools"),
        ({"spec": {"storage": {"pvc": [{"path": "/x"}]}}}, "spec.storage.pvc[0]"),
        ({"spec": {"environmentVariables": [{"name": "A", "secret": {"name": "s"}}]}}, "spec.environmentVariables[0]"),
        ({"spec": {"backoffLimit": "six"}}, "spec.backoffLimit"),
        ({"spec": {"storage": {"pvc": [{**CLAIM, "claimName": 7}]}}}, "spec.storage.pvc[0]"),
        (
            {"spec": {"storage": {"pvc": [{**CLAIM, "claimInfo": {"size": "1Gi", "storageClass": 5}}]}}},
            "spec.storage.pvc[0]",
        ),
        ({"spec": {"ports": [{"container": 80, "name": 5}]}}, "spec.ports[0]"),
        ({"spec": {"ports": [{"container": 80, "external": "x"}]}}, "spec.ports[0]"),
        ({"spec": {"tolerations": [{"key": 5}]}}, "spec.tolerations[0]"),
        ({"spec": {"imagePullSecrets": [{"name": "a"}, {"name": "B_d"}]}}, "spec.imagePullSecrets[1]"),
        ({"spec": {"imagePullSecrets": ["a"]}}, "spec.imagePullSecrets[0]"),
        ({"templateId": str(uuid4())}, "templateId"),
    ],
)
def test_bad_input_is_a_400_that_names_the_field(acme: Home, project: Project, change: Any, field: str) -> None:
    answer = submit(acme, project, **change)
    assert answer.status_code == 400, answer.content
    errors = {item["field"]: item for item in answer.json()["errors"]}
    assert field in errors and errors[field]["allowed"]
    assert Workload.objects.count() == 0


@pytest.mark.parametrize("text", [b"", b"[]", b'{"name": NaN}', b"{", b'"x"'])
def test_a_body_that_is_no_object_is_a_400(acme: Home, project: Project, text: bytes) -> None:
    answer = acme.api().post(TRAININGS, text, content_type=JSON)
    assert answer.status_code == 400 and answer.json()["message"]


def test_a_name_lives_once_in_a_project(acme: Home, project: Project) -> None:
    assert submit(acme, project).status_code == 202
    answer = submit(acme, project)
    assert answer.status_code == 409 and "train" in answer.json()["message"]


def test_a_name_is_free_again_after_deletion_under_another_object(acme: Home, project: Project) -> None:
    first = submit(acme, project).json()["workloadId"]
    acme.api().delete(f"{TRAININGS}/{first}")
    second = submit(acme, project)
    assert second.status_code == 202
    names = set(Workload.objects.values_list("object_name", flat=True))
    assert len(names) == 2 and "train" in names


def test_equal_names_in_two_projects(acme: Home, project: Project) -> None:
    other = make_project(project.cluster, "team-b")
    assert submit(acme, project).status_code == submit(acme, other).status_code == 202


def test_the_same_key_and_body_is_one_workload(acme: Home, project: Project) -> None:
    api, key = acme.api(), {"headers": {"Idempotency-Key": "k1"}}
    answers = [api.post(TRAININGS, body(project), content_type=JSON, **key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["workloadId"] for answer in answers}) == 1
    assert Workload.objects.count() == 1


def test_the_same_key_with_another_body_is_a_conflict(acme: Home, project: Project) -> None:
    api, key = acme.api(), {"headers": {"Idempotency-Key": "k1"}}
    api.post(TRAININGS, body(project), content_type=JSON, **key)
    assert api.post(TRAININGS, body(project, name="other"), content_type=JSON, **key).status_code == 409


def test_a_refused_request_leaves_its_key_free(acme: Home, project: Project) -> None:
    api, key = acme.api(), {"headers": {"Idempotency-Key": "k1"}}
    assert api.post(TRAININGS, body(project, name="BAD"), content_type=JSON, **key).status_code == 400
    assert api.post(TRAININGS, body(project), content_type=JSON, **key).status_code == 202


def test_a_prefix_gets_a_tail(acme: Home, project: Project) -> None:
    answer = submit(acme, project, useGivenNameAsPrefix=True)
    assert answer.json()["name"].startswith("train-") and len(answer.json()["name"]) == 11


def test_suspend_resume_delete_are_accepted(acme: Home, project: Project, contract: Any) -> None:
    api, one = acme.api(), f"{TRAININGS}/{submit(acme, project).json()['workloadId']}"
    for verb, desired, suspend in (("suspend", "Stopped", True), ("resume", "Running", False)):
        answer = api.post(f"{one}/{verb}")
        contract("POST", f"{TRAININGS}/{{workloadId}}/{verb}", answer)
        assert api.get(one).json()["desiredPhase"] == desired
        (document,) = [doc for key, doc in documents(project.cluster).items() if key.startswith("workload/")]
        assert document["spec"]["suspend"] is suspend
    contract("DELETE", TRAININGS + "/{workloadId}", api.delete(one))
    assert [doc for key, doc in documents(project.cluster).items() if key.startswith("workload/")] == [None]


def test_a_type_has_its_own_route(acme: Home, project: Project) -> None:
    made = submit(acme, project).json()["workloadId"]
    assert acme.api().get(f"{WORKLOADS}/workspaces/{made}").status_code == 404


@pytest.mark.parametrize(
    ("plural", "spec", "kind"),
    [
        ("distributed", {"numWorkers": 4, "distributedFramework": "PyTorch"}, "Distributed"),
        ("workspaces", {}, "Workspace"),
    ],
)
def test_the_other_types_are_thin(
    acme: Home, project: Project, contract: Any, plural: str, spec: Any, kind: str
) -> None:
    path = f"{WORKLOADS}/{plural}"
    answer = acme.api().post(path, body(project, spec=spec), content_type=JSON)
    contract("POST", path, answer)
    one = acme.api().get(f"{path}/{answer.json()['workloadId']}")
    contract("GET", path + "/{workloadId}", one)
    assert acme.api().get(f"{WORKLOADS}/{answer.json()['workloadId']}").json()["type"] == kind


def test_a_researcher_submits_only_in_their_project(acme: Home, cluster: Cluster) -> None:
    mine, theirs = make_project(cluster, "mine"), make_project(cluster, "theirs")
    make_workload(theirs, "hidden")
    grant("bob@example.test", "researcher", mine.scope)
    api = acme.api("bob@example.test")
    assert api.post(TRAININGS, body(mine), content_type=JSON).status_code == 202
    refused = api.post(TRAININGS, body(theirs), content_type=JSON)
    assert refused.status_code == 400 and refused.json()["errors"][0]["field"] == "projectId"
    assert [row["name"] for row in api.get(WORKLOADS).json()["workloads"]] == ["train"]


def test_a_viewer_reads_and_changes_nothing(acme: Home, workload: Workload) -> None:
    grant("bob@example.test", "viewer")
    api = acme.api("bob@example.test")
    assert api.get(f"{WORKLOADS}/{workload.pk}").status_code == 200
    assert api.post(TRAININGS, body(workload.project, name="b"), content_type=JSON).status_code == 403
    assert api.delete(f"{TRAININGS}/{workload.pk}").status_code == 403
    assert api.post(f"{TRAININGS}/{workload.pk}/suspend").status_code == 403


def test_a_hidden_workload_is_not_found(acme: Home, workload: Workload) -> None:
    other = make_project(workload.cluster, "team-b")
    grant("bob@example.test", "researcher", other.scope)
    api = acme.api("bob@example.test")
    for path in ("", "/pods", "/events", "/history", "/yaml", "/logs"):
        assert api.get(f"{WORKLOADS}/{workload.pk}{path}").status_code == 404


def test_nobody_without_a_token(acme: Home, workload: Workload) -> None:
    assert acme.client().get(WORKLOADS).status_code == 401


def test_a_batch_says_what_became_of_each(acme: Home, workload: Workload, contract: Any) -> None:
    missing = str(uuid4())
    data = {"ids": [str(workload.pk), missing], "action": "suspend"}
    answer = acme.api().post(f"{WORKLOADS}/batch", data, content_type=JSON)
    contract("POST", f"{WORKLOADS}/batch", answer)
    assert answer.json()["succeeded"] == [str(workload.pk)]
    assert [(item["id"], item["code"]) for item in answer.json()["failed"]] == [(missing, 404)]


def test_yaml_is_what_a_person_would_apply(acme: Home, workload: Workload) -> None:
    text = acme.api().get(f"{WORKLOADS}/{workload.pk}/yaml").content.decode()
    assert "kind: Workload" in text and "run.ai/workload-id" not in text


def test_a_submission_by_the_command_says_so(acme: Home, project: Project) -> None:
    agent = {"headers": {"user-agent": "runai-cli/0.1.0"}}
    made = acme.api().post(TRAININGS, body(project), content_type=JSON, **agent).json()["workloadId"]
    assert acme.api().get(f"{WORKLOADS}/{made}").json()["source"] == "CLI"
