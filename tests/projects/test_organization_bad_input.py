"""What cannot be: each is refused with field, value and rule, and leaves nothing behind, not even half of it."""

from typing import Any

import pytest

from access.models import Scope
from access.services.bootstrap import system_actor
from access.services.settings import write_setting
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import Cluster, NodePool
from link.models import Desired
from projects.models import Department, Project, Quota
from projects.services.quotas import LIMITED, set_quotas
from tests.conftest import Home
from tests.fixtures_rooms import connect, make_cluster, make_project, make_workload, node_report, take, tell

pytestmark = pytest.mark.services
JSON = "application/json"
UNITS, CLUSTERS, POOLS = "/api/v1/org-unit", "/api/v1/clusters", "/api/v1/node-pools"
CYRILLIC, FULLWIDTH = "te\u0430m", "\uff54eam"
"""Both look like ``team``."""
LONG = "a" * 64


def gpu(**amounts: Any) -> dict[str, Any]:
    return {"resources": [{"gpu": amounts}]}


def cpu(**amounts: Any) -> dict[str, Any]:
    return {"resources": [{"cpu": amounts}]}


def memory(**amounts: Any) -> dict[str, Any]:
    return {"resources": [{"memory": amounts}]}


PLACE = "resources[0]"
REFUSED = [
    ("a negative quota", gpu(deserved=-1), f"{PLACE}.gpu.deserved", "-1", "0"),
    ("a negative limit", gpu(deserved=0, limit=-2), f"{PLACE}.gpu.limit", "-2", "0"),
    ("a negative weight", gpu(deserved=1, overQuotaWeight=-1), f"{PLACE}.gpu.overQuotaWeight", "-1", "0"),
    ("not a number", gpu(deserved="NaN"), f"{PLACE}.gpu.deserved", "NaN", "number"),
    ("endless", gpu(deserved="Infinity"), f"{PLACE}.gpu.deserved", "Infinity", "number"),
    ("a number with its unit", gpu(deserved="8 GPUs"), f"{PLACE}.gpu.deserved", "8 GPUs", "number"),
    ("less than a thousandth", gpu(deserved=0.0001), f"{PLACE}.gpu.deserved", "0.0001", "0.001"),
    ("a limit below the quota", gpu(deserved=4, limit=2), "resources[default].gpu.limit", "2", "quota"),
    ("gigabytes where bytes have a name", memory(deserved=1, units="PB"), f"{PLACE}.memory.units", "PB", "Mib"),
    ("memory as text with a unit", memory(deserved="16GB", units="Mib"), f"{PLACE}.memory.deserved", "16GB", "number"),
    ("cores in a unit of memory", cpu(deserved=1, units="MiB"), f"{PLACE}.cpu.units", "MiB", "milli-cores"),
    ("capitals", {"name": "Team"}, "name", "Team", "lower-case"),
    ("a Cyrillic letter", {"name": CYRILLIC}, "name", CYRILLIC, "lower-case"),
    ("a full-width letter", {"name": FULLWIDTH}, "name", FULLWIDTH, "lower-case"),
    ("64 characters", {"name": LONG}, "name", LONG, "1 to 57"),
    ("a node pool that is not there", {"defaultNodePools": ["none"]}, "defaultNodePools", "none", "default"),
]


def everything() -> dict[str, Any]:
    """Rows and documents that a request could have left behind."""
    models = (Scope, Cluster, NodePool, Department, Project, Quota)
    found: dict[str, Any] = {model.__name__: model.objects.count() for model in models}
    return found | {"documents": sorted(Desired.objects.values_list("key", "rev"))}


@pytest.mark.parametrize(("why", "change", "field", "given", "rule"), REFUSED, ids=[row[0] for row in REFUSED])
@pytest.mark.parametrize("kind", ["departments", "projects"])
def test_field_value_and_rule_are_named_and_nothing_is_made(
    acme: Home, cluster: Cluster, kind: str, why: str, change: Any, field: str, given: str, rule: str
) -> None:
    make_project(cluster, "present")
    body = {"name": "team", "clusterId": str(cluster.pk), "resources": [], **change}
    before = everything()
    answer = acme.api().post(f"{UNITS}/{kind}", body, content_type=JSON)
    assert answer.status_code == 400, answer.content
    said = answer.json()["errors"][0]
    assert said["field"] == field
    assert given in str(said["given"])
    assert rule in f"{said['message']} {said['allowed']}"
    assert everything() == before


@pytest.mark.parametrize("kind", ["departments", "projects"])
def test_one_wrong_row_of_quotas_keeps_all_rows_as_they_were(acme: Home, project: Project, kind: str) -> None:
    unit = project if kind == "projects" else project.department
    NodePool.objects.create(cluster=project.cluster, name="a100", label_value="a100", created_by="test")
    right = {"nodePool": {"name": "default"}, "gpu": {"deserved": 2}}
    wrong = {"nodePool": {"name": "a100"}, "gpu": {"deserved": -2}}
    before = (everything(), list(Quota.objects.order_by("pk").values()))
    answer = acme.api().put(f"{UNITS}/{kind}/{unit.pk}/resources", [right, wrong], content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "resources[1].gpu.deserved")
    assert (everything(), list(Quota.objects.order_by("pk").values())) == before


