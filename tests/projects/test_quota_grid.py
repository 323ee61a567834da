"""The quota grid: sheets and cells first, then a save of many rows, then its pages."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import AuditEntry
from access.services.bootstrap import system_actor
from access.services.settings import write_setting
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import NodePool
from projects.grid import SHEETS
from projects.models import Department, Project, Quota
from projects.quotas import QuotaError
from projects.services import CreateDepartment, create_department, set_quotas
from projects.services.quotas import LIMITED
from projects.views import grid_table
from tests.conftest import grant
from tests.fixtures_rooms import documents, make_cluster, make_project

pytestmark = pytest.mark.services
SAVE, PREVIEW, PAGE = "/projects/quotas/save", "/projects/quotas/preview", "/projects/quotas/"


@pytest.mark.parametrize(
    ("sheet", "text", "value"),
    [
        ("gpu.deserved", "2.5", 2500),
        ("gpu.deserved", "", 0),
        ("gpu.limit", "", -1),
        ("gpu.limit", "no limit", -1),
        ("cpu.deserved", "∞", -1),
        ("memory.limit", "1.5", 3 << 29),
        ("rank", "Very high", 200),
        ("rank", "", 100),
    ],
)
def test_a_cell_is_read_as_people_type_it(sheet, text, value):
    assert SHEETS[sheet].read(text) == value


@pytest.mark.parametrize(
    ("sheet", "text"),
    [
        ("gpu.deserved", "-1"),
        ("gpu.deserved", "NaN"),
        ("gpu.deserved", "∞"),
        ("gpu.deserved", "1e9"),
        ("gpu.deserved", "0.0001"),
        ("gpu.deserved", "1,5"),
        ("gpu.deserved", "8 GiB"),
        ("gpu.deserved", "٣"),
        ("gpu.weight", "-0.5"),
        ("memory.limit", "16GB"),
        ("rank", "highest"),
        ("rank", "100"),
    ],
)
def test_what_cannot_be_a_value_is_refused_with_what_can(sheet, text):
    with pytest.raises(QuotaError) as refused:
        SHEETS[sheet].read(text)
    assert refused.value.problem.given == text
    assert refused.value.problem.allowed


@pytest.mark.parametrize("value", [0, 1, 500, 2500, 10**9])
def test_what_a_cell_shows_reads_back_the_same(value):
    sheet = SHEETS["gpu.deserved"]
    assert sheet.read(sheet.write(value)) == value


@pytest.fixture
def tree(acme):
    """A department that deserves 8 GPUs with two projects of 4."""
    cluster = make_cluster()
    wanted = CreateDepartment("research", cluster, quotas=_gpus(8))
    department = create_department(actor=system_actor(), request=wanted)
    for name in ("vision", "nlp"):
        make_project(cluster, name, department=department, quotas=_gpus(4))
    return cluster


def _gpus(count):
    return (PoolQuota("default", gpu=ResourceQuota(count * 1000)),)


def cells(cluster, **wanted):
    """``{"p:vision": ("gpu.deserved", "6"), …}`` as the browser sends it, versions as they are now."""
    pool = NodePool.objects.get(cluster=cluster, name="default").pk
    units = []
    for where, (sheet, value) in wanted.items():
        kind, name = where.split("_", 1)
        row = (Project if kind == "p" else Department).objects.get(cluster=cluster, scope__name=name)
        change = {"pool": pool, "sheet": sheet, "value": value, "was": ""}
        units.append({"unit": f"{kind}{row.pk}", "version": row.version, "cells": [change]})
    return {"cluster": str(cluster.pk), "units": units}


def send(client, path, body):
    return client.post(path, json.dumps(body), content_type="application/json")


def deserved(name):
    return Quota.objects.get(project__scope__name=name, node_pool__name="default").gpu_deserved_milli


def test_a_save_writes_all_rows_once_and_owes_the_cluster_their_documents(acme, tree):
    body = cells(tree, p_vision=("gpu.deserved", "6"), p_nlp=("gpu.deserved", "2"))
    answer = send(acme.browser(), SAVE, body)
    assert (answer.status_code, set(answer.json()["versions"].values())) == (200, {2})
    assert (deserved("vision"), deserved("nlp")) == (6000, 2000)
    assert documents(tree)["project/vision"]["spec"]["quotas"][0]["gpu"]["deserved"] == 6000
    entry = AuditEntry.objects.filter(action="update-resources", entity_name="vision").latest("pk")
    assert (entry.before, entry.after) == ({"default.gpu.deserved": "4"}, {"default.gpu.deserved": "6"})


def test_other_values_of_the_pool_stay(acme, tree):
    Quota.objects.filter(project__scope__name="vision").update(gpu_weight=3000, priority=200)
    send(acme.browser(), SAVE, cells(tree, p_vision=("gpu.deserved", "6")))
    row = Quota.objects.get(project__scope__name="vision", node_pool__name="default")
    assert (row.gpu_weight, row.priority) == (3000, 200)


def test_one_wrong_cell_keeps_all_as_they_were(acme, tree):
    body = cells(tree, p_vision=("gpu.deserved", "6"), p_nlp=("gpu.deserved", "many"))
    answer = send(acme.browser(), SAVE, body)
    assert answer.status_code == 422
    nlp = Project.objects.get(scope__name="nlp").pk
    assert f'data-wrong="p{nlp}|default|gpu.deserved"' in answer.content.decode()
    assert deserved("vision") == 4000


def test_a_limit_below_the_quota_is_said_at_the_limit(acme, tree):
    answer = send(acme.browser(), SAVE, cells(tree, p_vision=("gpu.limit", "2")))
    assert "the limit must be at least the quota, 4 GPUs" in answer.content.decode()


def test_who_comes_second_is_refused_and_sees_both_values(acme, tree):
    body = cells(tree, p_vision=("gpu.deserved", "6"), p_nlp=("gpu.deserved", "1"))
    set_quotas(
        actor=system_actor(),
        owner=Project.objects.with_names().get(scope__name="vision"),
        wanted=_gpus(5),
    )
    answer = send(acme.browser(), SAVE, body)
    text = answer.content.decode()
    assert answer.status_code == 412
    assert 'data-now="5"' in text
    assert 'data-version="2"' in text
    assert (deserved("vision"), deserved("nlp")) == (5000, 4000)


def test_quota_moves_between_projects_of_a_department_that_may_not_be_over_committed(acme, tree):
    """The sums are judged once all cells are in, whatever their order."""
    write_setting(actor=system_actor(), key=LIMITED, value=True)
    client = acme.browser()
    moved = send(client, SAVE, cells(tree, p_vision=("gpu.deserved", "7"), p_nlp=("gpu.deserved", "1")))
    beyond = send(client, SAVE, cells(tree, p_vision=("gpu.deserved", "8"), p_nlp=("gpu.deserved", "1")))
    assert (moved.status_code, beyond.status_code) == (200, 422)
    assert "research: 9 GPUs in sum, at most 8 GPUs" in beyond.content.decode()
    assert deserved("vision") == 7000


def test_safe_mode_refuses_a_save(acme, tree):
    type(tree).objects.filter(pk=tree.pk).update(safe_mode=True)
    answer = send(acme.browser(), SAVE, cells(tree, p_vision=("gpu.deserved", "6")))
    assert (answer.status_code, "safe mode" in answer.content.decode()) == (409, True)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"cluster": "x", "units": []}',
        b'{"cluster": null, "units": [1]}',
        b"[" * 100_000,
        b'{"cluster": "00000000-0000-0000-0000-000000000000", "units": [{}]}',
    ],
)
@pytest.mark.parametrize("path", [SAVE, PREVIEW])
def test_bodies_that_no_grid_sends_are_refused(acme, tree, path, body):
    answer = acme.browser().post(path, body, content_type="application/json")
    assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("cells", 5),
        ("cells", [{"pool": [], "sheet": "gpu.deserved", "value": "1"}]),
        ("cells", [[]]),
        ("unit", "p" + "9" * 5000),
        ("unit", "p\ud800"),
        ("version", []),
    ],
)
@pytest.mark.parametrize("path", [SAVE, PREVIEW])
def test_a_part_of_another_kind_is_refused(acme, tree, path, where, value):
    body = cells(tree, p_vision=("gpu.deserved", "6"))
    body["units"][0][where] = value
    assert send(acme.browser(), path, body).status_code in (404, 422)


@pytest.mark.parametrize("value", [[[1]], "\ud800"])
def test_a_value_that_cannot_be_one_is_refused(acme, tree, value):
    assert send(acme.browser(), SAVE, cells(tree, p_vision=("rank", value))).status_code == 422


def test_a_preview_answers_in_words_and_writes_nothing(acme, tree):
    answer = send(acme.browser(), PREVIEW, cells(tree, p_vision=("gpu.deserved", "6")))
    assert (answer.status_code, "What it does" in answer.content.decode()) == (200, True)
    assert deserved("vision") == 4000


def test_an_administrator_of_a_project_changes_its_row_and_no_other(acme, tree):
    vision = Project.objects.get(scope__name="vision")
    grant("bob@example.test", "administrator", vision.scope)
    client = acme.browser("bob@example.test")
    page = client.get(PAGE).content.decode()
    assert page.count("data-edit") == 1
    assert ">nlp<" not in page
    assert send(client, SAVE, cells(tree, p_nlp=("gpu.deserved", "1"))).status_code == 404
    assert send(client, SAVE, cells(tree, d_research=("gpu.deserved", "1"))).status_code == 403
    assert send(client, SAVE, cells(tree, p_vision=("gpu.deserved", "1"))).status_code == 200


def test_a_viewer_reads_and_may_not_save(acme, tree):
    grant("bob@example.test", "viewer", tree.scope)
    client = acme.browser("bob@example.test")
    assert "data-edit" not in client.get(PAGE).content.decode()
    assert send(client, SAVE, cells(tree, p_vision=("gpu.deserved", "1"))).status_code == 403


def test_a_department_whose_projects_get_more_than_it_has_is_marked(acme, tree):
    send(acme.browser(), SAVE, cells(tree, p_vision=("gpu.deserved", "6")))
    text = acme.browser().get(PAGE).content.decode()
    assert '<td class="over">8<i>10</i></td>' in text


@pytest.mark.parametrize("sheet", list(SHEETS))
def test_every_sheet_has_a_page(acme, tree, sheet):
    answer = acme.browser().get(f"{PAGE}?sheet={sheet}")
    assert answer.status_code == 200
    assert f'data-sheet="{sheet}"' in answer.content.decode()


def test_the_number_of_queries_does_not_grow_with_the_rows(acme, tree):
    client = acme.browser()
    client.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        client.get(PAGE)
    for number in range(6):
        make_project(tree, f"more-{number}")
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE)
    assert len(many) <= len(few) + 1  # the department default came with them


@pytest.mark.parametrize("gone", ["vision", "research"])
def test_what_is_deleted_while_the_page_is_read_is_no_failure(acme, tree, monkeypatch, gone):
    order = grid_table._order

    def deleted_meanwhile(*names):
        for model in (Department, Project):
            model.objects.filter(scope__name=gone).delete()
        return order(*names)

    monkeypatch.setattr(grid_table, "_order", deleted_meanwhile)
    answer = acme.browser().get(PAGE)
    assert answer.status_code == 200
    assert 'data-name="nlp"' in answer.content.decode()


def test_the_grid_keeps_the_budget_of_a_list(acme, tree):
    client = acme.browser()
    client.get(PAGE)
    with CaptureQueriesContext(connection) as seen:
        client.get(PAGE)
    assert len(seen) <= 15


def test_a_department_goes_on_under_its_own_name_on_the_next_page(acme, tree, monkeypatch):
    monkeypatch.setattr(grid_table, "ROWS", 2)
    page = acme.browser().get(f"{PAGE}?page=2").content.decode()
    assert re.findall('data-name="([a-z]+)" data-version', page) == ["research", "vision"]
