"""What a project does in the cluster: documents, quotas in new pools, reports, access rules, and its end."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.services.bootstrap import system_actor
from agent.wire.reports import ProjectReport, QueueReport
from clusters.models import Cluster
from link.models import Cluster as Mailbox
from link.models import Desired
from projects import tasks
from projects.models import Department, Project
from projects.services import (
    CreateDepartment,
    create_department,
    delete_project,
    ensure_default_department,
    update_department,
    update_project,
)
from projects.services import republish as republishing
from projects.services.departments import UpdateOrgUnit
from projects.services.reports import add_node_pools, open_cluster
from runai_cp.lib.errors import Conflict
from tests.conftest import Home, grant
from tests.fixtures_rooms import connect, documents, make_cluster, make_project, make_workload, node_report, take, tell
from workloads.models import Workload
from workloads.services import withdraw_project


def report(project: Project, phase: str = "Ready", *queues: QueueReport) -> ProjectReport:
    return ProjectReport(project.name, project.namespace, phase, queues=queues)


def test_a_new_cluster_gets_its_default_department_once(cluster: Cluster) -> None:
    for _ in range(2):
        open_cluster(cluster)
    assert [row.name for row in Department.objects.all()] == ["default"]


def test_a_new_node_pool_is_in_every_quota(project: Project) -> None:
    tell(project.cluster, "Node", node_report(node_pool="a100"))
    take("inventory")
    add_node_pools(project.cluster)
    for key in ("project/team-a", "department/default"):
        pools = [quota["nodePool"] for quota in documents(project.cluster)[key]["spec"]["quotas"]]
        assert pools == ["default", "a100"]


def test_a_report_sets_the_phase_and_what_queues_hold(project: Project) -> None:
    queue = QueueReport("team-a", "default", allocated_gpu_milli=3000, requested_gpu_milli=4000)
    tell(project.cluster, "Project", report(project, "Ready", queue), uid="u1")
    take("projects")
    project.refresh_from_db()
    held = project.quotas.get()
    assert (project.phase, held.allocated_gpu_milli, held.requested_gpu_milli) == ("Ready", 3000, 4000)


def test_an_older_report_changes_nothing(project: Project) -> None:
    for phase, seq in (("Ready", 9), ("Creating", 8)):
        tell(project.cluster, "Project", report(project, phase), uid="u1", seq=seq)
        take("projects")
    project.refresh_from_db()
    assert project.phase == "Ready"


def test_a_project_ends_when_the_cluster_says_so(project: Project) -> None:
    connect(project.cluster)
    tell(project.cluster, "Project", report(project), uid="u1")
    take("projects")
    delete_project(actor=system_actor(), project=project)
    tell(project.cluster, "Project", report(project, "Ready"), uid="u1")
    take("projects")
    assert Project.objects.get().phase == "Deleting"
    tell(project.cluster, "Project", uid="u1")
    take("projects")
    assert Project.objects.count() == 0


def test_a_project_nobody_asked_to_delete_stays(project: Project) -> None:
    tell(project.cluster, "Project", report(project), uid="u1")
    tell(project.cluster, "Project", uid="u1")
    take("projects")
    assert Project.objects.count() == 1


def test_its_workloads_go_first(project: Project) -> None:
    connect(project.cluster)
    workload = make_workload(project)
    delete_project(actor=system_actor(), project=project)
    project.refresh_from_db()
    assert withdraw_project(project) == 1
    assert documents(project.cluster)[f"workload/{workload.pk}"] is None
    assert Workload.objects.get().phase == "Deleting"


def test_without_an_agent_a_project_goes_with_its_workloads(project: Project) -> None:
    make_workload(project)
    delete_project(actor=system_actor(), project=project)
    project.refresh_from_db()
    withdraw_project(project)
    assert (Project.objects.count(), Workload.objects.count()) == (0, 0)
    kept = {key for key, body in documents(project.cluster).items() if body}
    assert {key for key in kept if not key.startswith("accessrule/")} == {"department/default"}


def test_nothing_starts_in_a_project_that_is_leaving(project: Project) -> None:
    connect(project.cluster)
    delete_project(actor=system_actor(), project=project)
    with pytest.raises(Conflict):
        make_workload(project)


def test_an_access_rule_reaches_the_projects_of_its_scope(acme: Home, cluster: Cluster) -> None:
    department = ensure_default_department(cluster)
    grant("bob@example.test", "researcher", department.scope)
    make_project(cluster, "late")
    rules = [body["spec"] for key, body in documents(cluster).items() if key.startswith("accessrule/") and body]
    bob = next(rule for rule in rules if rule["subject"] == "bob@example.test")
    assert (bob["projects"], bob["role"]) == (["late"], "researcher")


def test_rules_of_a_removed_project_are_taken_back(acme: Home, project: Project) -> None:
    grant("bob@example.test", "researcher", project.scope)
    delete_project(actor=system_actor(), project=project)
    project.refresh_from_db()
    withdraw_project(project)
    subjects = [
        body["spec"]["subject"] for body in documents(project.cluster).values() if body and "subject" in body["spec"]
    ]
    assert "bob@example.test" not in subjects


def test_impact_counts_workloads_by_phase(project: Project) -> None:
    for name in ("a", "b"):
        make_workload(project, name)
    assert Workload.objects.filter(project=project).impact() == {"Creating": 2}
    assert Workload.objects.all().by_project() == {project.pk: {"Creating": 2}}


def test_the_cluster_gets_the_limits_that_hold(project: Project) -> None:
    """The department tightens later: its projects' documents follow."""
    ours = UpdateOrgUnit(scheduling_rules={"trainingJobTimeLimitSeconds": 100}, node_types={"training": ["dgx", "hgx"]})
    update_project(actor=system_actor(), project=project, request=ours)
    theirs = UpdateOrgUnit(
        scheduling_rules={"trainingJobTimeLimitSeconds": 60, "interactiveJobMaxIdleDurationSeconds": 30},
        node_types={"training": ["dgx"]},
    )
    update_department(actor=system_actor(), department=project.department, request=theirs)
    spec = documents(project.cluster)["project/team-a"]["spec"]
    assert spec["schedulingRules"] == {"trainingTimeLimitSeconds": 60, "workspaceIdleLimitSeconds": 30}
    assert spec["nodeTypes"] == {"training": ["dgx"], "workspace": []}


