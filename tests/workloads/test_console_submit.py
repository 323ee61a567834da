"""The submit form: what it becomes, what it refuses, and that the four texts say the same."""

import json
import shlex
from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner

from cli.commands import trainings
from tests.factories.scene import build_scene
from workloads.forms import SubmitForm, initial_of
from workloads.models import Workload
from workloads.services.submit import submit_workload
from workloads.specs.api_shapes import read_creation
from workloads.specs.compile import compile_spec
from workloads.specs.manifest import read_manifest
from workloads.specs.request import SubmitRequest
from workloads.views import texts
from workloads.views.quota_check import Place, verdict

pytestmark = pytest.mark.services
FULL = {
    "name": "vit-large", "image": "registry.example/vision/train:2.4", "command": "python train.py --lr '1e-3 x'",
    "arguments": "--epochs 3", "gpus": "2", "pool": "a100", "priority": "high", "preemption": "non-preemptible",
    "cpu": "4", "cpu_limit": "8", "memory": "8Gi", "memory_limit": "16Gi", "working_dir": "/workspace",
    "environment": "A=1\nB=two words\nC=", "pull_secrets": "registry, team.registry", "backoff_limit": "2",
    "ttl": "3600",
}  # fmt: skip


@pytest.fixture
def scene(acme):
    return build_scene()


def values(scene, **changes):
    return {"project": str(scene.projects["vision"].pk), "idempotency_key": "k-1"} | FULL | changes


def request_of(scene, **changes) -> SubmitRequest:
    projects = type(scene.projects["vision"]).objects.all()
    form = SubmitForm(values(scene, **changes), projects=projects, pools=list(scene.cluster.node_pools.all()))
    assert form.is_valid(), form.errors
    return form.to_request()


def test_the_form_becomes_a_request(scene):
    found = request_of(scene)
    assert found.command == ("python", "train.py", "--lr", "1e-3 x")
    assert found.args == ("--epochs", "3")
    assert [(item.name, item.value) for item in found.environment] == [("A", "1"), ("B", "two words"), ("C", "")]
    assert (found.gpu_devices, found.gpu_portion, found.node_pools) == ("2", None, ("a100",))
    assert (found.backoff_limit, found.ttl_seconds_after_finished) == (2, 3600)
    assert found.image_pull_secrets == ("registry", "team.registry")


@pytest.mark.parametrize(("gpus", "devices", "portion"), [("0", "0", None), ("0.5", "1", "0.5"), (" 3 ", "3", None)])
def test_one_number_of_gpus_is_devices_or_a_part(scene, gpus, devices, portion):
    found = request_of(scene, gpus=gpus)
    assert (found.gpu_devices, found.gpu_portion) == (devices, portion)


def test_workers_make_a_gang(scene):
    found = request_of(scene, workers="4", framework="PyTorch")
    assert (found.type, found.workers, found.framework) == ("distributed", 4, "PyTorch")


def test_copying_fills_the_form_with_the_same_request(scene):
    asked = request_of(scene)
    again = request_of(scene, **initial_of(asked))
    assert again == asked


def test_submitting_the_same_form_twice_makes_one(acme, scene):
    client = acme.browser()
    first = client.post("/workloads/new/", values(scene))
    second = client.post("/workloads/new/", values(scene))
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    assert Workload.objects.filter(name="vit-large").count() == 1


