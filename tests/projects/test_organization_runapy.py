"""The public client, unmodified: clusters, node pools, departments, projects and their resources, from birth to end."""

from collections.abc import Iterator
from typing import Any

import pytest
from runai import models
from runai.api_client import ApiClient
from runai.configuration import Configuration
from runai.exceptions import ApiException
from runai.runai_client import RunaiClient

from clusters.models import Cluster
from projects.models import Project
from tests.fixtures_rooms import node_report, take, tell

pytestmark = pytest.mark.services


@pytest.fixture
def organizations(acme: Any, served: str) -> Iterator[Any]:
    settings = Configuration(
        client_id=acme.application_id,
        client_secret=acme.application_secret,
        runai_base_url=served,
        retry_enabled=False,
    )
    with RunaiClient(ApiClient(settings)) as client:
        yield client.organizations


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