def test_what_holds_in_the_end_goes_down_with_the_project(cluster):
    """A department that tightens later tightens its projects' documents too."""
    actor = system_actor()
    department = create_department(
        actor=actor,
        request=CreateDepartment("strict", cluster, node_types={"training": ["a100", "h100"]}),
    )
    make_project(
        cluster,
        "inside",
        department=department,
        scheduling_rules={"trainingJobTimeLimitSeconds": 600},
        node_types={"training": ["h100"]},
    )
    tighter = {"trainingJobTimeLimitSeconds": 60, "interactiveJobTimeLimitSeconds": 30}
    update_department(actor=actor, department=department, request=UpdateOrgUnit(scheduling_rules=tighter))
    spec = documents(cluster)["project/inside"]["spec"]
    assert spec["schedulingRules"] == {"trainingTimeLimitSeconds": 60, "workspaceTimeLimitSeconds": 30}
    assert spec["nodeTypes"]["training"] == ["h100"]


def test_documents_that_nobody_saved_again_are_brought_up_to_date(cluster, monkeypatch):
    """Rules that a release knows anew, or that came while its message was lost; twice is once."""
    monkeypatch.setattr(republishing, "BATCH", 2)
    projects = [make_project(cluster, f"team-{number}") for number in range(5)]
    limits, types = {"trainingJobTimeLimitSeconds": 60}, {"training": ["dgx"]}
    Department.objects.update(scheduling_rules=limits)
    Project.objects.update(node_types=types)
    for _ in range(2):
        tasks.republish()
    rows = Desired.objects.filter(cluster_id=cluster.pk, key__startswith="project/")
    specs = {row.key: (row.body["spec"]["schedulingRules"], row.body["spec"]["nodeTypes"]) for row in rows}
    held = ({"trainingTimeLimitSeconds": 60}, {"training": ["dgx"], "workspace": []})
    assert specs == {f"project/{project.name}": held for project in projects}
    revisions = {row.key: row.rev for row in rows}
    tasks.republish()
    assert {row.key: row.rev for row in Desired.objects.filter(pk__in=[row.pk for row in rows])} == revisions


def test_what_is_going_is_not_published_again(project: Project) -> None:
    delete_project(actor=system_actor(), project=project)
    tasks.republish()
    assert documents(project.cluster)["project/team-a"] is None


def test_documents_again_lock_projects_before_departments(project: Project) -> None:
    """As a save does: the department alone for its own document, then the batch and the department."""
    with CaptureQueriesContext(connection) as seen:
        republishing.republish()
    locks = [sql["sql"].partition(' FROM "')[2].partition('"')[0] for sql in seen if "FOR UPDATE OF" in sql["sql"]]
    assert locks == [f"projects_{name}" for name in ("department", "project", "department")]


def test_a_department_that_cannot_be_published_keeps_no_other_from_its_turn(project: Project) -> None:
    other = make_project(make_cluster("beta"), "late")
    Department.objects.update(scheduling_rules={"trainingJobTimeLimitSeconds": 60})
    Mailbox.objects.filter(pk=project.cluster_id).update(state="removed")
    tasks.republish()
    assert documents(other.cluster)["project/late"]["spec"]["schedulingRules"]


def test_a_cluster_in_safe_mode_gets_no_documents_again(project: Project) -> None:
    before = documents(project.cluster)
    Project.objects.update(node_types={"training": ["dgx"]})
    Cluster.objects.update(safe_mode=True)
    tasks.republish()
    assert documents(project.cluster) == before
