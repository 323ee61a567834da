"""Node pools and network topologies: made, changed and closed over REST; overlaps, documents, phases, and who may."""

from typing import Any

import pytest

from clusters.models import Cluster, Node, NodePool
from clusters.pools import Selector, label_errors, overlaps
from projects.models import Project
from projects.services.reports import add_node_pools, close_node_pools
from tests.conftest import Home, grant
from tests.fixtures_rooms import documents, make_cluster, node_report, take, tell

POOLS = "/api/v1/node-pools"
TOPOLOGIES = "/api/v1/network-topologies"
JSON = "application/json"


def post(home: Home, cluster: Cluster, name: str = "a100", **more: Any) -> Any:
    body = {"name": name, "labelKey": "gpu", "labelValue": name or "x", "clusterId": str(cluster.pk), **more}
    return home.api().post(POOLS, body, content_type=JSON)


def report_node(cluster: Cluster, name: str, pool: str = "default", **labels: str) -> Node:
    tell(cluster, "Node", node_report(name, node_pool=pool, labels=labels))
    take("inventory")
    return Node.objects.get(cluster=cluster, name=name)


def test_a_pool_is_made_and_owed_to_the_cluster(acme: Home, cluster: Cluster, contract: Any) -> None:
    answer = post(acme, cluster, schedulingConfiguration={"placementStrategy": {"gpu": "spread"}})
    assert answer.status_code == 201, answer.content
    contract("POST", POOLS, answer)
    assert (answer.json()["phase"], answer.json()["isDefault"]) == ("Empty", False)
    spec = documents(cluster)["nodepool/a100"]["spec"]
    assert (spec["labelKey"], spec["labelValue"], spec["placementGpu"]) == ("gpu", "a100", "spread")


def test_a_new_pool_is_in_every_project_with_quota_0_and_over_quota_on(acme: Home, project: Project) -> None:
    post(acme, project.cluster)
    add_node_pools(project.cluster)
    quotas = {item["nodePool"]: item for item in documents(project.cluster)["project/team-a"]["spec"]["quotas"]}
    assert (quotas["a100"]["gpu"]["deserved"], quotas["a100"]["gpu"]["overQuotaWeight"]) == (0, 1000)


def test_lists_counts_and_filters_follow_the_contract(acme: Home, cluster: Cluster, contract: Any) -> None:
    post(acme, cluster)
    report_node(cluster, "n1", "default")
    api = acme.api()
    for query, names in (
        ("", ["default", "a100"]),
        ("?filterBy=phase==Empty", ["a100"]),
        ("?filterBy=phase==Ready,name==default", ["default"]),
        (f"?filterBy=clusterId=={cluster.pk}&sortBy=name&sortOrder=desc", ["default", "a100"]),
        ("?limit=1&offset=1", ["a100"]),
    ):
        answer = api.get(POOLS + query)
        contract("GET", POOLS, answer)
        assert [row["name"] for row in answer.json()["nodepools"]] == names
    counted = api.get(f"{POOLS}/count?filterBy=phase==Empty")
    contract("GET", POOLS + "/count", counted)
    assert counted.json() == {"count": 1}


def test_patch_changes_what_is_named_and_put_replaces(acme: Home, cluster: Cluster, contract: Any) -> None:
    one = f"{POOLS}/{post(acme, cluster, placementStrategy={'gpu': 'spread', 'cpu': 'spread'}).json()['id']}"
    patched = acme.api().patch(one, {"placementStrategy": {"gpu": "binpack"}}, content_type=JSON)
    contract("PATCH", POOLS + "/{nodepoolId}", patched)
    assert patched.json()["placementStrategy"] == {"gpu": "binpack", "cpu": "spread"}
    put = acme.api().put(one, {"labelKey": "gpu", "labelValue": "h100"}, content_type=JSON)
    contract("PUT", POOLS + "/{nodepoolId}", put)
    assert put.json()["placementStrategy"] == {"gpu": "binpack", "cpu": "binpack"}
    assert documents(cluster)["nodepool/a100"]["spec"]["labelValue"] == "h100"


def test_a_label_that_another_pool_has_is_refused(acme: Home, cluster: Cluster) -> None:
    post(acme, cluster)
    answer = post(acme, cluster, "second", labelValue="a100")
    assert answer.status_code == 400
    assert (answer.json()["errors"][0]["field"], "'a100'" in answer.json()["message"]) == ("labelValue", True)


def test_nodes_that_would_belong_to_two_pools_are_named(acme: Home, cluster: Cluster) -> None:
    post(acme, cluster)
    report_node(cluster, "both", gpu="a100", zone="east")
    answer = post(acme, cluster, "east", labelKey="zone", labelValue="east")
    assert answer.status_code == 400
    assert "both" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "A100"}, "name"),
        ({"name": "а100"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "department"}, "name"),
        ({"labelKey": "-bad"}, "labelKey"),
        ({"labelKey": "a/b/c"}, "labelKey"),
        ({"labelValue": ""}, "labelValue"),
        ({"labelValue": "no spaces"}, "labelValue"),
        ({"labelKey": "kai.scheduler/node-pool", "labelValue": "other"}, "labelValue"),
        ({"placementStrategy": {"gpu": "pile"}}, "placementStrategy.gpu"),
        ({"clusterId": "nowhere"}, "clusterId"),
        ({"networkTopologyId": "nowhere"}, "networkTopologyId"),
        ({"gpuResourceOptimization": {"swapEnabled": True}}, "gpuResourceOptimization.swapEnabled"),
        (
            {"schedulingConfiguration": {"minGuaranteedRuntime": "5m"}},
            "schedulingConfiguration.minGuaranteedRuntime",
        ),
    ],
)
def test_bad_fields_are_named_and_nothing_is_made(acme: Home, cluster: Cluster, change: Any, field: str) -> None:
    answer = post(acme, cluster, **change)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == field
    assert NodePool.objects.count() == 1


