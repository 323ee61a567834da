"""Manifests to reports, and which device a pod holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link.devices import Holder, assign, devices, indexes_of
from agent.link.reports import (
    cluster_report,
    event_report,
    held_by,
    holds_node,
    node_report,
    pod_report,
    project_report,
    workload_report,
)
from agent.wire import labels
from agent.wire.codec import to_json

T0, T1 = "2026-11-24T10:00:00Z", "2026-11-24T10:00:05Z"


def pod(name: str = "p", *, gpus: int = 0, notes: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    resources = {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {labels.GPU_RESOURCE: str(gpus)} if gpus else {},
    }
    return {
        "metadata": {
            "name": name,
            "namespace": "runai-a",
            "uid": f"uid-{name}",
            "creationTimestamp": T0,
            "labels": parts.pop("labels", {}),
            "annotations": notes or {},
        },
        "spec": {"containers": [{"name": "main", "image": "busybox", "resources": resources}], **parts.pop("spec", {})},
        "status": {"phase": "Running", **parts.pop("status", {})},
    }


def node(gpus: int = 8, **parts: Any) -> dict[str, Any]:
    amounts = {"cpu": "16", "memory": "64Gi", labels.GPU_RESOURCE: str(gpus)}
    return {
        "metadata": {"name": "n1", "uid": "n", "creationTimestamp": T0, "labels": parts.pop("labels", {})},
        "spec": parts.pop("spec", {}),
        "status": {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": parts.pop("ready", "True"), "lastHeartbeatTime": T1}],
        },
    }


# ---------------------------------------------------------------- devices


def whole(name: str, count: int, since: str = T0) -> Holder:
    return Holder(name, since, whole=count)


def shared(name: str, milli: int, *groups: str, since: str = T0) -> Holder:
    return Holder(name, since, share_milli=milli, groups=groups)


@pytest.mark.parametrize(
    ("holders", "before", "expected"),
    [
        ([whole("a", 2), whole("b", 1)], {}, {"a": (0, 1), "b": (2,)}),
        ([whole("late", 1, T1), whole("early", 1, T0)], {}, {"early": (0,), "late": (1,)}),
        ([whole("b", 1)], {"a": (0,), "b": (1,)}, {"b": (1,)}),
        ([whole("b", 1), whole("c", 1)], {"b": (1,)}, {"b": (1,), "c": (0,)}),
        ([shared("a", 500, "g"), shared("b", 250, "g")], {}, {"group:g": (0,)}),
        ([shared("a", 500, "g"), whole("b", 1, T1)], {}, {"group:g": (0,), "b": (1,)}),
        ([whole("a", 9)], {}, {"a": tuple(range(8))}),
        ([], {"a": (0,)}, {}),
    ],
)
def test_assignments(holders: list[Holder], before: dict[str, Any], expected: dict[str, Any]) -> None:
    assert assign(8, holders, before) == expected


HOLDERS = st.lists(st.integers(1, 4), max_size=6)


@given(HOLDERS, HOLDERS)
def test_no_device_is_given_twice_and_nobody_moves(first: list[int], more: list[int]) -> None:
    early = [whole(f"e{index}", count) for index, count in enumerate(first)]
    before = assign(8, early, {})
    both = assign(8, [*early, *(whole(f"z{index}", count, T1) for index, count in enumerate(more))], before)
    taken = [index for indexes in both.values() for index in indexes]
    assert len(taken) == len(set(taken))
    assert all(both[name] == indexes for name, indexes in before.items() if len(indexes) == _want(early, name))


def _want(holders: list[Holder], name: str) -> int:
    return next(holder.whole for holder in holders if holder.pod == name)


def test_what_each_device_holds() -> None:
    holders = [whole("a", 1), shared("b", 500, "g", since=T1), shared("c", 250, "g", since=T1)]
    assignment = assign(3, holders, {})
    found = devices(3, holders, assignment)
    assert [(item.allocated_milli, item.pods) for item in found] == [(1000, ("a",)), (750, ("b", "c")), (0, ())]
    assert indexes_of(holders[1], assignment) == (1,)


# ---------------------------------------------------------------- nodes


def test_a_node_counts_what_its_pods_hold() -> None:
    pods = [
        pod("a", gpus=2, spec={"nodeName": "n1"}),
        pod("b", notes={labels.GPU_FRACTION: "0.5"}, spec={"nodeName": "n1"}),
    ]
    holders = [held_by(item).holder for item in pods]
    report = node_report(node(), "default", pods, assign(8, holders, {}))
    assert (report.gpu_count, report.gpu_allocated_milli, report.cpu_allocated_milli) == (8, 2500, 1000)
    assert [item.allocated_milli for item in report.devices[:4]] == [1000, 1000, 500, 0]
    assert report.memory_allocated_bytes == 2 << 30


def test_a_request_in_mib_is_a_share_of_the_nodes_device() -> None:
    item = pod(notes={labels.GPU_MEMORY: "4096"}, spec={"nodeName": "n1"})
    report = node_report(node(labels={"nvidia.com/gpu.memory": "16384"}), "default", [item], {})
    assert (report.gpu_memory_mib, report.gpu_allocated_milli) == (16384, 250)


@pytest.mark.parametrize(("ready", "status"), [("True", "Ready"), ("False", "NotReady"), ("Unknown", "Unknown")])
def test_the_status_of_a_node(ready: str, status: str) -> None:
    assert node_report(node(ready=ready), "p", [], {}).status == status


def test_simulated_nodes_say_so() -> None:
    taints = [{"key": labels.SIMULATED_TAINT, "value": "fake", "effect": "NoSchedule"}]
    assert node_report(node(spec={"taints": taints}), "p", [], {}).simulated


def test_a_heartbeat_alone_changes_no_report() -> None:
    later = node()
    later["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-11-24T11:00:00Z"
    assert to_json(node_report(later, "p", [], {})) == to_json(node_report(node(), "p", [], {}))


# ---------------------------------------------------------------- pods


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        ({"reason": "Evicted", "message": "disk"}, "Evicted", "disk"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no image"}}}]},
            "ImagePullBackOff",
            "no image",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, "", ""),
        ({"containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}, "OOMKilled", ""),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
                ]
            },
            "Unschedulable",
            "no GPU",
        ),
        ({}, "", ""),
    ],
)
def test_why_a_pod_waits_or_failed(status: dict[str, Any], reason: str, message: str) -> None:
    report = pod_report(pod(status=status), simulated=False, device_mib=0, assignment={})
    assert (report.reason, report.message) == (reason, message)


def test_a_pod_that_ended_holds_no_device() -> None:
    ended = pod(gpus=1, spec={"nodeName": "n1"}, status={"phase": "Succeeded"})
    report = pod_report(ended, simulated=False, device_mib=0, assignment={"runai-a/p": (0,)})
    assert (holds_node(ended), report.gpu_devices) == (False, ())


def test_times_and_exit_code_of_a_pod() -> None:
    state = {"terminated": {"exitCode": 3, "startedAt": T0, "finishedAt": T1}}
    report = pod_report(
        pod(status={"containerStatuses": [{"state": state}]}), simulated=True, device_mib=0, assignment={}
    )
    assert (report.started_at, report.finished_at, report.exit_code, report.simulated) == (T0, T1, 3, True)


def test_a_pod_names_its_workload_attempt_and_devices() -> None:
    marks = {labels.WORKLOAD_ID: "w", labels.WORKLOAD_NAME: "train", labels.ATTEMPT: "2", labels.REPLICA_INDEX: "1"}
    found = pod(gpus=2, labels=marks, spec={"nodeName": "n1"})
    report = pod_report(found, simulated=False, device_mib=0, assignment={"runai-a/p": (3, 4)})
    assert (report.workload_id, report.attempt, report.replica_index, report.gpu_devices) == ("w", 2, 1, (3, 4))


# ---------------------------------------------------------------- the rest


def workload(marks: dict[str, str], **status: Any) -> dict[str, Any]:
    meta = {"name": "w", "namespace": "runai-a", "uid": "u", "generation": 2, "creationTimestamp": T0, "labels": marks}
    spec = {"type": "training", "image": "i", "environment": [{"name": "PASSWORD", "value": "hunter2"}]}
    return {"metadata": meta, "spec": spec, "status": status}


OURS = {labels.CLUSTER_ID: "c", labels.MANAGED_BY: labels.MANAGED_BY_CONTROL_PLANE, labels.WORKLOAD_ID: "w-id"}


@pytest.mark.parametrize(
    ("marks", "managed", "identity"),
    [(OURS, True, "w-id"), ({}, False, "u"), ({**OURS, labels.CLUSTER_ID: "other"}, False, "u")],
)
def test_whose_a_workload_is(marks: dict[str, str], managed: bool, identity: str) -> None:
    report = workload_report(workload(marks), "c")
    assert (report.managed, report.id) == (managed, identity)


def test_values_of_the_environment_stay_in_the_cluster() -> None:
    assert b"hunter2" not in to_json(workload_report(workload(OURS), "c"))


@pytest.mark.parametrize(("given", "phase"), [(None, "Creating"), ("Running", "Running"), ("Dancing", "Unknown")])
def test_phases(given: str | None, phase: str) -> None:
    assert workload_report(workload(OURS, phase=given), "c").phase == phase


def test_the_reasons_of_a_workload_are_data() -> None:
    reasons = [{"code": "NotEnoughGpus", "message": "8 needed", "nodePool": "default", "details": {"needed": 8}}]
    report = workload_report(workload(OURS, phase="Pending", reasons=reasons), "c")
    assert (report.reasons[0].code, report.reasons[0].details) == ("NotEnoughGpus", {"needed": 8})


def test_a_project_shows_its_queues() -> None:
    status = {
        "phase": "Ready",
        "namespace": "runai-a",
        "queues": [{"name": "a", "nodePool": "default", "allocatedGpuMilli": 500}],
    }
    report = project_report({"metadata": {"name": "a"}, "spec": {}, "status": status})
    assert (report.phase, report.queues[0].allocated_gpu_milli) == ("Ready", 500)


def test_a_project_that_is_going_says_so() -> None:
    assert project_report({"metadata": {"name": "a", "deletionTimestamp": T0}}).phase == "Deleting"


def test_a_cluster_without_configuration_says_what_it_knows() -> None:
    report = cluster_report(None, version="1", kubernetes="v1.34", runs_as="process")
    assert (report.kubernetes_version, report.roles) == ("v1.34", ())


def test_an_event_in_either_shape() -> None:
    about = {"kind": "Pod", "name": "p", "uid": "u"}
    old = {"metadata": {"uid": "e"}, "involvedObject": about, "count": 3, "firstTimestamp": T0, "lastTimestamp": T1}
    new = {
        "metadata": {"uid": "e"},
        "involvedObject": about,
        "eventTime": T0,
        "series": {"count": 3, "lastObservedTime": T1},
    }
    first, second = event_report(old), event_report(new)
    assert (
        (first.count, first.first_at, first.last_at) == (second.count, second.first_at, second.last_at) == (3, T0, T1)
    )
