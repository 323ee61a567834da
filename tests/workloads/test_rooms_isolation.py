"""Two tenants with equal names of everything see nothing of each other, over every REST route of these rooms."""

from typing import Any

import pytest
from django_tenants.utils import tenant_context

from tests.conftest import Home
from tests.fixtures_rooms import (
    event_report,
    make_cluster,
    make_project,
    make_workload,
    node_report,
    pod_report,
    take,
    tell,
    workload_report,
)
from workloads.models import Workload

LISTS = [
    ("/api/v1/clusters", None),
    ("/api/v1/nodes", "nodes"),
    ("/api/v1/node-pools", "nodepools"),
    ("/api/v1/org-unit/departments", "departments"),
    ("/api/v1/org-unit/projects", "projects"),
    ("/api/v1/workloads", "workloads"),
    ("/api/v1/workloads/pods", "pods"),
]


def furnish(mark: str) -> dict[str, Any]:
    """One of everything, with equal names in both tenants and a mark in what may not leak."""
    cluster = make_cluster("alpha")
    project = make_project(cluster, "team-a", description=mark)
    workload = make_workload(project, "train", args=(mark,))
    pod = pod_report(workload.pk, message=mark)
    tell(cluster, "Node", node_report("node-1"))
    tell(cluster, "Workload", workload_report(workload, "Running", message=mark))
    tell(cluster, "Pod", pod)
    tell(cluster, "Event", event_report(pod.uid, message=mark))
    for topic in ("inventory", "workloads", "events"):
        take(topic)
    pool = cluster.node_pools.get(name="default")
    return {"cluster": cluster.pk, "project": project.pk, "department": project.department_id, "pool": pool.pk,
            "workload": workload.pk, "marks": mark}  # fmt: skip


@pytest.fixture
def both(acme: Home, globex: Home) -> tuple[dict[str, Any], dict[str, Any]]:
    mine = furnish("of-acme")
    with tenant_context(globex.tenant):
        return mine, furnish("of-globex")


@pytest.mark.parametrize(("path", "key"), LISTS)
def test_a_list_holds_only_ones_own(acme: Home, globex: Home, both: Any, path: str, key: str | None) -> None:
    for home, mark, other in ((acme, "of-acme", "of-globex"), (globex, "of-globex", "of-acme")):
        answer = home.api().get(path)
        rows = answer.json()[key] if key else answer.json()
        assert len(rows) == 1, (mark, rows)
        assert other not in answer.content.decode()


ITEMS = [
    "clusters/{cluster}",
    "clusters/{cluster}/nodes",
    "clusters/{cluster}/cluster-install-info?version=1",
    "workloads/{workload}",
    "workloads/{workload}/pods",
    "workloads/{workload}/events",
    "workloads/{workload}/history",
    "workloads/{workload}/logs?wait=0",
    "workloads/{workload}/yaml",
    "workloads/trainings/{workload}",
]


@pytest.mark.parametrize("path", ITEMS)
def test_the_others_objects_are_not_found(acme: Home, globex: Home, both: Any, path: str) -> None:
    _, theirs = both
    assert acme.api().get("/api/v1/" + path.format(**theirs)).status_code == 404
    assert globex.api().get("/api/v1/" + path.format(**theirs)).status_code == 200


def test_the_others_workloads_cannot_be_touched(acme: Home, globex: Home, both: Any) -> None:
    _, theirs = both
    api, one = acme.api(), f"/api/v1/workloads/trainings/{theirs['workload']}"
    assert {api.delete(one).status_code, api.post(f"{one}/suspend").status_code} == {404}
    with tenant_context(globex.tenant):
        assert Workload.objects.get().phase == "Running"


def test_a_token_of_one_is_nothing_at_the_other(acme: Home, globex: Home, both: Any) -> None:
    token = acme.api().defaults["HTTP_AUTHORIZATION"]
    assert globex.client(headers={"authorization": token}).get("/api/v1/workloads").status_code == 401


def test_reports_of_a_foreign_cluster_change_nothing(acme: Home, globex: Home, both: Any) -> None:
    """A row of one tenant's inbox that names the other's cluster: it is unknown here, so nothing is written."""
    with tenant_context(globex.tenant):
        foreign = Workload.objects.select_related("project", "cluster").get()
    tell(foreign.cluster, "Node", node_report("intruder"))
    tell(foreign.cluster, "Pod", pod_report(foreign.pk, name="intruder"))
    for topic in ("inventory", "workloads"):
        take(topic)
    assert "intruder" not in acme.api().get("/api/v1/nodes").content.decode()
    assert "intruder" not in acme.api().get("/api/v1/workloads/pods").content.decode()
