"""Departments and projects over REST: contract shapes, quotas, errors by field, documents, and who may."""

from typing import Any

import pytest

from clusters.models import Cluster
from projects.models import Department, Project
from tests.conftest import Home, grant
from tests.fixtures_rooms import connect, documents, make_cluster, make_project

DEPARTMENTS = "/api/v1/org-unit/departments"
PROJECTS = "/api/v1/org-unit/projects"
JSON = "application/json"


def default_pool(cluster: Cluster) -> dict[str, str]:
    return {"id": str(cluster.node_pools.get(name="default").pk), "name": "default"}


def quota(cluster: Cluster, gpus: float, **more: Any) -> list[dict[str, Any]]:
    return [{"nodePool": default_pool(cluster), "gpu": {"deserved": gpus, **more}}]


def post(home: Home, path: str, cluster: Cluster, **more: Any) -> Any:
    data = {"name": "team-a", "clusterId": str(cluster.pk), "resources": [], **more}
    return home.api().post(path, data, content_type=JSON)


def test_a_project_is_made_and_owed_to_the_cluster(acme: Home, cluster: Cluster, contract: Any) -> None:
    answer = post(acme, PROJECTS, cluster, resources=quota(cluster, 2.5, limit=4, overQuotaWeight=3))
    assert answer.status_code == 201, answer.content
    contract("POST", PROJECTS, answer)
    spec = documents(cluster)["project/team-a"]["spec"]
    assert (spec["namespace"], spec["department"]) == ("runai-team-a", "default")
    assert spec["quotas"][0]["gpu"] == {"deserved": 2500, "limit": 4000, "overQuotaWeight": 3000}
    assert documents(cluster)["department/default"]["kind"] == "Department"


def test_a_department_is_made(acme: Home, cluster: Cluster, contract: Any) -> None:
    answer = post(acme, DEPARTMENTS, cluster, name="research", resources=quota(cluster, 8))
    contract("POST", DEPARTMENTS, answer)
    assert answer.json()["totalResources"]["gpuQuota"] == 8
    assert documents(cluster)["department/research"]["spec"]["quotas"][0]["gpu"]["deserved"] == 8000


def test_lists_counts_and_items_follow_the_contract(acme: Home, project: Project, contract: Any) -> None:
    api = acme.api()
    contract("GET", PROJECTS, api.get(PROJECTS))
    contract("GET", PROJECTS + "/count", api.get(f"{PROJECTS}/count"))
    contract("GET", PROJECTS + "/{projectId}", api.get(f"{PROJECTS}/{project.pk}"))
    contract("GET", DEPARTMENTS, api.get(DEPARTMENTS))
    contract("GET", DEPARTMENTS + "/count", api.get(f"{DEPARTMENTS}/count"))
    contract("GET", DEPARTMENTS + "/{departmentId}", api.get(f"{DEPARTMENTS}/{project.department_id}"))


@pytest.mark.parametrize(
    "name", ["", "Team", "team_a", "-a", "a-", "1team", "tëam", "a" * 58, "a b", "team.a", "ｔeam", 7]
)
def test_a_bad_name_is_refused_at_the_field(acme: Home, cluster: Cluster, name: Any) -> None:
    for path in (PROJECTS, DEPARTMENTS):
        answer = post(acme, path, cluster, name=name)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "name"
    assert Project.objects.count() == 0


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"gpu": {"deserved": -1}}, "resources[0].gpu.deserved"),
        ({"gpu": {"deserved": "NaN"}}, "resources[0].gpu.deserved"),
        ({"gpu": {"deserved": 0.0001}}, "resources[0].gpu.deserved"),
        ({"gpu": {"deserved": 4, "limit": 2}}, "resources[default].gpu.limit"),
        ({"gpu": {"deserved": 1, "overQuotaWeight": -1}}, "resources[0].gpu.overQuotaWeight"),
        ({"memory": {"deserved": 1, "units": "PB"}}, "resources[0].memory.units"),
        ({"nodePool": {"id": "999"}}, "resources[0].nodePool"),
        ({"priority": "urgent"}, "resources[0].priority"),
    ],
)
def test_a_bad_quota_is_refused_at_the_field(acme: Home, cluster: Cluster, item: Any, field: str) -> None:
    answer = post(acme, PROJECTS, cluster, resources=[item])
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == field
    assert Project.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"clusterId": "x"}, "clusterId"),
        ({"parentId": "99999"}, "parentId"),
        ({"requestedNamespace": "kube-system"}, "requestedNamespace"),
        ({"requestedNamespace": "UPPER"}, "requestedNamespace"),
        ({"defaultNodePools": ["nowhere"]}, "defaultNodePools"),
        ({"description": "x" * 251}, "description"),
        ({"schedulingRules": {"trainingJobTimeLimitSeconds": 0}}, "schedulingRules.trainingJobTimeLimitSeconds"),
        ({"schedulingRules": {"forever": 1}}, "schedulingRules.forever"),
        ({"schedulingRules": 60}, "schedulingRules"),
        (
            {"schedulingRules": {"trainingJobTimeLimitSeconds": 60, "trainingJobMaxIdleDurationSeconds": 60}},
            "schedulingRules.trainingJobMaxIdleDurationSeconds",
        ),
        ({"nodeTypes": {"training": ["no spaces"]}}, "nodeTypes.training"),
        ({"resources": "all"}, "resources"),
    ],
)
def test_other_bad_fields_are_named(acme: Home, cluster: Cluster, change: Any, field: str) -> None:
    answer = post(acme, PROJECTS, cluster, **change)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == field