def test_a_name_is_used_once_in_a_cluster(acme: Home, cluster: Cluster) -> None:
    assert post(acme, cluster).status_code == 201
    assert post(acme, cluster, labelValue="other").status_code == 409
    assert post(acme, make_cluster("beta")).status_code == 201


def test_the_default_pool_keeps_its_label_and_stays(acme: Home, cluster: Cluster) -> None:
    one = f"{POOLS}/{cluster.node_pools.get(name='default').pk}"
    assert acme.api().patch(one, {"labelValue": "x"}, content_type=JSON).status_code == 400
    assert acme.api().delete(one).status_code == 409
    assert acme.api().patch(one, {"placementStrategy": {"gpu": "spread"}}, content_type=JSON).status_code == 200


def test_a_pool_goes_when_no_node_is_left_in_it(acme: Home, project: Project) -> None:
    cluster = project.cluster
    one = f"{POOLS}/{post(acme, cluster).json()['id']}"
    node = report_node(cluster, "n1", "a100", gpu="a100")
    add_node_pools(cluster)
    assert acme.api().delete(one).status_code == 202
    close_node_pools(cluster)
    assert acme.api().get(one).json()["phase"] == "Deleting"
    assert documents(cluster)["nodepool/a100"] is None
    Node.objects.filter(pk=node.pk).update(node_pool="default")
    close_node_pools(cluster)
    assert acme.api().get(one).status_code == 404
    quotas = documents(cluster)["project/team-a"]["spec"]["quotas"]
    assert [quota["nodePool"] for quota in quotas] == ["default"]


def test_a_pool_that_nodes_name_themselves_is_not_deleted(acme: Home, cluster: Cluster) -> None:
    report_node(cluster, "n1", "byhand")
    pool = NodePool.objects.get(name="byhand")
    answer = acme.api().delete(f"{POOLS}/{pool.pk}")
    assert answer.status_code == 409 and "n1" in answer.json()["message"]


def test_a_researcher_sees_pools_and_changes_none(acme: Home, cluster: Cluster) -> None:
    grant("bob@example.test", "researcher", cluster.scope)
    api = acme.api("bob@example.test")
    assert len(api.get(POOLS).json()["nodepools"]) == 1
    body = {"name": "x", "labelKey": "k", "labelValue": "v", "clusterId": str(cluster.pk)}
    assert api.post(POOLS, body, content_type=JSON).status_code == 403


def test_the_other_tenant_sees_no_pool(acme: Home, globex: Home, cluster: Cluster) -> None:
    pool = post(acme, cluster).json()["id"]
    assert globex.api().get(f"{POOLS}/{pool}").status_code == 404


def test_a_topology_is_made_used_and_removed(acme: Home, cluster: Cluster, contract: Any) -> None:
    api = acme.api()
    body = {"name": "fabric", "clusterId": str(cluster.pk), "levels": ["example.com/block", "kubernetes.io/hostname"]}
    made = api.post(TOPOLOGIES, body, content_type=JSON)
    assert made.status_code == 201, made.content
    contract("POST", TOPOLOGIES, made)
    assert documents(cluster)["topology/fabric"]["spec"]["levels"][0] == {"nodeLabel": "example.com/block"}
    pool = post(acme, cluster, networkTopologyId=made.json()["id"])
    assert pool.json()["networkTopologyName"] == "fabric"
    one = f"{TOPOLOGIES}/{made.json()['id']}"
    contract("GET", TOPOLOGIES + "/{networkTopologyId}", api.get(one))
    contract("GET", TOPOLOGIES, api.get(f"{TOPOLOGIES}?filterBy=name==fabric,source==Cluster"))
    assert api.get(f"{TOPOLOGIES}/count?filterBy=phase==Ready").json() == {"count": 1}
    assert api.delete(one).status_code == 409
    api.patch(f"{POOLS}/{pool.json()['id']}", {"networkTopologyId": None}, content_type=JSON)
    assert api.delete(one).status_code == 204
    assert documents(cluster)["topology/fabric"] is None


@pytest.mark.parametrize("levels", [[], ["a", "a"], ["bad key"], "x", [1]])
def test_bad_levels_are_refused(acme: Home, cluster: Cluster, levels: Any) -> None:
    body = {"name": "fabric", "clusterId": str(cluster.pk), "levels": levels}
    answer = acme.api().post(TOPOLOGIES, body, content_type=JSON)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("levels")


def test_overlap_is_decided_by_nodes() -> None:
    mine, other = Selector("mine", "a", "1"), Selector("other", "b", "2")
    assert overlaps(mine, [other], [("n", {"a": "1"}), ("m", {"b": "2"})]) == []
    assert overlaps(mine, [other], [("n", {"a": "1", "b": "2"})])[0].field == "labelValue"
    assert overlaps(mine, [Selector("default", "b", "2")], [("n", {"a": "1", "b": "2"})]) == []


@pytest.mark.parametrize("key", ["gpu", "nvidia.com/gpu.product", "a_b.c-d", "x" * 63])
def test_good_label_keys(key: str) -> None:
    assert label_errors(key, "value") == []
