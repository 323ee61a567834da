"""What an administrator does to a cluster later: places, safe mode, credentials, versions, and its end in batches."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from access.models import AccessRule, Scope, User
from access.services.bootstrap import system_actor
from access.services.users import delete_user
from agent.wire.reports import ClusterReport
from clusters.models import Cluster
from clusters.services import finish_deletions, removal, statuses
from clusters.services.clusters import UpdateCluster, delete_cluster, update_cluster
from clusters.skew import skew
from clusters.states import State
from link import models as link_rows
from projects.models import Project
from tests.conftest import Home, grant
from tests.fixtures_rooms import connect, make_cluster, make_project, make_workload, take, tell

CLUSTERS = "/api/v1/clusters"
JSON = "application/json"


def put(home: Home, cluster: Cluster, **values: Any) -> Any:
    return home.api().put(f"{CLUSTERS}/{cluster.pk}", {"name": cluster.name, **values}, content_type=JSON)


def test_a_cluster_has_a_place(acme: Home, cluster: Cluster, contract: Any) -> None:
    answer = put(acme, cluster, location="Hall 3, Vienna")
    contract("PUT", CLUSTERS + "/{clusterUuid}", answer)
    assert acme.api().get(f"{CLUSTERS}/{cluster.pk}").json()["location"] == "Hall 3, Vienna"


def test_what_was_not_asked_for_stays_as_it_is_now(acme: Home, cluster: Cluster) -> None:
    stale = Cluster.objects.get(pk=cluster.pk)
    Cluster.objects.filter(pk=cluster.pk).update(safe_mode=True)
    update_cluster(actor=system_actor(), cluster=stale, request=UpdateCluster(location="Vienna"))
    cluster.refresh_from_db()
    assert (cluster.location, cluster.safe_mode) == ("Vienna", True)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"location": "x" * 121}, "location"), ({"safeMode": "yes"}, "safeMode"), ({"name": ""}, "name")],
)
def test_bad_values_are_named(acme: Home, cluster: Cluster, values: Any, field: str) -> None:
    answer = put(acme, cluster, **values)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_in_safe_mode_nothing_is_changed_from_here(acme: Home, project: Project) -> None:
    cluster, api = project.cluster, acme.api()
    assert put(acme, cluster, safeMode=True).status_code == 204
    units = "/api/v1/org-unit"
    pool = cluster.node_pools.get()
    new = {"name": "n", "clusterId": str(cluster.pk), "resources": []}
    tried = [
        api.post(f"{units}/projects", new, content_type=JSON),
        api.put(f"{units}/projects/{project.pk}", {"resources": []}, content_type=JSON),
        api.put(f"{units}/projects/{project.pk}/resources", [], content_type=JSON),
        api.delete(f"{units}/projects/{project.pk}"),
        api.post(f"{units}/departments", new, content_type=JSON),
        api.patch(f"/api/v1/node-pools/{pool.pk}", {"placementStrategy": {"gpu": "spread"}}, content_type=JSON),
    ]
    assert [answer.status_code for answer in tried] == [409] * len(tried)
    assert api.get(f"{CLUSTERS}/{cluster.pk}").json()["safeMode"] is True
    put(acme, cluster, safeMode=False)
    assert api.put(f"{units}/projects/{project.pk}", {"resources": []}, content_type=JSON).status_code == 200


def test_rotated_credentials_are_refused_and_a_manifest_comes(acme: Home, cluster: Cluster) -> None:
    connect(cluster)
    before = link_rows.Cluster.objects.get(pk=cluster.pk).key_version
    answer = acme.api().post(f"{CLUSTERS}/{cluster.pk}/credentials/rotate")
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    row = link_rows.Cluster.objects.get(pk=cluster.pk)
    assert (row.key_version, row.public_key, row.state) == (before + 1, "", "waiting")
    assert "kind: CustomResourceDefinition" in answer.content.decode()


@pytest.mark.parametrize(
    ("agent", "own", "kind"),
    [
        ("1.4.0", "1.4.0", "same"),
        ("v1.4.1", "1.4.1", "same"),
        ("1.4.0", "1.4.1", "older"),
        ("1.2.0", "1.4.0", "older"),
        ("1.1.9", "1.4.0", "unsupported"),
        ("2.0.0", "1.4.0", "unsupported"),
        ("1.5.0", "1.4.0", "newer"),
        ("", "1.4.0", "unknown"),
        ("dev", "1.4.0", "unknown"),
    ],
)
def test_versions_go_together_or_not(agent: str, own: str, kind: str) -> None:
    assert skew(agent, own).kind == kind


def test_an_agent_that_is_too_old_is_a_service_issue(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.services.clusters.own_version", lambda: "9.0.0")
    connect(cluster)
    tell(cluster, "Cluster", ClusterReport("0.1.0", "v1.33.0"))
    take("cluster")
    cluster.refresh_from_db()
    status = statuses([cluster])[cluster.pk]
    assert (status.state, "0.1.0" in status.cause) == (State.SERVICE_ISSUES, True)


def test_a_large_cluster_goes_in_the_background(acme: Home, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "SMALL", 1)
    monkeypatch.setattr(removal, "BATCH", 2)
    cluster, path = project.cluster, project.cluster.scope.path
    for number in range(5):
        make_workload(project, f"w{number}")
    connect(cluster)
    assert acme.api().delete(f"{CLUSTERS}/{cluster.pk}?force=true").status_code == 202
    assert acme.api().get(CLUSTERS).json() == []
    assert link_rows.Cluster.objects.get(pk=cluster.pk).state == "removed"
    assert finish_deletions() == 1
    assert not Cluster.objects.filter(pk=cluster.pk).exists()
    assert not Scope.objects.filter(path__startswith=path).exists()
    assert finish_deletions() == 0


def test_rights_are_given_and_taken_while_a_large_cluster_is_being_forgotten(
    acme: Home, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "SMALL", 0)
    grant("bob@example.test", "administrator")
    assert not delete_cluster(actor=system_actor(), cluster=project.cluster, force=True)
    bob = User.objects.get(email="bob@example.test")
    grant("bob@example.test", "viewer")
    delete_user(actor=system_actor(), user=bob)
    assert not AccessRule.objects.filter(subject_kind="user", subject_id=bob.pk).exists()


def away(cluster: Cluster) -> None:
    """Its agent enrolled, and was last heard two hours ago."""
    connect(cluster)
    link_rows.Liveness.objects.filter(cluster_id=cluster.pk).update(last_seen=timezone.now() - timedelta(hours=2))


def back_and_done(cluster: Cluster) -> None:
    """Its agent is back and has taken everything back."""
    connect(cluster)
    link_rows.Desired.objects.filter(cluster_id=cluster.pk).update(deleted_at=timezone.now())
    last = link_rows.Cluster.objects.get(pk=cluster.pk).last_rev
    link_rows.AgentSession.objects.filter(cluster_id=cluster.pk).update(applied_rev=last)


def test_a_deletion_waits_for_an_agent_that_is_away_and_says_so(acme: Home, project: Project) -> None:
    cluster = project.cluster
    away(cluster)
    assert acme.api().delete(f"{CLUSTERS}/{cluster.pk}").status_code == 202
    Cluster.objects.filter(pk=cluster.pk).update(delete_requested_at=timezone.now() - timedelta(days=3))
    assert finish_deletions() == 0
    cluster.refresh_from_db()
    status = statuses([cluster])[cluster.pk]
    assert (status.state, "waits for the agent" in status.cause, "by force" in status.remedy) == (
        State.DISCONNECTED,
        True,
        True,
    )
    assert "waits for the agent" in acme.browser().get(f"/clusters/{cluster.pk}/").content.decode()


def test_an_agent_that_comes_back_takes_all_back_before_the_cluster_goes(acme: Home, project: Project) -> None:
    cluster = project.cluster
    away(cluster)
    delete_cluster(actor=system_actor(), cluster=cluster)
    Cluster.objects.filter(pk=cluster.pk).update(delete_requested_at=timezone.now() - timedelta(days=3))
    connect(cluster)
    assert finish_deletions() == 0  # it has just come back, and still holds the project
    back_and_done(cluster)
    assert finish_deletions() == 1
    assert link_rows.Cluster.objects.get(pk=cluster.pk).state == "removed"


def test_who_does_not_want_to_wait_deletes_by_force(acme: Home, project: Project) -> None:
    cluster = project.cluster
    away(cluster)
    assert acme.api().delete(f"{CLUSTERS}/{cluster.pk}").status_code == 202
    assert acme.api().delete(f"{CLUSTERS}/{cluster.pk}?force=true").status_code == 204
    assert link_rows.Cluster.objects.get(pk=cluster.pk).state == "removed"
    assert not Project.objects.exists()


@pytest.mark.parametrize(("force", "left"), [("", 1), ("true", 0)])
def test_the_console_asks_whether_to_wait(acme: Home, project: Project, force: str, left: int) -> None:
    cluster, browser = project.cluster, acme.browser()
    away(cluster)
    assert "Do not wait for its agent" in browser.get(f"/clusters/{cluster.pk}/").content.decode()
    browser.post(f"/clusters/{cluster.pk}/delete", {"typed": cluster.name, "force": force})
    assert Cluster.objects.filter(pk=cluster.pk).count() == left


def test_two_clusters_go_apart(acme: Home, project: Project) -> None:
    other = make_project(make_cluster("beta"))
    delete_cluster(actor=system_actor(), cluster=project.cluster, force=True)
    assert [row.pk for row in Project.objects.all()] == [other.pk]


def test_rows_that_others_refer_to_go_last() -> None:
    names = [model.__name__ for model in removal._models()]
    assert names.index("Workload") < names.index("Project") < names.index("Department")
