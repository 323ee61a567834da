"""Real API servers with KWOK nodes: what runs, who may do what, what is written down, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from local.kube import cleanup, launcher
from local.kube.api import Api, ApiError
from local.kube.cluster import LocalCluster
from tests.fixtures_kube import make_cluster
from tests.local.kube_helpers import PODS, leftovers, phase_of, wait_for

pytestmark = pytest.mark.cluster


def pod(name: str, **annotations: str) -> dict[str, Any]:
    """A pod on the first simulated node, with annotations of ``local.run.ai``."""
    keys = {f"local.run.ai/{key.replace('_', '-')}": value for key, value in annotations.items()}
    container = {"name": "main", "image": "example.local/anything:1"}
    spec = {"nodeName": "sim-001", "tolerations": [{"operator": "Exists"}], "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": keys}, "spec": spec}


def test_the_simulated_nodes_are_ready(kube_api: Api) -> None:
    items = kube_api.call("GET", "/api/v1/nodes")["items"]
    assert [item["metadata"]["name"] for item in items] == ["sim-001", "sim-002"]
    assert {item["status"]["allocatable"]["nvidia.com/gpu"] for item in items} == {"8"}


@pytest.mark.parametrize(
    ("name", "annotations", "phase"),
    [
        ("runs", {}, "Running"),
        ("completes", {"run_seconds": "1"}, "Succeeded"),
        ("fails", {"run_seconds": "0.2", "fail": "3"}, "Failed"),
        ("pulls", {"pull_seconds": "1"}, "Running"),
    ],
)
def test_simulated_pods_live_as_annotated(kube_api: Api, name: str, annotations: dict[str, str], phase: str) -> None:
    kube_api.create(PODS, pod(name, **annotations))
    wait_for(lambda: phase_of(kube_api, name), lambda found: found == phase)
    status = kube_api.call("GET", f"{PODS}/{name}")["status"]["containerStatuses"][0]["state"]
    if phase == "Failed":
        assert status["terminated"]["exitCode"] == 3
    kube_api.call("DELETE", f"{PODS}/{name}")
    wait_for(lambda: kube_api.find(f"{PODS}/{name}"), lambda found: found is None)


def test_a_simulated_image_that_cannot_be_pulled_keeps_the_pod_waiting(kube_api: Api) -> None:
    kube_api.create(PODS, pod("no-image", pull_error="no such image"))
    item = wait_for(
        lambda: kube_api.call("GET", f"{PODS}/no-image"), lambda found: found["status"].get("containerStatuses")
    )
    waiting = item["status"]["containerStatuses"][0]["state"]["waiting"]
    assert (waiting["reason"], waiting["message"]) == ("ImagePullBackOff", "no such image")
    kube_api.call("DELETE", f"{PODS}/no-image")


def test_a_service_account_may_only_do_what_it_was_granted(kube_cluster: LocalCluster) -> None:
    api = Api(kube_cluster.service_account_kubeconfig("default", "somebody"))
    assert api.call("GET", "/version")["gitVersion"].startswith("v1.")
    with pytest.raises(ApiError, match="cannot list resource"):
        api.call("GET", "/api/v1/nodes")


def test_an_account_in_an_unknown_namespace_is_an_error(kube_cluster: LocalCluster) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
        kube_cluster.service_account_kubeconfig("nowhere", "somebody")


def test_the_audit_log_tells_who_made_a_pod_and_no_secret(kube_cluster: LocalCluster, kube_api: Api) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hidden-word"}}
    kube_api.create("/api/v1/namespaces/default/secrets", secret)
    kube_api.create(PODS, pod("audited"))
    text = wait_for(kube_cluster.audit_log.read_text, lambda found: '"name":"audited"' in found)
    made = [json.loads(line) for line in text.splitlines() if '"verb":"create"' in line and '"audited"' in line]
    assert made[0]["user"]["username"] == "local-admin"
    assert "hidden-word" not in text


def test_the_host_is_reached_at_the_other_end_of_the_link(kube_cluster: LocalCluster) -> None:
    if os.geteuid() != 0:
        assert kube_cluster.host_address == "127.0.0.1"
        return
    assert kube_cluster.host_address.startswith("10.213.")
    assert kube_cluster.api_url != f"https://{kube_cluster.host_address}:6443"


def test_clusters_run_side_by_side_and_a_killed_one_leaves_nothing(kube_api: Api, tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path / "second", nodes=1)
    launcher.up(cluster)
    names = [item["metadata"]["name"] for item in Api(cluster.kubeconfig).call("GET", "/api/v1/nodes")["items"]]
    assert names == ["sim-001"]
    assert len(kube_api.call("GET", "/api/v1/nodes")["items"]) == 2
    for pid in cleanup.processes(cluster.dir, cluster.mark):
        os.kill(pid, signal.SIGKILL)
    cluster.teardown()
    assert leftovers(cluster) == []
    assert kube_api.ready()


def test_down_works_after_the_caller_forgot_everything(tmp_path: Path) -> None:
    launcher.up(make_cluster(tmp_path / "lost", nodes=1))
    again = make_cluster(tmp_path / "lost", nodes=1)
    assert again.teardown() >= 4
    assert leftovers(again) == []


def test_a_second_start_keeps_objects_and_the_number_of_nodes_may_change(tmp_path: Path) -> None:
    first = make_cluster(tmp_path / "kept", nodes=2)
    launcher.up(first)
    Api(first.kubeconfig).create("/api/v1/namespaces", {"metadata": {"name": "kept"}})
    first.teardown()
    second = make_cluster(tmp_path / "kept", nodes=1, gpus=4)
    launcher.up(second)
    try:
        api = Api(second.kubeconfig)
        assert api.find("/api/v1/namespaces/kept") is not None
        [item] = api.call("GET", "/api/v1/nodes")["items"]
        assert item["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    finally:
        second.teardown()
