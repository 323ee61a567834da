"""A project that is being deleted: nothing that anybody saves meanwhile puts its document back, or its row."""

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.services.bootstrap import system_actor
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import NodePool
from projects.models import Department, Project
from projects.services import (
    UpdateOrgUnit,
    create_project,
    delete_department,
    delete_project,
    set_quotas,
    update_department,
    update_project,
)
from projects.services.projects import CreateProject, remove_project
from projects.services.reports import add_node_pools
from projects.services.resets import reset_quotas
from runai_cp.lib.errors import Conflict, NotFound
from tests.conftest import Home
from tests.fixtures_rooms import connect, documents

pytestmark = pytest.mark.services
QUOTA = (PoolQuota("default", gpu=ResourceQuota(1000)),)
RULES = UpdateOrgUnit(scheduling_rules={"trainingJobTimeLimitSeconds": 60})


@pytest.fixture
def leaving(project: Project) -> Project:
    """As somebody else read it before its deletion was asked for."""
    connect(project.cluster)
    stale = Project.objects.select_related("scope", "department__scope", "cluster__scope").get()
    delete_project(actor=system_actor(), project=project)
    return stale


@pytest.mark.parametrize(
    "save",
    [
        lambda project: set_quotas(actor=system_actor(), owner=project, wanted=QUOTA),
        lambda project: update_project(actor=system_actor(), project=project, request=UpdateOrgUnit("new words")),
    ],
    ids=["quotas", "words"],
)
def test_a_save_is_refused(leaving: Project, save: Callable[[Project], object]) -> None:
    with pytest.raises(Conflict, match="team-a is being deleted"):
        save(leaving)
    assert documents(leaving.cluster)["project/team-a"] is None


def test_a_cell_of_the_grid_is_refused(acme: Home, leaving: Project) -> None:
    cell = {"pool": NodePool.objects.get().pk, "sheet": "gpu.deserved", "value": "1", "was": "0"}
    body = {
        "cluster": str(leaving.cluster_id),
        "units": [{"unit": f"p{leaving.pk}", "version": leaving.version, "cells": [cell]}],
    }
    answer = acme.browser().post("/projects/quotas/save", json.dumps(body), content_type="application/json")
    assert (answer.status_code, "team-a is being deleted" in answer.content.decode()) == (409, True)
    assert documents(leaving.cluster)["project/team-a"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda project: update_department(actor=system_actor(), department=project.department, request=RULES),
        lambda project: _new_pool(project),
        lambda project: _reset(project),
    ],
    ids=["a rule of its department", "a new node pool", "a reset of all quotas"],
)
def test_what_changes_around_it_does_not_bring_it_back(leaving: Project, change: Callable[[Project], object]) -> None:
    change(leaving)
    assert documents(leaving.cluster)["project/team-a"] is None


def _new_pool(project: Project) -> None:
    NodePool.objects.create(cluster=project.cluster, name="a100", label_value="a100", created_by="test")
    add_node_pools(project.cluster)


def _reset(project: Project) -> None:
    project.quotas.update(gpu_weight=5)
    pools = (NodePool.objects.get().pk,)
    reset_quotas(
        actor=system_actor(), model=Project, cluster_id=project.cluster_id, pool_ids=pools, action="WEIGHTS_TO_DEFAULT"
    )


def test_what_a_report_said_meanwhile_stays(project: Project) -> None:
    stale = Project.objects.select_related("scope", "department__scope", "cluster__scope").get()
    Project.objects.update(phase="Ready", report_seq=7)
    update_project(actor=system_actor(), project=stale, request=UpdateOrgUnit("new words"))
    stored = Project.objects.get()
    assert (stored.phase, stored.report_seq, stored.description) == ("Ready", 7, "new words")


def test_two_who_change_different_things_both_reach_the_cluster(project: Project) -> None:
    stale = Project.objects.select_related("scope", "department__scope", "cluster__scope").get()
    update_project(actor=system_actor(), project=project, request=RULES)
    update_project(actor=system_actor(), project=stale, request=UpdateOrgUnit("new words"))
    spec = documents(project.cluster)["project/team-a"]["spec"]
    assert (spec["description"], spec["schedulingRules"]) == ("new words", {"trainingTimeLimitSeconds": 60})


def test_a_department_is_locked_before_its_projects_are_counted(project: Project) -> None:
    """Who makes a project in it at the same time locks it too: the project is counted, or is not made."""
    department = Department.objects.select_related("scope", "cluster__scope").get()
    with CaptureQueriesContext(connection) as seen, pytest.raises(Conflict):
        delete_department(actor=system_actor(), department=department)
    words = [sql["sql"] for sql in seen]
    lock = next(at for at, sql in enumerate(words) if 'FOR UPDATE OF "projects_department"' in sql)
    count = next(at for at, sql in enumerate(words) if "COUNT(*)" in sql and "projects_project" in sql)
    assert lock < count


def test_no_project_is_made_in_a_department_that_has_gone(project: Project) -> None:
    stale = Department.objects.select_related("scope", "cluster__scope").get()
    remove_project(project)
    delete_department(actor=system_actor(), department=Department.objects.select_related("scope").get())
    with pytest.raises(NotFound):
        create_project(actor=system_actor(), request=CreateProject("late", stale.cluster, stale))
    assert not Project.objects.exists()
