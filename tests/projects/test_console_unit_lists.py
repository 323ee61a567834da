"""The lists of projects and departments: filters, orders, sums, files, and deleting many after asking."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import AccessRule
from access.services.bootstrap import system_actor
from projects.models import Department, Project
from projects.services import CreateDepartment, CreateProject, create_department, create_project
from tests.conftest import grant
from tests.factories.scene import build_scene
from tests.pages import names, text

pytestmark = pytest.mark.services


@pytest.fixture
def scene(acme):
    return build_scene()


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("/projects/", "", ["ranking", "nlp", "speech", "vision"]),
        ("/projects/", "sort=allocated&order=desc", ["nlp", "vision", "speech", "ranking"]),
        ("/projects/", "sort=quota&order=desc&f=department%3D%3Dresearch", ["nlp", "vision", "speech"]),
        ("/projects/", "f=namespace%3D%40vision", ["vision"]),
        ("/projects/", "f=phase%3D%3DDeleting", []),
        ("/projects/", "q=sp", ["speech"]),
        ("/departments/", "sort=quota&f=cluster%3D%3Dhall-a&f=name%21%3Ddefault", ["product", "research"]),
        ("/departments/", "q=res", ["research"]),
    ],
)
def test_filters_and_orders(acme, scene, path, query, found):
    assert names(acme, path, query) == found


def test_the_sentence_sums_all_that_match_and_not_the_page(acme, scene):
    client = acme.browser()
    body = text(client.get("/projects/?f=department%3D%3Dresearch"))
    assert "3 projects in 1 department." in body
    assert "33 GPUs are allocated, 32 are promised as quota" in body
    assert "33 GPUs are allocated, 24 are promised as quota" in text(client.get("/departments/?q=research"))


def test_what_is_over_quota_says_by_how_much(acme, scene):
    assert "+6 over" in text(acme.browser().get("/projects/?q=nlp"))


@pytest.mark.parametrize("path", ["/projects/", "/departments/"])
def test_the_queries_of_a_list_do_not_grow(acme, scene, path):
    client = acme.browser()
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    for number in range(30):
        made = create_department(
            actor=system_actor(), request=CreateDepartment(name=f"d{number:02d}", cluster=scene.cluster)
        )
        create_project(
            actor=system_actor(),
            request=CreateProject(name=f"p{number:02d}", cluster=scene.cluster, department=made),
        )
    with CaptureQueriesContext(connection) as many:
        client.get(path)
    assert len(many) == len(few) <= 15


@pytest.mark.parametrize("sort", ["name", "phase", "department", "allocated", "quota", "namespace", "created"])
def test_every_order_of_projects_is_a_page(acme, scene, sort):
    assert "clip" not in text(acme.browser().get(f"/projects/?sort={sort}&order=desc"))


def test_deleting_many_says_what_goes_and_wants_the_phrase(acme, scene):
    client, rows = acme.browser(), [scene.projects["vision"], scene.projects["speech"]]
    form = {"verb": "delete", "ids": ",".join(str(row.pk) for row in rows)}
    first = client.post("/projects/bulk", form)
    body = text(first)
    assert first.status_code == 200
    assert "<b>3</b>running workloads" in body
    assert "<b>11</b>GPUs released" in body
    assert "Type <code>delete 2 projects</code>" in body
    wrong = client.post("/projects/bulk", {**form, "typed": "delete 3 projects"})
    assert wrong.status_code == 422
    assert not Project.objects.exclude(delete_requested_at=None).exists()
    done = client.post("/projects/bulk", {**form, "typed": "delete 2 projects"})
    assert done.status_code == 200
    gone = Project.objects.exclude(delete_requested_at=None)
    assert sorted(row.name for row in gone.with_names()) == ["speech", "vision"]


def test_rows_that_come_in_meanwhile_are_not_deleted(acme, scene):
    """All that match were two; the page names them, and the phrase counts them."""
    client = acme.browser()
    form = {"verb": "delete", "every": "yes", "query": "f=name%3D%40s"}
    body = text(client.post("/projects/bulk", form))
    assert "delete 2 projects" in body
    create_project(
        actor=system_actor(),
        request=CreateProject(name="sunday", cluster=scene.cluster, department=scene.departments["product"]),
    )
    again = client.post("/projects/bulk", {**form, "typed": "delete 2 projects"})
    assert again.status_code == 422
    assert "delete 3 projects" in text(again)


def test_a_department_with_projects_stays_and_the_others_go(acme, scene):
    empty = create_department(actor=system_actor(), request=CreateDepartment(name="empty", cluster=scene.cluster))
    ids = f"{empty.pk},{scene.departments['research'].pk}"
    form = {"verb": "delete", "ids": ids, "typed": "delete 2 departments"}
    answer = acme.browser().post("/departments/bulk", form)
    assert answer.status_code == 207
    assert "has 3 projects" in text(answer)
    assert not Department.objects.filter(pk=empty.pk).exists()


@pytest.mark.parametrize("path", ["/projects/", "/departments/"])
def test_who_may_not_delete_is_not_offered_it(acme, scene, path):
    grant("bob@example.test", "viewer", scene.cluster.scope)
    client = acme.browser("bob@example.test")
    assert "bulk-delete" not in text(client.get(path))
    assert client.post(f"{path}bulk", {"verb": "delete", "ids": "1"}).status_code == 403


def test_a_department_administrator_deletes_nothing_elsewhere(acme, scene):
    grant("bob@example.test", "administrator", scene.departments["product"].scope)
    assert AccessRule.objects.filter(subject_name="bob@example.test").count() == 1
    other = scene.projects["vision"]
    form = {"verb": "delete", "ids": str(other.pk), "typed": "delete 1 project"}
    assert "Nothing was selected" in text(acme.browser("bob@example.test").post("/projects/bulk", form))
    other.refresh_from_db()
    assert other.delete_requested_at is None


def test_what_goes_with_a_project_is_told_to_nobody_who_may_not_delete_it(acme, scene):
    grant("bob@example.test", "administrator", scene.departments["product"].scope)
    other = scene.projects["vision"]
    grant("bob@example.test", "viewer", other.scope)
    body = text(acme.browser("bob@example.test").post("/projects/bulk", {"verb": "delete", "ids": str(other.pk)}))
    assert "running workloads" not in body
