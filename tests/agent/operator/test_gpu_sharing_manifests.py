"""Manifests of GPU sharing: who holds a shared device, and how a pod learns which one it got."""

from __future__ import annotations

import pytest

from agent.operator import sharing
from agent.operator.pods import pod
from agent.wire.objects import Compute
from tests.agent.operator.builders import view

NODE = {"metadata": {"name": "n1", "labels": {"local.run.ai/simulated-gpus": "true"}}}


def reservation(index: str = "3", phase: str = "Running") -> dict:
    return sharing.reservation_pod(NODE, "g", image="i", index=index) | {"status": {"phase": phase}}


def test_a_reservation_takes_one_whole_device_of_its_node():
    made = reservation()
    assert made["spec"]["nodeName"] == "n1"
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_names_differ_by_node_and_group():
    names = {sharing.reservation_name(node, group) for node in ("a", "b") for group in ("1", "2")}
    assert len(names) == 4


@pytest.mark.parametrize(("phase", "device"), [("Running", "3"), ("Pending", ""), ("Failed", "")])
def test_a_device_counts_once_its_reservation_runs(phase, device):
    assert sharing.reserved_device(reservation(phase=phase)) == device


def test_where_devices_are_real_the_pod_says_which_it_got():
    made = sharing.reservation_pod({"metadata": {"name": "n1"}}, "g", image="agent:1")
    assert made["spec"]["containers"][0]["command"] == ["python", "-m", "agent", "reserve"]
    assert sharing.reserved_device(made | {"status": {"phase": "Running"}}) == ""


@pytest.mark.parametrize(
    ("count", "taken", "wish", "index"),
    [(4, [], "", "3"), (4, ["3"], "", "2"), (2, ["0", "1"], "", ""), (4, [], "1", "1"), (4, ["1"], "1", "3")],
)
def test_numbers_of_simulated_devices(count, taken, wish, index):
    assert sharing.free_index(count, taken, wish) == index


def test_a_pod_of_a_shared_device_reads_it_from_its_config_map():
    made = pod(view(compute=Compute(gpu_devices=1, gpu_portion_milli=500)), 0, 0)
    name = made["metadata"]["annotations"]["runai/shared-gpu-configmap"]
    variables = {item["name"]: item.get("valueFrom") for item in made["spec"]["containers"][0]["env"]}
    assert variables["NVIDIA_VISIBLE_DEVICES"] == {"configMapKeyRef": {"name": name, "key": "NVIDIA_VISIBLE_DEVICES"}}
    made["metadata"]["uid"] = "u"
    found = sharing.device_config_map(made, ("3", "5"), 500)
    assert found is not None
    assert found["metadata"]["name"] == name
    assert found["data"] == {"NVIDIA_VISIBLE_DEVICES": "3,5", "GPU_PORTION": "0.5"}


def test_a_pod_that_names_no_config_map_gets_none():
    assert sharing.device_config_map({"metadata": {"name": "p", "namespace": "n", "uid": "u"}}, ("0",), 500) is None


def test_names_of_config_maps_stay_within_a_label():
    names = {sharing.config_map_name("x" * 60 + end) for end in "abc"}
    assert len(names) == 3
    assert all(len(name) <= 63 for name in names)
