"""The public client, unmodified: clusters, node pools, departments, projects and their resources, from birth to end.

Every answer that it gets is held against the public contract, where that is at hand.
"""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from runai import models
from runai.api import OrgUnitApi
from runai.api_client import ApiClient
from runai.configuration import Configuration
from runai.exceptions import ApiException
from runai.runai_client import RunaiClient

from clusters.models import Cluster
from projects.models import Project
from projects.services.projects import remove_project
from tests.fixtures_rooms import CONTRACT, node_report, take, tell

pytestmark = pytest.mark.services


UNIT, POOLS, TOPOLOGIES = "/api/v1/org-unit", "/api/v1/node-pools", "/api/v1/network-topologies"
TEMPLATES = [
    "/api/v1/clusters",
    "/api/v1/clusters/{clusterUuid}",
    "/api/v1/clusters/{clusterUuid}/cluster-install-info",
    POOLS,
    f"{POOLS}/count",
    f"{POOLS}/{{nodepoolId}}",
    TOPOLOGIES,
    f"{TOPOLOGIES}/count",
    f"{TOPOLOGIES}/{{networkTopologyId}}",
    f"{UNIT}/priorities",
    *(
        template
        for kind in ("department", "project")
        for template in (
            f"{UNIT}/{kind}s",
            f"{UNIT}/{kind}s/count",
            f"{UNIT}/{kind}s/telemetry",
            f"{UNIT}/{kind}s/{{{kind}Id}}",
            f"{UNIT}/{kind}s/{{{kind}Id}}/resources",
        )
    ),
    "/api/v1/nodes/telemetry",
]


class Watched(ApiClient):
    """The client as it is, and what it was answered."""

    def call_api(self, method: str, resource_path: str, **more: Any) -> Any:
        answer = super().call_api(method=method, resource_path=resource_path, **more)
        self.seen.append((method, resource_path, answer.status_code, answer.data))
        return answer

    @property
    def seen(self) -> list[tuple[str, str, int, Any]]:
        return self.__dict__.setdefault("_seen", [])  # type: ignore[no-any-return]


