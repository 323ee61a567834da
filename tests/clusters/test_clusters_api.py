"""Clusters, nodes and node pools over REST: shapes, states, errors, and who may."""

from typing import Any

import pytest

from agent.wire.reports import ClusterReport, Dependency, RoleHealth
from clusters.models import Cluster, NodePool
from tests.conftest import Home, grant
from tests.fixtures_rooms import connect, make_cluster, node_report, take, tell

CLUSTERS = "/api/v1/clusters"


def test_a_cluster_is_made_and_waits(acme: Home, contract: Any) -> None:
    answer = acme.api().post(CLUSTERS, {"name": "alpha"}, content_type="application/json")
    assert answer.status_code == 201
    contract("POST", CLUSTERS, answer)
    assert answer.json()["status"]["state"] == "WaitingToConnect"


def test_the_list_and_one_cluster_follow_the_contract(acme: Home, cluster: Cluster, contract: Any) -> None:
    api = acme.api()
    contract("GET", CLUSTERS, api.get(CLUSTERS))
    contract("GET", CLUSTERS + "/{clusterUuid}", api.get(f"{CLUSTERS}/{cluster.pk}"))


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a" * 64, "a\nb", " a"])
def test_a_bad_name_is_refused_at_the_field(acme: Home, name: str) -> None:
    answer = acme.api().post(CLUSTERS, {"name": name}, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "name"


def test_a_name_is_used_once(acme: Home, cluster: Cluster) -> None:
    answer = acme.api().post(CLUSTERS, {"name": cluster.name}, content_type="application/json")
    assert answer.status_code == 409


def test_a_cluster_is_renamed(acme: Home, cluster: Cluster) -> None:
    answer = acme.api().put(f"{CLUSTERS}/{cluster.pk}", {"name": "beta"}, content_type="application/json")
    assert (answer.status_code, answer.content) == (204, b"")
    assert acme.api().get(f"{CLUSTERS}/{cluster.pk}").json()["name"] == "beta"


def test_a_cluster_nobody_joined_goes_at_once(acme: Home, cluster: Cluster) -> None:
    assert acme.api().delete(f"{CLUSTERS}/{cluster.pk}").status_code == 204
    assert acme.api().get(f"{CLUSTERS}/{cluster.pk}").status_code == 404


def test_a_connected_cluster_leaves_in_order(acme: Home, cluster: Cluster) -> None:
    connect(cluster)
    assert acme.api().delete(f"{CLUSTERS}/{cluster.pk}").status_code == 202
    assert acme.api().get(CLUSTERS).json() == []
    assert len(acme.api().get(f"{CLUSTERS}?includeRequestedForDelete=true").json()) == 1


def test_force_removes_a_connected_cluster_with_everything_in_it(acme: Home, project: Any) -> None:
    connect(project.cluster)
    assert acme.api().delete(f"{CLUSTERS}/{project.cluster_id}?force=true").status_code == 204
    assert acme.api().get("/api/v1/org-unit/projects").json()["projects"] == []


def test_the_manifest_holds_a_fresh_token_and_is_not_cached(acme: Home, cluster: Cluster) -> None:
    api = acme.api()
    first = api.post(f"{CLUSTERS}/{cluster.pk}/manifest")
    second = api.post(f"{CLUSTERS}/{cluster.pk}/manifest")
    assert first.status_code == 200 and first["Content-Type"] == "text/yaml"
    assert first["Cache-Control"] == "no-store"
    assert "kind: CustomResourceDefinition" in first.content.decode()
    assert first.content != second.content


def test_install_info_carries_no_secret(acme: Home, cluster: Cluster, contract: Any) -> None:
    answer = acme.api().get(f"{CLUSTERS}/{cluster.pk}/cluster-install-info?version=0.1.0")
    contract("GET", CLUSTERS + "/{clusterUuid}/cluster-install-info", answer)
    assert "kubectl apply -f -" in answer.json()["installationStr"]


def test_a_researcher_makes_no_cluster_and_no_manifest(acme: Home, cluster: Cluster) -> None:
    grant("bob@example.test", "researcher")
    api = acme.api("bob@example.test")
    assert api.post(CLUSTERS, {"name": "x"}, content_type="application/json").status_code == 403
    assert api.post(f"{CLUSTERS}/{cluster.pk}/manifest").status_code == 403
    assert api.delete(f"{CLUSTERS}/{cluster.pk}").status_code == 403


def test_reports_set_the_state(acme: Home, cluster: Cluster, contract: Any) -> None:
    connect(cluster)
    broken = RoleHealth("scheduler", healthy=False, message="no leader", since="2026-01-02T03:04:05Z")
    needed = Dependency("metrics", required=False, available=False, message="not installed")
    tell(cluster, "Cluster", ClusterReport("0.1.0", "v1.33.1", roles=(broken,), dependencies=(needed,)))
    take("cluster")
    answer = acme.api().get(f"{CLUSTERS}/{cluster.pk}")
    contract("GET", CLUSTERS + "/{clusterUuid}", answer)
    assert answer.json()["status"]["state"] == "ServiceIssues"
    assert answer.json()["status"]["message"] == "scheduler: no leader."


def test_nodes_come_from_the_inventory(acme: Home, cluster: Cluster, contract: Any) -> None:
    tell(cluster, "Node", node_report("node-1"))
    tell(cluster, "Node", node_report("node-2", node_pool="simulated", gpu_count=0))
    assert take("inventory") == 2
    answer = acme.api().get("/api/v1/nodes?sortBy=name")
    contract("GET", "/api/v1/nodes", answer)
    assert [node["name"] for node in answer.json()["nodes"]] == ["node-1", "node-2"]
    contract("GET", "/api/v1/nodes/count", acme.api().get("/api/v1/nodes/count"))
    of_cluster = acme.api().get(f"{CLUSTERS}/{cluster.pk}/nodes?filterBy=nodePool==simulated")
    assert [node["name"] for node in of_cluster.json()["nodes"]] == ["node-2"]


def test_a_node_pool_appears_with_its_first_node(acme: Home, cluster: Cluster, contract: Any) -> None:
    tell(cluster, "Node", node_report(node_pool="a100"))
    take("inventory")
    answer = acme.api().get("/api/v1/node-pools")
    contract("GET", "/api/v1/node-pools", answer)
    pools = {pool["name"]: pool for pool in answer.json()["nodepools"]}
    assert pools["default"]["isDefault"] and pools["default"]["phase"] == "Empty"
    assert pools["a100"]["status"]["nodes"] == ["node-1"] and pools["a100"]["phase"] == "Ready"


def test_a_deleted_node_goes(acme: Home, cluster: Cluster) -> None:
    report = node_report()
    tell(cluster, "Node", report)
    tell(cluster, "Node", uid=report.uid)
    take("inventory")
    assert cluster.nodes.count() == 0


def test_a_report_twice_is_one_row(acme: Home, cluster: Cluster) -> None:
    report = node_report()
    for _ in range(2):
        tell(cluster, "Node", report)
        take("inventory")
    assert cluster.nodes.count() == 1


def test_a_report_that_cannot_be_read_stops_nothing(acme: Home, cluster: Cluster) -> None:
    tell(cluster, "Node", {"name": 7}, uid="bad")
    tell(cluster, "Node", node_report())
    assert take("inventory") == 2
    assert cluster.nodes.count() == 1


def test_the_default_pool_is_there_from_the_start(cluster: Cluster) -> None:
    assert NodePool.objects.get(cluster=cluster).is_default


def test_a_leaving_cluster_makes_no_manifest(acme: Home, cluster: Cluster) -> None:
    connect(cluster)
    acme.api().delete(f"{CLUSTERS}/{cluster.pk}")
    assert acme.api().post(f"{CLUSTERS}/{cluster.pk}/manifest").status_code == 409


def test_two_clusters_may_not_see_each_others_nodes(acme: Home, cluster: Cluster) -> None:
    other = make_cluster("beta")
    tell(other, "Node", node_report())
    take("inventory")
    assert acme.api().get(f"{CLUSTERS}/{cluster.pk}/nodes").json()["nodes"] == []
