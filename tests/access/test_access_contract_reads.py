"""Every read that the coverage page calls implemented is asked for and held against the public contract.

What is written is held against it where it is tested: the contract tests of each room.
"""

import re
from types import SimpleNamespace

import pytest

from access.models import AccessKey, Application
from access.services.access_keys import create_key
from access.services.brand import set_logo
from access.services.providers import create_provider
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import NodePool
from tests.access.pictures import png
from tests.access.test_access_contract import verbs_apart
from tests.architecture.test_api_coverage import PAGE, ROW
from tests.fixtures_rooms import make_cluster, make_project, make_workload, node_report, take, tell

pytestmark = pytest.mark.services
SPAN = "start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z"
ASKED = {
    "/api/v1/audit/log": SPAN,
    "/api/v1/clusters/{clusterUuid}/cluster-install-info": "version=2.20",
    "/api/v1/org-unit/departments/telemetry": "telemetryType=GPU_QUOTA",
    "/api/v1/org-unit/projects/telemetry": "telemetryType=GPU_QUOTA",
    "/api/v1/nodes/telemetry": "telemetryType=TOTAL_GPUS",
    "/api/v1/clusters/{clusterUuid}/metrics": f"{SPAN}&metricType=TOTAL_GPU",
    "/api/v1/org-unit/departments/{departmentId}/metrics": f"{SPAN}&metricType=GPU_ALLOCATION",
    "/api/v1/org-unit/projects/{projectId}/metrics": f"{SPAN}&metricType=GPU_ALLOCATION",
    "/api/v1/workloads/{workloadId}/metrics": f"{SPAN}&metricType=GPU_UTILIZATION",
    "/api/v1/nodes/{nodeId}/metrics": f"{SPAN}&metricType=GPU_UTILIZATION",
}
"""What must be asked with: path template → query."""
ELSEWHERE = {
    "/api/v1/audit/log/file": "a file, not JSON",
    "/api/v1/workloads/{workloadId}/pods/{podId}/metrics": "needs a pod that was measured",
    "/api/v1/network-topologies/{networkTopologyId}": "needs a topology: tests of clusters",
    "/api/v1/workloads/distributed/{workloadId}": "needs a workload of its kind: tests of workloads",
    "/api/v1/workloads/inferences/{workloadId}": "needs a workload of its kind: tests of workloads",
    "/api/v1/workloads/workspaces/{workloadId}": "needs a workload of its kind: tests of workloads",
    "/v1/k8s/setting/{settingKey}": "the contract knows settings of truth values alone: test_settings",
}
"""Template → why it is not asked for here."""


def reads():
    return [path for method, path, word in ROW.findall(PAGE.read_text()) if (method, word) == ("GET", "implemented")]


@pytest.fixture
def ids(acme, alice):
    """Parameter of a template → the id of something that is there."""
    cluster = make_cluster()
    tell(cluster, "Node", node_report("n-1"))
    take("inventory")
    quota = (PoolQuota("default", ResourceQuota(8000)),)
    project = make_project(cluster, quotas=quota)
    work = make_workload(project)
    key, _ = create_key(actor=alice, name="laptop")
    oidc = {"clientId": "a", "clientSecret": "b", "discoverDocumentUrl": "https://idp.example.com", "scopes": []}
    create_provider(actor=alice, values={"type": "oidc", "name": "corporate", "alias": "corporate", "oidcData": oidc})
    set_logo(actor=alice, content=png())
    program = Application.objects.get(client_id=acme.application_id)
    client = acme.api("alice@example.test")
    rules = client.get("/api/v1/authorization/access-rules").json()["accessRules"]
    return {
        "clusterUuid": cluster.pk,
        "departmentId": project.department_id,
        "projectId": project.pk,
        "workloadId": work.pk,
        "WorkloadV2Id": work.pk,
        "nodepoolId": NodePool.objects.get(cluster=cluster, name="default").pk,
        "nodeId": client.get("/api/v1/nodes").json()["nodes"][0]["id"],
        "accessKeyId": AccessKey.objects.get(pk=key.pk).pk,
        "appId": key.pk,
        "serviceAccountId": program.pk,
        "accessRuleId": rules[0]["id"],
        "roleIdPath": 1,
        "idp": "corporate",
        "key": "browserSessionTimeout",
        "userId": alice.id,
    }


def test_every_read_fits_the_contract(acme, ids, contract):
    client, wrong = acme.api("alice@example.test"), {}
    ids |= {"appId": ids["serviceAccountId"]}
    for template in reads():
        if template in ELSEWHERE:
            continue
        own = ids | ({"appId": ids["accessKeyId"]} if "user-applications" in template else {})
        path = re.sub(r"\{(\w+)\}", lambda found, own=own: str(own[found[1]]), template)
        answer = client.get(f"{path}?{ASKED.get(template, '')}")
        if answer.status_code != 200:
            wrong[template] = (answer.status_code, answer.content[:300])
            continue
        body = verbs_apart(answer.json())
        shown = SimpleNamespace(status_code=200, content=answer.content, json=lambda body=body: body)
        try:
            contract("GET", template, shown)
        except AssertionError as error:
            wrong[template] = str(error)[:300]
    assert wrong == {}


def test_what_is_not_asked_for_here_is_implemented_and_has_a_reason():
    assert set(ELSEWHERE) | set(ASKED) <= set(reads())