def template_of(path: str) -> str:
    """The contract's name of an address; one without a variable part goes before one with."""
    for template in sorted(TEMPLATES, key=lambda text: text.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template
    raise LookupError(path)


@pytest.fixture
def organizations(acme: Any, served: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    settings = Configuration(
        client_id=acme.application_id,
        client_secret=acme.application_secret,
        runai_base_url=served,
        retry_enabled=False,
    )
    with RunaiClient(watched := Watched(settings)) as client:
        yield client.organizations
    if CONTRACT.exists():
        check = request.getfixturevalue("contract")
        for method, path, status, data in watched.seen:
            if status != 204:
                check(
                    method, template_of(path), SimpleNamespace(status_code=status, content=b"-", json=lambda d=data: d)
                )


def quota(gpus: float, **more: Any) -> Any:
    return models.ResourcesNullable(gpu=models.NonNullResource(deserved=gpus, **more))


def test_clusters_live_and_die(organizations: Any) -> None:
    api = organizations.clusters
    made = api.create_cluster(models.ClusterCreationRequest(name="east")).data
    assert [row["name"] for row in api.get_clusters().data] == ["east"]
    assert api.update_cluster(made["uuid"], models.ClusterUpdateRequest(name="west")).status_code == 204
    assert api.get_cluster_by_uuid(made["uuid"]).data["name"] == "west"
    assert "kubectl" in api.get_cluster_install_info_by_uuid(made["uuid"], version="0.1.0").data["installationStr"]
    assert api.delete_cluster(made["uuid"], force=True).status_code == 204
    assert api.get_clusters().data == []


def test_node_pools_live_and_die(cluster: Cluster, organizations: Any) -> None:
    api, cluster_id = organizations.node_pools, str(cluster.pk)
    for name in ("a100", "h100"):
        body = models.NodepoolCreateFields(name=name, label_key="gpu", label_value=name, cluster_id=cluster_id)
        assert api.create_nodepool(body).status_code == 201
    found = api.get_nodepools(filter_by=["name=@100", f"clusterId=={cluster_id}"], sort_by="name").data["nodepools"]
    assert [row["name"] for row in found] == ["a100", "h100"]
    assert api.count_nodepools(filter_by=["phase==Empty"]).data == {"count": 3}
    assert len(api.get_nodepools(limit=1, offset=1).data["nodepools"]) == 1
    one = found[0]["id"]
    spread = models.NodepoolCreateResponseFieldsPlacementStrategy(gpu="spread")
    changed = api.patch_nodepool(one, models.NodepoolUpdateFields(placement_strategy=spread)).data
    assert changed["placementStrategy"] == {"gpu": "spread", "cpu": "binpack"}
    replaced = api.update_nodepool(one, models.NodepoolUpdateFields(label_key="gpu", label_value="b200")).data
    assert (replaced["labelValue"], replaced["placementStrategy"]["gpu"]) == ("b200", "binpack")
    assert api.delete_nodepool(one).status_code == 202


def test_departments_and_projects_live_and_die(cluster: Cluster, organizations: Any) -> None:
    departments, projects, cluster_id = organizations.departments, organizations.projects, str(cluster.pk)
    parent = departments.create_department(
        models.DepartmentCreationRequest(name="research", cluster_id=cluster_id, resources=[quota(8)])
    ).data
    for name in ("vision", "speech"):
        body = models.ProjectCreationRequest(
            name=name, cluster_id=cluster_id, parent_id=parent["id"], resources=[quota(2, limit=4)]
        )
        assert projects.create_project(body).status_code == 201
    page = projects.get_projects(filter_by=[f"parentId=={parent['id']}"], sort_by="name", limit=1).data
    assert ([row["name"] for row in page["projects"]], page["next"]) == (["speech"], 1)
    assert projects.count_projects(filter_by=["totalGpuQuota>=2", "name=^vis"]).data == {"count": 1}
    assert departments.count_departments(filter_by=["name==research"]).data == {"count": 1}
    one = page["projects"][0]["id"]
    written = projects.update_project(one, models.ProjectUpdateRequest(description="d", resources=[quota(3)])).data
    assert (written["description"], written["totalResources"]["gpuQuota"]) == ("d", 3)
    assert projects.patch_project_resources(one, [quota(1.5, over_quota_weight=2)]).data[0]["gpu"]["deserved"] == 1.5
    assert projects.update_project_resources(one, [quota(2)]).data[0]["gpu"]["limit"] is None
    assert departments.update_department_resources(parent["id"], [quota(16)]).data[0]["gpu"]["deserved"] == 16
    assert departments.patch_department_resources(parent["id"], [quota(12)]).data[0]["gpu"]["deserved"] == 12
    assert (
        departments.update_department(
            parent["id"], models.DepartmentUpdateRequest(description="x", resources=[quota(12)])
        ).data["description"]
        == "x"
    )
    with pytest.raises(ApiException) as refused:
        departments.delete_department(parent["id"])
    assert refused.value.status == 409
    assert projects.delete_project(one).status_code == 202


def make_units(organizations: Any, cluster: Cluster, kind: str, names: list[str]) -> None:
    for number, name in enumerate(names):
        body = {"name": name, "cluster_id": str(cluster.pk), "resources": [quota(number)]}
        if kind == "departments":
            organizations.departments.create_department(models.DepartmentCreationRequest(**body))
        else:
            organizations.projects.create_project(models.ProjectCreationRequest(**body))


def listed(organizations: Any, kind: str, **query: Any) -> list[str]:
    api = organizations.departments if kind == "departments" else organizations.projects
    found = api.get_departments(**query) if kind == "departments" else api.get_projects(**query)
    return [row["name"] for row in found.data[kind] if row["name"] != "default"]


WORDS = [
    ({"sort_by": "name"}, ["ada", "bea", "cleo"]),
    ({"sort_by": "name", "sort_order": "desc"}, ["cleo", "bea", "ada"]),
    ({"sort_by": "totalGpuQuota", "sort_order": "desc"}, ["cleo", "bea", "ada"]),
    ({"filter_by": ["name==bea"]}, ["bea"]),
    ({"filter_by": ["name=@e"], "sort_by": "name"}, ["bea", "cleo"]),
    ({"filter_by": ["totalGpuQuota>=2"]}, ["cleo"]),
    ({"filter_by": ["name==nobody"]}, []),
]


@pytest.mark.parametrize("kind", ["departments", "projects"])
@pytest.mark.parametrize(("query", "names"), WORDS)
def test_units_are_filtered_and_sorted(
    cluster: Cluster, organizations: Any, kind: str, query: Any, names: list[str]
) -> None:
    make_units(organizations, cluster, kind, ["ada", "bea", "cleo"])
    assert listed(organizations, kind, **query) == names


@pytest.mark.parametrize("kind", ["departments", "projects"])
def test_pages_of_units_hold_each_once(cluster: Cluster, organizations: Any, kind: str) -> None:
    names = [f"unit-{number}" for number in range(5)]
    make_units(organizations, cluster, kind, names)
    query = {"sort_by": "name", "filter_by": ["name=^unit"], "limit": 2}
    pages = [listed(organizations, kind, **query, offset=offset) for offset in (0, 2, 4, 6)]
    assert pages == [names[:2], names[2:4], names[4:], []]


def test_a_department_goes_after_its_projects(cluster: Cluster, organizations: Any) -> None:
    departments, projects, cluster_id = organizations.departments, organizations.projects, str(cluster.pk)
    body = models.DepartmentCreationRequest(name="brief", cluster_id=cluster_id, resources=[quota(1)])
    one = departments.create_department(body).data["id"]
    body = models.ProjectCreationRequest(name="briefer", cluster_id=cluster_id, parent_id=one, resources=[quota(1)])
    project = projects.create_project(body).data["id"]
    assert departments.get_department(one).data["name"] == "brief"
    assert projects.get_project(project).data["parentName"] == "brief"
    assert projects.delete_project(project).status_code == 202
    remove_project(Project.objects.select_related("scope", "cluster__scope").get())  # as its cluster reports the end
    assert departments.delete_department(one).status_code == 204
    with pytest.raises(ApiException) as gone:
        departments.get_department(one)
    assert gone.value.status == 404


def test_clusters_that_leave_are_listed_when_asked_for(cluster: Cluster, organizations: Any) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(delete_requested_at=cluster.created_at)
    api = organizations.clusters
    assert api.get_clusters().data == []
    assert [row["name"] for row in api.get_clusters(include_requested_for_delete=True).data] == [cluster.name]


def test_topologies_live_and_die(cluster: Cluster, organizations: Any) -> None:
    api = organizations.network_topologies
    body = {"name": "racks", "cluster_id": str(cluster.pk), "levels": ["zone", "rack"]}
    made = api.create_network_topology(models.NetworkTopologyCreateRequest(**body)).data
    assert [row["name"] for row in api.get_network_topologies().data["networkTopologies"]] == ["racks"]
    assert api.get_network_topologies_count().data == {"count": 1}
    assert api.get_network_topology_by_id(made["id"]).data["levels"] == ["zone", "rack"]
    assert api.delete_network_topology(made["id"]).status_code == 204


def test_ranks_are_read(cluster: Cluster, organizations: Any) -> None:
    found = OrgUnitApi(organizations.api_client).get_priorities().data["priorities"]
    assert [row["name"] for row in found if row["isDefault"]] == ["medium"]


@pytest.fixture
def node(project: Project) -> None:
    """Reported before the server takes over the connection."""
    tell(project.cluster, "Node", node_report(gpu_allocated_milli=3000))
    take("inventory")


def test_telemetry_is_read(node: None, organizations: Any) -> None:
    free = organizations.nodes.get_node_telemetry(telemetry_type="FREE_GPUS", group_by=["Nodepool"]).data
    assert free["values"] == [{"value": "5", "groups": [{"key": "Nodepool", "value": "default"}]}]
    held = organizations.projects.get_projects_telemetry(telemetry_type="GPU_QUOTA").data
    assert held["values"] == [{"value": "0", "groups": []}]
