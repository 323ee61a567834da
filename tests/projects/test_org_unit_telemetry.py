"""Telemetry and metrics of nodes, departments and projects: shapes, sums, groups, and who may."""

from typing import Any

import pytest

from access.services.bootstrap import system_actor
from agent.wire.objects import PoolQuota, ResourceQuota
from projects.models import Project
from projects.services import set_quotas
from tests.conftest import Home, grant
from tests.fixtures_rooms import make_project, node_report, take, tell

UNITS = "/api/v1/org-unit"
SPAN = "start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z"


def quota(unit: Any, amount: int) -> None:
    set_quotas(actor=system_actor(), owner=unit, wanted=(PoolQuota("default", gpu=ResourceQuota(amount)),))


def values(answer: Any) -> dict[tuple[str, ...], float]:
    return {tuple(group["value"] for group in row["groups"]): float(row["value"]) for row in answer.json()["values"]}


def test_projects_quotas_are_added_up_by_group(acme: Home, project: Project, contract: Any) -> None:
    quota(project, 2500)
    quota(make_project(project.cluster, "team-b"), 1000)
    base = f"{UNITS}/projects/telemetry"
    answer = acme.api().get(f"{base}?telemetryType=GPU_QUOTA&groupBy=ParentId,ClusterId")
    contract("GET", base, answer)
    assert values(answer) == {(str(project.department_id), str(project.cluster_id)): 3.5}
    assert values(acme.api().get(f"{base}?telemetryType=GPU_QUOTA")) == {(): 3.5}
    assert values(acme.api().get(f"{base}?telemetryType=CPU_QUOTA")) == {(): 0}


def test_a_departments_quota_is_its_own(acme: Home, project: Project, contract: Any) -> None:
    quota(project, 2500)
    quota(project.department, 9000)
    base = f"{UNITS}/departments/telemetry"
    answer = acme.api().get(f"{base}?telemetryType=GPU_QUOTA&departmentId={project.department_id}&groupBy=CLUSTER_ID")
    contract("GET", base, answer)
    assert values(answer) == {(str(project.cluster_id),): 9.0}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("TOTAL_GPUS", 8), ("READY_GPUS", 8), ("FREE_GPUS", 5), ("ALLOCATED_GPUS", 2.5), ("FULLY_FREE_GPU_NODES", 0)],
)
def test_nodes_are_added_up(acme: Home, project: Project, contract: Any, kind: str, expected: float) -> None:
    tell(project.cluster, "Node", node_report(gpu_allocated_milli=2500))
    take("inventory")
    answer = acme.api().get(f"/api/v1/nodes/telemetry?telemetryType={kind}&groupBy=ClusterId,Node")
    contract("GET", "/api/v1/nodes/telemetry", answer)
    assert values(answer) == {(str(project.cluster_id), "node-1"): expected}


@pytest.mark.parametrize(
    "path",
    [
        f"{UNITS}/projects/telemetry",
        f"{UNITS}/projects/telemetry?telemetryType=NOTHING",
        f"{UNITS}/projects/telemetry?telemetryType=GPU_QUOTA&groupBy=Everything",
        f"{UNITS}/projects/telemetry?telemetryType=GPU_QUOTA&clusterId=x",
        f"{UNITS}/departments/telemetry?telemetryType=GPU_QUOTA&departmentId=x",
        "/api/v1/nodes/telemetry?telemetryType=TOTAL_GPUS&groupBy=ClusterId,Node,Nodepool",
    ],
)
def test_bad_questions_are_refused(acme: Home, path: str) -> None:
    assert acme.api().get(path).status_code == 400


def test_only_what_one_sees_is_added_up(acme: Home, project: Project) -> None:
    quota(project, 2000)
    other = make_project(project.cluster, "team-b")
    quota(other, 1000)
    grant("bob@example.test", "researcher", other.scope)
    answer = acme.api("bob@example.test").get(f"{UNITS}/projects/telemetry?telemetryType=GPU_QUOTA")
    assert values(answer) == {(): 1.0}


@pytest.mark.parametrize("kind", ["projects", "departments"])
def test_metrics_have_the_contracts_shape(acme: Home, project: Project, contract: Any, kind: str) -> None:
    quota(project, 2500)
    quota(project.department, 2500)
    unit = project.pk if kind == "projects" else project.department_id
    answer = acme.api().get(f"{UNITS}/{kind}/{unit}/metrics?metricType=GPU_QUOTA,GPU_ALLOCATION&{SPAN}")
    contract("GET", f"{UNITS}/{kind}/{{{kind[:-1]}Id}}/metrics", answer)
    found = {row["type"]: [item["value"] for item in row["values"]] for row in answer.json()["measurements"]}
    assert found == {"GPU_QUOTA": ["2.5"], "GPU_ALLOCATION": []}


def test_unknown_metrics_are_refused(acme: Home, project: Project) -> None:
    answer = acme.api().get(f"{UNITS}/projects/{project.pk}/metrics?metricType=HAPPINESS&{SPAN}")
    assert answer.status_code == 400