def test_a_name_is_used_once_in_a_cluster(acme: Home, project: Project) -> None:
    department = post(acme, DEPARTMENTS, project.cluster, name="other").json()["id"]
    assert post(acme, PROJECTS, project.cluster, parentId=department).status_code == 409
    assert post(acme, PROJECTS, make_cluster("beta")).status_code == 201


def test_a_namespace_belongs_to_one_project(acme: Home, project: Project) -> None:
    answer = post(acme, PROJECTS, project.cluster, name="team-b", requestedNamespace="runai-team-a")
    assert answer.status_code == 409


def test_a_department_of_another_cluster_is_refused(acme: Home, project: Project) -> None:
    answer = post(acme, PROJECTS, make_cluster("beta"), parentId=str(project.department_id))
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == "parentId"


def test_resources_are_replaced_or_merged(acme: Home, project: Project, contract: Any) -> None:
    api, path = acme.api(), f"{PROJECTS}/{project.pk}/resources"
    pool = default_pool(project.cluster)
    put = api.put(path, [{"nodePool": pool, "gpu": {"deserved": 3}}], content_type=JSON)
    contract("PUT", PROJECTS + "/{projectId}/resources", put)
    patch = api.patch(path, [{"nodePool": pool, "gpu": {"deserved": 1}, "priority": "high"}], content_type=JSON)
    contract("PATCH", PROJECTS + "/{projectId}/resources", patch)
    assert patch.json()[0]["gpu"]["deserved"] == 1 and patch.json()[0]["priority"] == "high"
    assert documents(project.cluster)["project/team-a"]["spec"]["quotas"][0]["priority"] == 150


def test_a_project_is_changed(acme: Home, project: Project, contract: Any) -> None:
    data = {"description": "vision", "resources": quota(project.cluster, 1), "defaultNodePools": ["default"]}
    answer = acme.api().put(f"{PROJECTS}/{project.pk}", data, content_type=JSON)
    contract("PUT", PROJECTS + "/{projectId}", answer)
    assert (answer.json()["description"], answer.json()["effective"]["defaultNodePools"]) == ("vision", ["default"])


def test_a_project_leaves_with_its_document(acme: Home, project: Project, contract: Any) -> None:
    connect(project.cluster)
    answer = acme.api().delete(f"{PROJECTS}/{project.pk}")
    contract("DELETE", PROJECTS + "/{projectId}", answer)
    assert acme.api().get(f"{PROJECTS}/{project.pk}").json()["status"]["phase"] == "Deleting"
    assert documents(project.cluster)["project/team-a"] is None


def test_a_department_with_projects_stays(acme: Home, project: Project) -> None:
    assert acme.api().delete(f"{DEPARTMENTS}/{project.department_id}").status_code == 409
    empty = post(acme, DEPARTMENTS, project.cluster, name="empty").json()["id"]
    assert acme.api().delete(f"{DEPARTMENTS}/{empty}").status_code == 204
    assert Department.objects.count() == 1


@pytest.mark.parametrize("identity", ["0", "-1", "x", "99999999999", "1.5", "٣"])
def test_an_id_that_is_none_is_not_found(acme: Home, project: Project, identity: str) -> None:
    assert acme.api().get(f"{PROJECTS}/{identity}").status_code == 404


def test_a_researcher_makes_no_project_and_sees_only_their_own(acme: Home, cluster: Cluster) -> None:
    mine, _theirs = make_project(cluster, "mine"), make_project(cluster, "theirs")
    grant("bob@example.test", "researcher", mine.scope)
    api = acme.api("bob@example.test")
    data = {"name": "new", "clusterId": str(cluster.pk), "resources": []}
    assert api.post(PROJECTS, data, content_type=JSON).status_code == 403
    assert api.put(f"{PROJECTS}/{mine.pk}/resources", [], content_type=JSON).status_code == 403
    assert api.delete(f"{PROJECTS}/{mine.pk}").status_code == 403
    assert [row["name"] for row in api.get(PROJECTS).json()["projects"]] == ["mine"]
    assert api.get(f"{PROJECTS}/{_theirs.pk}").status_code == 404


def test_a_department_administrator_works_inside_it_only(acme: Home, project: Project) -> None:
    grant("bob@example.test", "department-administrator", project.department.scope)
    other = post(acme, DEPARTMENTS, project.cluster, name="other").json()["id"]
    api = acme.api("bob@example.test")
    data = {"name": "new", "clusterId": str(project.cluster_id), "resources": []}
    inside = api.post(PROJECTS, {**data, "parentId": str(project.department_id)}, content_type=JSON)
    assert inside.status_code == 201
    assert api.post(PROJECTS, {**data, "name": "x", "parentId": other}, content_type=JSON).status_code == 400


def test_the_list_is_filtered_sorted_and_searched(acme: Home, cluster: Cluster) -> None:
    for name, gpus in (("a", 1), ("b", 4), ("c", 2)):
        post(acme, PROJECTS, cluster, name=name, resources=quota(cluster, gpus))
    api = acme.api()

    def names(query: str) -> list[str]:
        return [row["name"] for row in api.get(f"{PROJECTS}?{query}").json()["projects"]]

    assert names("sortBy=totalGpuQuota&sortOrder=desc") == ["b", "c", "a"]
    assert names("filterBy=totalGpuQuota>=2") == ["b", "c"]
    assert names("filterBy=parentName==default,name!=a&limit=1") == ["b"]
    assert names("search=C") == ["c"]


def test_the_list_takes_few_queries_for_any_size(
    acme: Home, cluster: Cluster, django_assert_max_num_queries: Any
) -> None:
    for index in range(12):
        make_project(cluster, f"p-{index}")
    api = acme.api()
    with django_assert_max_num_queries(12):
        assert len(api.get(PROJECTS).json()["projects"]) == 12