def test_a_taken_name_is_said_and_nothing_is_lost(acme, scene):
    answer = acme.browser().post("/workloads/new/", values(scene, name="clip-train-base"))
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "exists already" in body
    assert "registry.example/vision/train:2.4" in body


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "-x", "lower-case letters"),
        ("image", "a b", "without spaces"),
        ("gpus", "-1", "number of devices"),
        ("gpus", "NaN", "number of devices"),
        ("gpus", "1.5", "ask for 2 devices"),
        ("cpu", "lots", "cores above 0"),
        ("memory", "-1Gi", "quantity above 0"),
        ("command", "echo 'open", "quoting"),
        ("environment", "1A=x", "variable"),
        ("pull_secrets", "registry Bad_Name", "&#x27;Bad_Name&#x27; is not allowed"),
        ("workers", "0", "1 to 1000"),
        ("workers", "many", "whole number"),
        ("backoff_limit", "-1", "0 to 100"),
        ("pool", "nowhere", "nowhere"),
        ("project", "999999", "valid choice"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field(acme, scene, field, value, says):
    answer = acme.browser().post("/workloads/new/", values(scene, **{field: value}))
    body = answer.content.decode()
    assert answer.status_code == 422
    assert f'id="f-{field}-e"' in body
    assert says in body
    assert not Workload.objects.filter(name="vit-large").exists()


def test_yaml_json_and_form_compile_to_the_same(scene):
    asked = request_of(scene)
    project, cluster = asked.project_id, str(scene.cluster.pk)
    expected = compile_spec(asked)
    text = texts.yaml_text(asked, "runai-vision")
    assert yaml.safe_load(text)["metadata"]["namespace"] == "runai-vision"
    assert compile_spec(read_manifest(text, project_id=project, cluster_id=None)) == expected
    assert compile_spec(read_creation(json.loads(texts.json_text(asked, cluster)), "training")) == expected


def test_the_command_line_sends_the_same_body(scene, monkeypatch):
    asked = request_of(scene, arguments="")
    sent: list[dict[str, object]] = []

    class Recorder:
        def __init__(self, config):
            pass

        def post(self, path, body):
            sent.append(body)
            return {"name": body["name"], "workloadId": "x"}

    row = {"id": asked.project_id, "clusterId": str(scene.cluster.pk), "name": "vision"}
    monkeypatch.setattr(trainings, "Client", Recorder)
    monkeypatch.setattr(trainings, "find_project", lambda client, config, name: row)
    words = _words(texts.cli_text(asked, "vision"))
    result = CliRunner().invoke(trainings.training, words[2:] if words[1] == "training" else words, obj=None)
    assert result.exit_code == 0, result.output
    found, expected = compile_spec(read_creation(sent[0], "training")), compile_spec(asked)
    assert found.command + found.args == expected.command
    assert replace(found, command=expected.command, args=()) == expected


def _words(text: str) -> list[str]:
    return shlex.split(text.replace("\\\n", " "))


def test_a_preview_of_an_empty_form_shows_the_shape_and_what_is_missing(acme, scene):
    data = {"project": str(scene.projects["vision"].pk), "gpus": "1"}
    body = acme.browser().post("/workloads/preview/", data, headers={"HX-Request": "true"}).content.decode()
    assert "Examples stand in until you give: Name, Image" in body
    assert "name: my-training" in body


def test_nobody_submits_to_a_project_they_may_only_see(acme, scene, alice):
    before = Workload.objects.count()
    answer = acme.browser("charlie@example.test").post("/workloads/new/", values(scene))
    assert answer.status_code == 403
    assert Workload.objects.count() == before


PLACE = Place("vision", "a100", quota=8000, limit=-1, used=6000, used_non_preemptible=6000, free=10_000, total=40_000)


@pytest.mark.parametrize(
    ("asked", "preemptible", "change", "tone", "says"),
    [
        (0, True, {}, "ok", "No GPU asked"),
        (2000, False, {}, "ok", "Fits the quota"),
        (4000, True, {}, "ok", "over quota by 2"),
        (4000, False, {}, "wait", "2 of 8 left"),
        (12_000, True, {}, "wait", "10 free GPUs now, this asks 12"),
        (50_000, True, {}, "wait", "the pool has 40"),
        (4000, True, {"limit": 8000}, "wait", "6 of its limit of 8"),
        (4000, True, {"quota": -1}, "ok", "Fits the quota"),
    ],
)
def test_the_quota_check_names_the_first_obstacle(asked, preemptible, change, tone, says):
    found = verdict(replace(PLACE, **change), asked, preemptible)
    assert found.tone == tone
    assert says in found.sentence


def test_acts_go_back_to_where_the_person_was(acme, scene, alice):
    made = submit_workload(actor=alice, request=request_of(scene))
    client = acme.browser()
    answer = client.post(f"/workloads/{made.pk}/suspend", {"back": "/workloads/?phase=active"})
    assert answer["Location"] == "/workloads/?phase=active"
    assert client.post(f"/workloads/{made.pk}/resume", {"back": "https://evil.example/"})["Location"] == "/workloads/"
    assert client.get(f"/workloads/{made.pk}/delete").status_code == 405