def test_a_quota_beyond_the_parents_names_both_sums(acme: Home, project: Project) -> None:
    write_setting(actor=system_actor(), key=LIMITED, value=True)
    set_quotas(actor=system_actor(), owner=project.department, wanted=(PoolQuota("default", gpu=ResourceQuota(4_000)),))
    before = everything()
    body = [{"nodePool": {"name": "default"}, "gpu": {"deserved": 5}}]
    answer = acme.api().put(f"{UNITS}/projects/{project.pk}/resources", body, content_type=JSON)
    said = answer.json()["errors"][0]
    assert answer.status_code == 400
    assert "gpu.deserved" in said["field"]
    assert ("5" in str(said), "4" in str(said)) == (True, True)
    assert everything() == before


@pytest.mark.parametrize("name", ["\u0430lpha", "\uff41lpha", LONG, "-alpha", ""])
def test_a_cluster_has_a_name_of_plain_letters(acme: Home, cluster: Cluster, name: str) -> None:
    before = everything()
    answer = acme.api().post(CLUSTERS, {"name": name}, content_type=JSON)
    said = answer.json()["errors"][0]
    assert (answer.status_code, said["field"], said["given"]) == (400, "name", name)
    assert "1 to 63 letters" in said["message"]
    assert everything() == before


def test_clusters_that_differ_in_case_only_are_one_name(acme: Home, cluster: Cluster) -> None:
    other = make_cluster("beta")
    before = everything()
    made = acme.api().post(CLUSTERS, {"name": "Alpha"}, content_type=JSON)
    renamed = acme.api().put(f"{CLUSTERS}/{other.pk}", {"name": "ALPHA"}, content_type=JSON)
    assert [answer.status_code for answer in (made, renamed)] == [409, 409]
    assert ("'alpha'" in made.json()["message"], "'Alpha'" in made.json()["message"]) == (True, True)
    assert everything() == before
    assert acme.api().put(f"{CLUSTERS}/{cluster.pk}", {"name": "ALPHA"}, content_type=JSON).status_code == 204


@pytest.mark.parametrize("kind", ["departments", "projects", "clusters"])
def test_a_name_twice_is_a_conflict_that_names_it(acme: Home, cluster: Cluster, kind: str) -> None:
    path = CLUSTERS if kind == "clusters" else f"{UNITS}/{kind}"
    body = {"name": "twice", "clusterId": str(cluster.pk), "resources": []}
    assert acme.api().post(path, body, content_type=JSON).status_code == 201
    before = everything()
    answer = acme.api().post(path, body, content_type=JSON)
    assert answer.status_code == 409
    assert "'twice'" in answer.json()["message"] or '"twice"' in answer.json()["message"]
    assert everything() == before


def test_a_pool_that_would_take_anothers_nodes_names_them_and_the_other(acme: Home, cluster: Cluster) -> None:
    body = {"name": "a100", "labelKey": "gpu", "labelValue": "a100", "clusterId": str(cluster.pk)}
    assert acme.api().post(POOLS, body, content_type=JSON).status_code == 201
    tell(cluster, "Node", node_report("both", labels={"gpu": "a100", "zone": "east"}))
    take("inventory")
    before = everything()
    answer = acme.api().post(
        POOLS, {**body, "name": "east", "labelKey": "zone", "labelValue": "east"}, content_type=JSON
    )
    said = answer.json()["errors"][0]
    assert answer.status_code == 400
    assert said["field"].startswith("label")
    assert ("both" in said["message"], "a100" in said["message"]) == (True, True)
    assert everything() == before


def test_a_department_with_running_work_stays_and_says_what_holds_it(acme: Home, project: Project) -> None:
    connect(project.cluster)
    make_workload(project)
    before = everything()
    answer = acme.api().delete(f"{UNITS}/departments/{project.department_id}")
    assert answer.status_code == 409
    assert "has 1 project" in answer.json()["message"]
    assert everything() == before


def test_a_namespace_of_another_project_is_a_conflict_that_names_it(acme: Home, project: Project) -> None:
    before = everything()
    body = {
        "name": "other",
        "clusterId": str(project.cluster_id),
        "requestedNamespace": "runai-team-a",
        "resources": [],
    }
    answer = acme.api().post(f"{UNITS}/projects", body, content_type=JSON)
    assert answer.status_code == 409
    assert "'runai-team-a' belongs to another project" in answer.json()["message"]
    assert everything() == before


def test_the_same_names_in_another_cluster_are_no_conflict(acme: Home, project: Project) -> None:
    body = {"name": project.name, "clusterId": str(make_cluster("beta").pk), "resources": []}
    assert acme.api().post(f"{UNITS}/projects", body, content_type=JSON).status_code == 201
