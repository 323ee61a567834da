"""Scheduling rules, node types and default node pools in the console, and two who edit one form at once."""

import re

import pytest

from access.services.bootstrap import system_actor
from clusters.models import NodePool
from projects.models import Department, Project
from projects.services import UpdateOrgUnit, update_department, update_project
from tests.fixtures_rooms import documents, make_project
from tests.pages import text

pytestmark = pytest.mark.services
LIMIT, IDLE = "trainingJobTimeLimitSeconds", "trainingJobMaxIdleDurationSeconds"


@pytest.fixture
def project(cluster):
    return make_project(cluster, "vision")


def values(unit, **more):
    """What the form of a unit with nothing deserved sends."""
    return {f"quota-{pool.pk}": "0" for pool in NodePool.objects.filter(cluster=unit.cluster)} | more


def edit(home, unit, **more):
    kind = "projects" if isinstance(unit, Project) else "departments"
    return home.browser().post(f"/{kind}/{unit.pk}/edit/", values(unit, **more))


def test_rules_are_typed_as_people_say_them_and_reach_the_cluster(acme, project):
    sent = {LIMIT: "1 h 30 min", "training_types": "dgx, hgx", "default_pools": "default"}
    assert edit(acme, project, **sent).status_code == 302
    project.refresh_from_db()
    assert (project.scheduling_rules, project.node_types) == ({LIMIT: 5400}, {"training": ["dgx", "hgx"]})
    spec = documents(project.cluster)["project/vision"]["spec"]
    assert (spec["schedulingRules"], spec["defaultNodePools"]) == ({"trainingTimeLimitSeconds": 5400}, ["default"])


def test_the_form_shows_what_is_stored_and_an_unchanged_save_keeps_it(acme, project):
    rules = UpdateOrgUnit(scheduling_rules={LIMIT: 5400}, node_types={"workspace": ["a"]})
    update_project(actor=system_actor(), project=project, request=rules)
    form = text(acme.browser().get(f"/projects/{project.pk}/edit/"))
    shown = dict(re.findall(r'name="(\w+)" value="([^"]+)"', form))
    assert (shown[LIMIT], shown["workspace_types"]) == ("1 h 30 min", "a")
    edit(acme, project, **{name: shown[name] for name in (LIMIT, "workspace_types", "version")})
    project.refresh_from_db()
    assert (project.scheduling_rules, project.node_types) == ({LIMIT: 5400}, {"workspace": ["a"]})


def test_what_holds_is_shown_with_where_it_comes_from(acme, project):
    update_department(
        actor=system_actor(), department=project.department, request=UpdateOrgUnit(scheduling_rules={LIMIT: 3600})
    )
    page = text(acme.browser().get(f"/projects/{project.pk}/"))
    assert '<dt>Trainings run at most</dt><dd>1 h <span class="muted">from the department</span></dd>' in page
    page = text(acme.browser().get(f"/departments/{project.department_id}/"))
    assert "<dt>Trainings run at most</dt><dd>1 h</dd>" in page


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({LIMIT: "soon"}, LIMIT, "is not a length of time such as 45 min"),
        ({LIMIT: "0 s"}, LIMIT, "from 1 s to"),
        ({LIMIT: "2 h", IDLE: "2 h"}, IDLE, "must be shorter than the time to run at most, 2 h"),
        ({LIMIT: "5 h"}, LIMIT, "only tighten the department"),
        ({"training_types": "no spaces"}, "training_types", "list of at most 50 label values"),
        ({"default_pools": "nowhere"}, "default_pools", "allowed are"),
    ],
)
def test_a_wrong_rule_is_said_at_its_field_and_changes_nothing(acme, project, sent, field, says):
    Department.objects.update(scheduling_rules={LIMIT: 10_000})
    answer = edit(acme, project, **sent, description="new words")
    page = text(answer)
    assert answer.status_code == 422
    said = page.partition(f'id="f-{field}-e"')[2].partition("</p>")[0]
    assert says in said
    project.refresh_from_db()
    assert (project.description, project.scheduling_rules) == ("", {})


def test_a_department_is_made_with_its_rules(acme, cluster):
    sent = {"name": "research", LIMIT: "12 h", "workspace_types": "dgx"}
    sent |= {f"quota-{pool.pk}": "0" for pool in NodePool.objects.filter(cluster=cluster)}
    assert acme.browser().post(f"/departments/new/?cluster={cluster.pk}", sent).status_code == 302
    made = Department.objects.get(scope__name="research")
    assert (made.scheduling_rules, made.node_types) == ({LIMIT: 43200}, {"workspace": ["dgx"]})


def test_who_saves_a_form_second_sees_what_differs_and_saves_after_that(acme, project):
    update_project(actor=system_actor(), project=project, request=UpdateOrgUnit(description="theirs"))
    answer = edit(acme, project, description="ours", version="1")
    page = text(answer)
    assert answer.status_code == 422
    assert "&#x27;theirs&#x27; now, &#x27;ours&#x27; given" in page
    assert 'name="version" value="2"' in page
    assert Project.objects.get().description == "theirs"
    assert edit(acme, project, description="ours", version="2").status_code == 302
    assert Project.objects.get().description == "ours"
