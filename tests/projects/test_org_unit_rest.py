"""Ranks, resets, scheduling rules, over-commit and the second of two savers, over REST."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.services.bootstrap import system_actor
from access.services.settings import write_setting
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import Cluster
from projects.models import Department, Project
from projects.rules import LIMITS, effective_rules, effective_types, loosened
from projects.services import UpdateOrgUnit, set_quotas, update_project
from projects.services.quotas import LIMITED
from projects.versions import Changed, quota_difference
from tests.conftest import Home, grant
from tests.fixtures_rooms import documents, make_cluster, make_project

UNITS = "/api/v1/org-unit"
JSON = "application/json"
LIMIT = "trainingJobTimeLimitSeconds"


def gpus(amount: int, pool: str = "default", **more: int) -> tuple[PoolQuota, ...]:
    return (PoolQuota(pool, gpu=ResourceQuota(amount, **more)),)


def put(home: Home, unit: Department | Project, body: Any, **headers: str) -> Any:
    kind = "projects" if isinstance(unit, Project) else "departments"
    return home.api().put(f"{UNITS}/{kind}/{unit.pk}", body, content_type=JSON, headers=headers)


def test_ranks_follow_the_contract(acme: Home, contract: Any) -> None:
    answer = acme.api().get(f"{UNITS}/priorities")
    contract("GET", UNITS + "/priorities", answer)
    rows = answer.json()["priorities"]
    assert [row["name"] for row in rows if row["isDefault"]] == ["medium"]


def test_rules_are_kept_and_inherited(acme: Home, project: Project, contract: Any) -> None:
    put(acme, project.department, {"resources": [], "schedulingRules": {LIMIT: 100}, "nodeTypes": {"training": ["a"]}})
    answer = acme.api().get(f"{UNITS}/projects/{project.pk}")
    contract("GET", UNITS + "/projects/{projectId}", answer)
    effective = answer.json()["effective"]
    assert (effective["schedulingRules"][LIMIT], effective["nodeTypes"]) == (100, {"training": ["a"]})
    assert answer.json()["schedulingRules"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedulingRules": {LIMIT: 101}}, f"schedulingRules.{LIMIT}"),
        ({"nodeTypes": {"training": ["b"]}}, "nodeTypes.training"),
    ],
)
def test_a_project_may_only_tighten(acme: Home, project: Project, change: Any, field: str) -> None:
    put(acme, project.department, {"resources": [], "schedulingRules": {LIMIT: 100}, "nodeTypes": {"training": ["a"]}})
    answer = put(acme, project, {"resources": [], **change})
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == field


limits = st.dictionaries(st.sampled_from(list(LIMITS)), st.integers(1, 1000))


@given(limits, limits)
def test_effective_limits_are_never_looser_than_the_departments(own: dict[str, int], parent: dict[str, int]) -> None:
    found = effective_rules(own, parent)
    assert set(found) == set(own) | set(parent)
    assert loosened(found, {}, parent, {}) == []


def test_effective_node_types_stay_inside_the_departments() -> None:
    assert effective_types({"training": ["a", "b"]}, {"training": ["b"], "workspace": ["c"]}) == {
        "training": ["b"],
        "workspace": ["c"],
    }


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("QUOTAS_TO_DEFAULT", (0, 3000, 200)),
        ("RANKS_TO_DEFAULT", (4000, 3000, 100)),
        ("WEIGHTS_TO_DEFAULT", (4000, 1000, 200)),
        ("WEIGHTS_TO_DESERVED", (4000, 4000, 200)),
    ],
)
def test_a_reset_changes_one_column_and_the_documents(
    acme: Home, project: Project, action: str, expected: tuple[int, int, int]
) -> None:
    wanted = (PoolQuota("default", gpu=ResourceQuota(4000, -1, 3000), priority=200),)
    set_quotas(actor=system_actor(), owner=project, wanted=wanted)
    body = {
        "clusterId": str(project.cluster_id),
        "nodePoolIds": [str(project.cluster.node_pools.get().pk)],
        "action": action,
    }
    answer = acme.api().post(f"{UNITS}/projects/resources/reset", body, content_type=JSON)
    assert (answer.status_code, answer.json()) == (200, {"changed": 1})
    quota = documents(project.cluster)["project/team-a"]["spec"]["quotas"][0]
    assert (quota["gpu"]["deserved"], quota["gpu"]["overQuotaWeight"], quota["priority"]) == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"action": "ALL"}, "action"),
        ({"nodePoolIds": []}, "nodePoolIds"),
        ({"nodePoolIds": ["999999"]}, "nodePoolIds"),
        ({"nodePoolIds": ["x"]}, "nodePoolIds"),
        ({"clusterId": 7}, "clusterId"),
        ({"parentId": "999999"}, None),
    ],
)
def test_bad_resets_are_refused(acme: Home, project: Project, change: Any, field: str | None) -> None:
    pool = str(project.cluster.node_pools.get().pk)
    body = {"clusterId": str(project.cluster_id), "nodePoolIds": [pool], "action": "RANKS_TO_DEFAULT", **change}
    answer = acme.api().post(f"{UNITS}/projects/resources/reset", body, content_type=JSON)
    assert answer.status_code == (400 if field else 404)
    assert field is None or answer.json()["errors"][0]["field"] == field


def test_a_reset_reaches_what_the_actor_may_change(acme: Home, project: Project) -> None:
    set_quotas(actor=system_actor(), owner=project, wanted=gpus(4000))
    grant("bob@example.test", "project-administrator", make_project(make_cluster("beta")).scope)
    pool = str(project.cluster.node_pools.get().pk)
    body = {"clusterId": str(project.cluster_id), "nodePoolIds": [pool], "action": "QUOTAS_TO_DEFAULT"}
    answer = acme.api("bob@example.test").post(f"{UNITS}/projects/resources/reset", body, content_type=JSON)
    assert answer.json() == {"changed": 0}


def limited(cluster: Cluster) -> Department:
    write_setting(actor=system_actor(), key=LIMITED, value=True)
    return Department.objects.get(cluster=cluster)


def test_without_over_commit_projects_stay_inside_their_department(acme: Home, project: Project) -> None:
    department = limited(project.cluster)
    set_quotas(actor=system_actor(), owner=department, wanted=gpus(4000))
    set_quotas(actor=system_actor(), owner=project, wanted=gpus(3000))
    path = f"{UNITS}/projects/{make_project(project.cluster, 'team-b').pk}/resources"
    answer = acme.api().put(path, [{"gpu": {"deserved": 1.001}}], content_type=JSON)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "resources[default].gpu.deserved"
    assert acme.api().put(path, [{"gpu": {"deserved": 1}}], content_type=JSON).status_code == 200


def test_without_over_commit_a_department_keeps_what_its_projects_deserve(acme: Home, project: Project) -> None:
    department = limited(project.cluster)
    set_quotas(actor=system_actor(), owner=department, wanted=gpus(4000))
    set_quotas(actor=system_actor(), owner=project, wanted=gpus(3000))
    path = f"{UNITS}/departments/{department.pk}/resources"
    assert acme.api().put(path, [{"gpu": {"deserved": 2}}], content_type=JSON).status_code == 400
    assert acme.api().put(path, [{"gpu": {"deserved": 3}}], content_type=JSON).status_code == 200


def test_without_over_commit_a_reset_leaves_no_department_less_than_its_projects_deserve(
    acme: Home, project: Project
) -> None:
    department = limited(project.cluster)
    set_quotas(actor=system_actor(), owner=department, wanted=gpus(4000))
    set_quotas(actor=system_actor(), owner=project, wanted=gpus(3000))
    pool = str(project.cluster.node_pools.get().pk)
    body = {"clusterId": str(project.cluster_id), "nodePoolIds": [pool], "action": "QUOTAS_TO_DEFAULT"}
    answer = acme.api().post(f"{UNITS}/departments/resources/reset", body, content_type=JSON)
    assert answer.status_code == 400
    assert "default, resources[default].gpu.deserved: 3 GPUs in sum" in answer.json()["errors"][0]["message"]
    assert department.quotas.get().gpu_deserved_milli == 4000


def test_with_over_commit_sums_may_exceed(acme: Home, project: Project) -> None:
    path = f"{UNITS}/projects/{project.pk}/resources"
    assert acme.api().put(path, [{"gpu": {"deserved": 100}}], content_type=JSON).status_code == 200


def test_the_second_saver_of_a_grid_sees_the_difference(acme: Home, project: Project) -> None:
    api, path = acme.api(), f"{UNITS}/projects/{project.pk}/resources"
    seen = api.get(path)["ETag"]
    first = api.put(path, [{"gpu": {"deserved": 4}}], content_type=JSON, headers={"If-Match": seen})
    assert first.status_code == 200
    second = api.put(path, [{"gpu": {"deserved": 6}}], content_type=JSON, headers={"If-Match": seen})
    assert second.status_code == 412
    assert "default.gpu.deserved: 4 now, 6 given" in second.json()["details"]
    again = api.put(path, [{"gpu": {"deserved": 6}}], content_type=JSON, headers={"If-Match": first["ETag"]})
    assert again.status_code == 200


def test_the_second_saver_of_a_project_sees_the_difference(acme: Home, project: Project) -> None:
    one = acme.api().get(f"{UNITS}/projects/{project.pk}").json()
    body = {"resources": [], "version": one["version"]}
    assert put(acme, project, body | {"description": "first"}).status_code == 200
    late = put(acme, project, body | {"description": "second"})
    assert late.status_code == 412
    assert "description: 'first' now, 'second' given" in late.json()["details"]


def test_a_service_without_a_version_just_saves(project: Project) -> None:
    update_project(actor=system_actor(), project=project, request=UpdateOrgUnit(description="x"))
    with pytest.raises(Changed):
        update_project(actor=system_actor(), project=project, request=UpdateOrgUnit(description="y", version=1))


def test_equal_quotas_differ_in_nothing() -> None:
    assert quota_difference(gpus(1000), gpus(1000)) == {}
    assert quota_difference(gpus(1000), gpus(-1)) == {"default.gpu.deserved": "1 now, unlimited given"}
