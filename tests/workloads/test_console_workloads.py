"""The list of workloads: filters and short addresses, columns, acts on many, files; within its budget."""

import csv
import io
import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import AuditEntry
from tests.conftest import grant
from tests.factories.scene import build_scene, measure
from workloads.models import DesiredPhase, Workload

pytestmark = pytest.mark.services
BULK = "/workloads/bulk/"


@pytest.fixture
def scene(acme):
    return build_scene(workloads=120)


def text(answer):
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()


def names(acme, query):
    return {row["name"] for row in json.loads(text(acme.browser().get(f"/workloads/?{query}&export=json")))}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("phase=Failed", {"asr-finetune-fr"}),
        ("f=phase%3D%3DFailed", {"asr-finetune-fr"}),
        ("phase=Pending&q=dpo", {"reward-model-dpo"}),
        ("type=workspace", {"notebook-amir"}),
        ("f=project%3D%40spee&phase=active", {"notebook-amir"}),
        ("f=type%3D%3Dtraining&f=finished%3D%3Dfalse&f=project%3D%3Dvision",
         {"vit-large-finetune-0412", "clip-train-base", "resnet-sweep-17"}),
        ("owner=dana@acme.example&phase=Stopped", {"ctr-sweep"}),
        ("pool=a100&phase=Stopped", {"ctr-sweep"}),
        ("pool=elsewhere", set()),
        ("show=deleted", set()),
        ("f=department%3D%3Dproduct&f=finished%3D%3Dtrue&q=ctr", {"ctr-sweep", "ctr-baseline"}),
    ],
)  # fmt: skip
def test_filters_and_short_addresses_find_the_same(acme, scene, query, found):
    assert names(acme, query) == found


def test_a_short_address_of_no_meaning_shows_all(acme, scene):
    assert len(names(acme, "phase=Sleeping&type=dance&show=everything")) == 130


def test_a_short_address_stands_as_a_chip_and_replaces_the_one_before(acme, scene):
    body = text(acme.browser().get("/workloads/?f=phase%3D%3DRunning&phase=Failed"))
    assert body.count("Remove filter: Phase") == 1
    assert "asr-finetune-fr" in body
    assert "clip-train-base" not in body


def test_mine_are_those_of_who_looks(acme, scene):
    Workload.objects.filter(name="clip-train-base").update(submitted_by="alice@example.test")
    assert names(acme, "f=mine%3D%3Dtrue") == {"clip-train-base"}
    assert "clip-train-base" not in names(acme, "f=mine%3D%3Dfalse")


def test_deleted_ones_are_listed_where_asked_for(acme, scene):
    gone = scene.workloads["ctr-sweep"]
    Workload.objects.filter(pk=gone.pk).update(deleted_at=gone.updated_at)
    assert "ctr-sweep" not in names(acme, "q=ctr")
    assert names(acme, "f=deleted%3D%3Dtrue") == {"ctr-sweep"}


def test_columns_are_chosen_and_the_menu_of_a_row_stays(acme, scene):
    body = text(acme.browser().get("/workloads/?columns=image,cluster&q=clip"))
    head = body.split("<thead>")[1].split("</thead>")[0]
    assert "Image" in head
    assert "Priority" not in head
    assert "example.local/train:2.4" in body
    assert "Actions for clip-train-base" in body


def test_the_file_holds_every_column_but_the_menu(acme, scene):
    measure(scene)
    rows = list(csv.DictReader(io.StringIO(text(acme.browser().get("/workloads/?q=clip&export=csv")))))
    assert "actions" not in rows[0]
    assert (rows[0]["project"], rows[0]["department"], rows[0]["gpu"]) == ("vision", "research", "4.0")
    assert 60 < float(rows[0]["use"]) < 100
    assert AuditEntry.objects.filter(action="export", entity_name="workloads").count() == 1


def test_the_file_is_all_that_match_in_the_order_of_the_list(acme, scene):
    body = text(acme.browser().get("/workloads/?q=sweep-0&sort=name&order=desc&export=json"))
    found = [row["name"] for row in json.loads(body)]
    assert found == [f"sweep-{number:05d}" for number in range(119, -1, -1)]


@pytest.mark.parametrize(
    "sort", ["name", "phase", "project", "gpu", "priority", "owner", "age", "completed", "cluster"]
)
def test_every_order_is_a_page_within_the_budget(acme, scene, sort):
    client = acme.browser()
    client.get("/workloads/")
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(f"/workloads/?sort={sort}&order=desc&page=2")
    assert answer.status_code == 200
    assert "51 to 100 of 130" in text(answer)
    assert len(seen) <= 15


def test_many_acts_tell_of_every_row(acme, scene):
    runs, ended = scene.workloads["clip-train-base"], scene.workloads["ctr-baseline"]
    answer = acme.browser().post(BULK, {"verb": "suspend", "ids": f"{runs.pk},{ended.pk},not-an-id"})
    body = text(answer)
    assert answer.status_code == 207
    assert "ctr-baseline is Completed" in body
    runs.refresh_from_db()
    assert runs.desired_phase == DesiredPhase.STOPPED


def test_all_that_match_are_those_of_the_filters(acme, scene):
    form = {"verb": "delete", "every": "yes", "query": "q=sweep-000&f=phase%3D%3DCompleted", "ids": ""}
    assert acme.browser().post(BULK, form).status_code == 200
    leaving = Workload.objects.filter(desired_phase=DesiredPhase.DELETED).values_list("name", flat=True)
    assert sorted(leaving) == [f"sweep-{number:05d}" for number in range(100)]


def test_all_that_match_are_of_the_scope_shown_whatever_another_tab_chose(acme, scene):
    project, client = scene.workloads["ctr-sweep"].project, acme.browser()
    shown = text(client.get(f"/workloads/?scope={project.scope_id}"))
    client.get("/workloads/?scope=all")
    action = re.search(r'id="bulk-delete".*?action="([^"]+)"', shown)[1]
    client.post(action, {"verb": "delete", "every": "yes", "query": "", "ids": ""})
    leaving = Workload.objects.filter(desired_phase=DesiredPhase.DELETED)
    assert set(leaving.values_list("project_id", flat=True)) == {project.pk}


def test_a_viewer_is_offered_no_act_and_may_do_none(acme, scene):
    grant("bob@example.test", "viewer", scene.cluster.scope)
    client = acme.browser("bob@example.test")
    body = text(client.get("/workloads/"))
    assert "bulk-suspend" not in body
    assert 'class="stick c-check"' not in body
    ids = str(scene.workloads["clip-train-base"].pk)
    assert client.post(BULK, {"verb": "suspend", "ids": ids}).status_code == 403


def test_a_researcher_stops_none_of_another_project(acme, scene):
    grant("bob@example.test", "researcher", scene.projects["vision"].scope)
    other = scene.workloads["notebook-amir"]
    body = text(acme.browser("bob@example.test").post(BULK, {"verb": "suspend", "ids": str(other.pk)}))
    assert "Nothing was selected" in body
    other.refresh_from_db()
    assert other.desired_phase == DesiredPhase.RUNNING


def test_an_act_that_is_none_is_refused(acme, scene):
    assert acme.browser().post(BULK, {"verb": "explode", "ids": ""}).status_code == 400
