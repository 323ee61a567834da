"""A cluster in safe mode: every order of a person to it is refused with a sentence, and every look is answered."""

import json

import pytest

from clusters.models import Cluster, NodePool
from clusters.services.topologies import create_topology
from tests.fixtures_rooms import documents, make_workload

pytestmark = pytest.mark.services
UNITS = "/api/v1/org-unit"


@pytest.fixture
def safe(project, alice):
    """A cluster with one of everything, now in safe mode; the paths and bodies of orders to it."""
    cluster = project.cluster
    workload = make_workload(project, actor=alice)
    topology = create_topology(actor=alice, cluster=cluster, name="net", levels=("block",))
    Cluster.objects.filter(pk=cluster.pk).update(safe_mode=True)
    pool = NodePool.objects.get(cluster=cluster, name="default").pk
    project_path, workload_path = f"{UNITS}/projects/{project.pk}", f"/api/v1/workloads/{workload.pk}"
    department = f"{UNITS}/departments/{project.department_id}"
    image = {"image": "example.local/busybox:1"}
    new = {"name": "w", "projectId": str(project.pk), "clusterId": str(cluster.pk), "spec": image}
    return {
        "submit": ("post", "/api/v1/workloads/trainings", new),
        "suspend": ("post", f"/api/v1/workloads/trainings/{workload.pk}/suspend", {}),
        "delete": ("delete", f"/api/v1/workloads/trainings/{workload.pk}", {}),
        "project": ("post", f"{UNITS}/projects", {"name": "new", "clusterId": str(cluster.pk)}),
        "project change": ("put", project_path, {"description": "x"}),
        "project end": ("delete", project_path, {}),
        "resources": ("patch", f"{project_path}/resources", [{"nodePool": None, "gpu": {"deserved": 1}}]),
        "reset": (
            "post",
            f"{UNITS}/projects/resources/reset",
            {"clusterId": str(cluster.pk), "nodePoolIds": [pool], "action": "RANKS_TO_DEFAULT"},
        ),
        "department": ("post", f"{UNITS}/departments", {"name": "new", "clusterId": str(cluster.pk)}),
        "department change": ("put", department, {"description": "x"}),
        "pool": (
            "post",
            "/api/v1/node-pools",
            {"name": "fast", "labelKey": "a", "labelValue": "b", "clusterId": str(cluster.pk)},
        ),
        "pool change": ("patch", f"/api/v1/node-pools/{pool}", {"placementStrategy": {"gpu": "spread"}}),
        "topology": (
            "post",
            "/api/v1/network-topologies",
            {"name": "t2", "levels": ["a"], "clusterId": str(cluster.pk)},
        ),
        "topology end": ("delete", f"/api/v1/network-topologies/{topology.pk}", {}),
        "look": ("get", workload_path, {}),
        "preview": (
            "post",
            f"{UNITS}/preview",
            {
                "clusterId": str(cluster.pk),
                "projects": [{"id": str(project.pk), "resources": [{"gpu": {"deserved": 1}}]}],
            },
        ),
    }


LOOKS = {"look", "preview"}


def test_orders_are_refused_and_looks_are_answered(acme, project, safe):
    client, cluster = acme.api(), project.cluster
    before = documents(cluster)
    statuses = {}
    for name, (method, path, body) in safe.items():
        sent = {} if method == "get" else {"data": json.dumps(body), "content_type": "application/json"}
        answer = getattr(client, method)(path, **sent)
        statuses[name] = answer.status_code
        assert name in LOOKS or "safe mode" in answer.content.decode(), (name, answer.content[:300])
    assert statuses == {name: 200 if name in LOOKS else 409 for name in safe}
    assert documents(cluster) == before
