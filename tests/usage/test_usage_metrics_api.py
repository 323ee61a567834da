"""Metrics by REST: the contract's shape, gaps without values, and nothing of other projects or tenants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django_tenants.utils import tenant_context

from tests.factories.scene import build_scene, measure
from workloads.models import Pod

pytestmark = pytest.mark.services


@pytest.fixture
def scene(acme):
    made = build_scene()
    measure(made)
    return made


def span(minutes: int = 60) -> dict[str, str]:
    now = datetime.now(UTC)
    return {"start": (now - timedelta(minutes=minutes)).isoformat(), "end": now.isoformat()}


def test_a_workloads_metrics_have_the_contracts_shape(acme, scene):
    workload = scene.workloads["clip-train-base"]
    query = {**span(), "metricType": "GPU_UTILIZATION,CPU_USAGE_CORES", "numberOfSamples": "12"}
    answer = acme.api().get(f"/api/v1/workloads/{workload.pk}/metrics", query)
    assert answer.status_code == 200, answer.content
    lines = answer.json()["measurements"]
    assert [line["type"] for line in lines] == ["GPU_UTILIZATION", "CPU_USAGE_CORES"]
    assert 70 < float(lines[0]["values"][0]["value"]) < 95
    assert lines[0]["values"][0]["timestamp"].endswith("Z")


def test_a_gap_has_no_value(acme, scene):
    workload = scene.workloads["clip-train-base"]
    query = {**span(), "metricType": "GPU_UTILIZATION", "numberOfSamples": "60"}
    values = acme.api().get(f"/api/v1/workloads/{workload.pk}/metrics", query).json()["measurements"][0]["values"]
    assert 50 <= len(values) < 60


def test_csv_for_those_who_accept_it(acme, scene):
    workload = scene.workloads["clip-train-base"]
    query = {**span(), "metricType": "GPU_UTILIZATION"}
    answer = acme.api().get(f"/api/v1/workloads/{workload.pk}/metrics", query, headers={"accept": "text/csv"})
    assert answer.content.decode().splitlines()[0] == "type,labels,timestamp,value"
    assert len(answer.content.decode().splitlines()) > 10


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metricType": "GPU_UTILISATION"}, "metricType"),
        ({"metricType": ""}, "metricType"),
        ({"numberOfSamples": "1001"}, "numberOfSamples"),
        ({"numberOfSamples": "-1"}, "numberOfSamples"),
        ({"start": "yesterday"}, "start"),
        ({"end": "2001-01-01T00:00:00Z"}, "end"),
    ],
)
def test_a_wrong_query_names_the_field(acme, scene, change, field):
    workload = scene.workloads["clip-train-base"]
    query = {**span(), "metricType": "GPU_UTILIZATION", **change}
    answer = acme.api().get(f"/api/v1/workloads/{workload.pk}/metrics", query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_a_cluster_and_its_pools(acme, scene):
    query = {**span(), "metricType": "ALLOCATED_GPU"}
    path = f"/api/v1/clusters/{scene.cluster.pk}/metrics"
    whole = acme.api().get(path, query).json()["measurements"]
    pools = acme.api().get(path, {**query, "groupBy": "Nodepool"}).json()["measurements"]
    assert len(whole[0]["values"]) > 10
    assert {"key": "Nodepool", "value": "a100"} in [group for line in pools for group in line["groups"]]


def test_a_pod_without_samples_has_empty_lines(acme, scene):
    workload = scene.workloads["clip-train-base"]
    pod = Pod.objects.of(workload.pk).first()
    path = f"/api/v1/workloads/{workload.pk}/pods/{pod.uid}/metrics"
    answer = acme.api().get(path, {**span(), "metricType": "CPU_USAGE_CORES,GPU_UTILIZATION_PER_GPU"})
    assert answer.json() == {"measurements": [{"type": "CPU_USAGE_CORES", "values": []}]}


def test_somebody_without_a_role_there_sees_no_metrics(acme, scene):
    workload = scene.workloads["clip-train-base"]
    query = {**span(), "metricType": "GPU_UTILIZATION"}
    answer = acme.api("charlie@example.test").get(f"/api/v1/workloads/{workload.pk}/metrics", query)
    assert answer.status_code in (403, 404)


def test_another_tenant_sees_nothing(acme, globex, scene):
    workload = scene.workloads["clip-train-base"]
    query = {**span(), "metricType": "GPU_UTILIZATION"}
    with tenant_context(globex.tenant):
        answer = globex.api().get(f"/api/v1/workloads/{workload.pk}/metrics", query)
    assert answer.status_code == 404
