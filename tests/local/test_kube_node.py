"""The real node: containers run, log, execute, resolve names and call the API; a crash of everything leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from local.kube import cleanup, launcher, packages
from local.kube.api import Api
from local.kube.cluster import LocalCluster
from local.kube.images import BUSYBOX, PYTHON
from tests.fixtures_kube import make_cluster
from tests.local.kube_helpers import PODS, leftovers, phase_of, wait_for

pytestmark = pytest.mark.node

CALL_THE_API = """
import json, ssl, urllib.request
base = "/var/run/secrets/kubernetes.io/serviceaccount/"
request = urllib.request.Request("https://kubernetes.default.svc/version")
request.add_header("Authorization", "Bearer " + open(base + "token").read())
context = ssl.create_default_context(cafile=base + "ca.crt")
print(json.load(urllib.request.urlopen(request, context=context))["gitVersion"])
"""


def run(api: Api, name: str, image: str, command: list[str], **limits: str) -> None:
    """Create a pod on the real node."""
    container: dict[str, Any] = {"name": "main", "image": image, "command": command}
    container |= {"imagePullPolicy": "IfNotPresent", "resources": {"limits": limits}}
    spec = {"nodeName": "node-1", "restartPolicy": "Never", "containers": [container]}
    api.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def end_of(api: Api, name: str) -> tuple[str, str]:
    """Phase and log of a pod that has ended.

    A kubelet that has just started may refuse a pod before it knows the node's devices; then another is made, as every
    controller would.
    """
    for _ in range(3):
        phase = wait_for(lambda: phase_of(api, name), lambda found: found in ("Succeeded", "Failed"), 40)
        pod = api.call("GET", f"{PODS}/{name}")
        if "containerStatuses" in pod["status"]:
            break
        api.call("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
        time.sleep(2)
        asked = pod["spec"]["containers"][0]
        run(api, name, asked["image"], asked["command"], **asked["resources"].get("limits", {}))
    else:
        pytest.fail(f"the kubelet refused {name} three times: {pod['status'].get('message')}")
    return phase, str(api.call("GET", f"{PODS}/{name}/log"))


def test_a_container_runs_and_its_log_is_read_through_the_api_server(node_api: Api) -> None:
    run(node_api, "hello", BUSYBOX, ["echo", "hello from a container"])
    assert end_of(node_api, "hello") == ("Succeeded", "hello from a container\n")


def test_a_container_that_fails_says_how(node_api: Api) -> None:
    run(node_api, "fails", BUSYBOX, ["sh", "-c", "echo broken; exit 7"])
    assert end_of(node_api, "fails") == ("Failed", "broken\n")
    state = node_api.call("GET", f"{PODS}/fails")["status"]["containerStatuses"][0]["state"]
    assert state["terminated"]["exitCode"] == 7


def test_a_pod_resolves_names_and_calls_the_api_with_its_own_token(node_api: Api) -> None:
    run(node_api, "caller", PYTHON, ["python", "-c", CALL_THE_API])
    phase, log = end_of(node_api, "caller")
    assert (phase, log.startswith("v1.")) == ("Succeeded", True), log


def test_a_pod_finds_the_host_by_name_and_unknown_names_fail_at_once(node_cluster: LocalCluster, node_api: Api) -> None:
    run(node_api, "names", BUSYBOX, ["sh", "-c", "nslookup host.runai.local.; nslookup nowhere.example.; true"])
    _, log = end_of(node_api, "names")
    assert f"Address: {node_cluster.host_address}" in log
    assert "can't find nowhere.example" in log


def test_simulated_gpus_are_counted_by_kubelet(node_api: Api) -> None:
    run(node_api, "fits", BUSYBOX, ["true"], **{"nvidia.com/gpu": "8"})
    assert end_of(node_api, "fits")[0] == "Succeeded"
    run(node_api, "too-big", BUSYBOX, ["true"], **{"nvidia.com/gpu": "9"})
    wait_for(lambda: phase_of(node_api, "too-big"), lambda found: found == "Failed")
    assert node_api.call("GET", f"{PODS}/too-big")["status"]["reason"] == "OutOfnvidia.com/gpu"


def test_a_command_is_executed_in_a_running_container(node_cluster: LocalCluster, node_api: Api) -> None:
    run(node_api, "waits", BUSYBOX, ["sleep", "600"], memory="32Mi")
    wait_for(lambda: phase_of(node_api, "waits"), lambda found: found == "Running", 40)
    kubectl = (str(node_cluster.binaries["kubectl"]), f"--kubeconfig={node_cluster.kubeconfig}")
    done = subprocess.run(
        (*kubectl, "exec", "waits", "--", "sh", "-c", "echo $((6 * 7))"), capture_output=True, text=True
    )
    assert done.stdout == "42\n", done.stderr
    node_api.call("DELETE", f"{PODS}/waits?gracePeriodSeconds=0")


@pytest.mark.parametrize("program", ["kubelet", pytest.param("containerd", marks=pytest.mark.long)])
def test_a_killed_program_comes_back_and_containers_survive(
    node_cluster: LocalCluster, node_api: Api, program: str
) -> None:
    run(node_api, f"survives-{program}", BUSYBOX, ["sleep", "600"])
    wait_for(lambda: phase_of(node_api, f"survives-{program}"), lambda found: found == "Running", 40)
    [pid] = [
        pid for pid in cleanup.processes(node_cluster.dir, node_cluster.mark) if cleanup.program_of(pid) == program
    ]
    os.kill(pid, signal.SIGKILL)
    run(node_api, f"after-{program}", BUSYBOX, ["true"], **{"nvidia.com/gpu": "8"})
    assert end_of(node_api, f"after-{program}")[0] == "Succeeded"
    item = node_api.call("GET", f"{PODS}/survives-{program}")
    assert (item["status"]["phase"], item["status"]["containerStatuses"][0]["restartCount"]) == ("Running", 0)
    node_api.call("DELETE", f"{PODS}/survives-{program}?gracePeriodSeconds=0")


def test_nothing_stays_behind_when_all_is_killed_while_containers_run(tmp_path: Path) -> None:
    if why := packages.refusal():
        pytest.skip(why)
    cluster = make_cluster(tmp_path / "crash", nodes=0, real_node=True)
    launcher.up(cluster)
    try:
        api = Api(cluster.kubeconfig)
        run(api, "victim", BUSYBOX, ["sleep", "600"])
        wait_for(lambda: phase_of(api, "victim"), lambda found: found == "Running", 40)
        programs = {"etcd", "kube-apiserver", "kubelet", "containerd"}
        for pid in cleanup.processes(cluster.dir, cluster.mark):
            if cleanup.program_of(pid) in programs:
                os.kill(pid, signal.SIGKILL)
        assert any("containerd-shim" in cleanup.program_of(pid) for pid in cleanup.processes(cluster.dir, cluster.mark))
    finally:
        cluster.teardown()
    assert leftovers(cluster) == []
    assert not [link for link in Path("/var/log/containers").glob("victim_*")]
