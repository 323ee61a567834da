"""Dynamic fractions, MIG slices and other countable resources: what is refused, what pods ask for, what is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.admission.pods import Space, Supply, pod_problems
from agent.kube.convert.pods import asked_of
from agent.loops.measuring import _pod_fact
from agent.metrics.dcgm import Device
from agent.metrics.judging import excesses
from agent.operator.facts import gpu_milli
from agent.operator.workload import problems
from agent.wire.objects import Compute, WorkloadSpec
from tests.agent.operator.builders import decided, view

SPACE, SUPPLY = Space("vision"), Supply(device_mib=16000)
MIG = "nvidia.com/mig-1g.10gb"


def bare(limits: dict[str, str] | None = None, **notes: str) -> dict[str, Any]:
    meta = {"name": "p", "namespace": "ns", "uid": "u", "annotations": notes, "labels": {}}
    spec = {"nodeName": "n1", "containers": [{"name": "c", "resources": {"limits": limits or {}}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Running"}}


def pod_of(compute: Compute) -> dict[str, Any]:
    return next(obj for obj in decided(view(compute=compute)).create if obj["kind"] == "Pod")


# ---- a limit beyond the request --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"gpu-fraction": "0.25", "gpu-fraction-limit": "0.8"}, ""),
        ({"gpu-memory": "1000", "gpu-memory-limit": "4000"}, ""),
        ({"gpu-fraction-limit": "0.8"}, "needs gpu-fraction"),
        ({"gpu-memory": "1000", "gpu-fraction-limit": "0.8"}, "needs gpu-fraction"),
        ({"gpu-fraction": "0.5", "gpu-fraction-limit": "0.4"}, "at least the request, 0.5"),
        ({"gpu-fraction": "0.5", "gpu-fraction-limit": "1.5"}, "at most 1"),
        ({"gpu-fraction": "0.5", "gpu-fraction-limit": "-1"}, "above 0"),
        ({"gpu-memory": "1000", "gpu-memory-limit": "17000"}, "at most 16000"),
    ],
)
def test_the_limit_of_a_share_is_judged(notes, words):
    found = pod_problems(bare(**notes), SPACE, SUPPLY)
    assert bool(found) == bool(words)
    assert all(words in text for text in found)


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (Compute(1, gpu_portion_milli=250, gpu_portion_limit_milli=1000), ""),
        (Compute(1, gpu_portion_limit_milli=500), "gpuPortionLimitMilli: 500 given without a request"),
        (Compute(1, gpu_portion_milli=500, gpu_portion_limit_milli=400), "below the request of 500"),
        (Compute(1, gpu_memory_mib=500, gpu_memory_limit_mib=400), "gpuMemoryLimitMib: 400 given, below"),
        (Compute(extended_resources={MIG: -1}), f"extendedResources[{MIG}]: -1 given"),
        (Compute(extended_resources={"cpu": 1}), "needed is a name such as"),
        (Compute(extended_resources={"nvidia.com/gpu": 1}), "needed is a name such as"),
    ],
)
def test_a_workload_is_judged_likewise(compute, words):
    found = problems(WorkloadSpec("training", "i", compute=compute))
    assert bool(found) == bool(words)
    assert all(words in text for text in found)


def test_only_the_request_is_counted_and_the_pod_is_told_both():
    pod = pod_of(Compute(1, gpu_portion_milli=250, gpu_portion_limit_milli=800))
    assert pod["metadata"]["annotations"]["gpu-fraction-limit"] == "0.8"
    env = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
    assert env["GPU_PORTION_LIMIT"] == "0.8"
    assert "GPU_PORTION" in env
    assert asked_of(pod).request.gpu_fraction == 250
    assert gpu_milli(pod) == 250


def test_using_memory_up_to_the_limit_is_no_excess():
    def found(used_mib: int) -> bool:
        pod = bare(**{"gpu-fraction": "0.25", "gpu-fraction-limit": "0.5", "run.ai/gpu-devices": "0"})
        fact = _pod_fact(pod, {"n1": 16000})
        device = Device("n1", "0", 1.0, used_mib << 20, 16000 << 20, (("ns", "p"),))
        return bool(excesses([device], [replace(fact, running=True)]))

    assert not found(7900)
    assert found(9000)


# ---- MIG -------------------------------------------------------------------------------------------------------------


def test_slices_are_asked_for_and_counted_by_their_size():
    pod = pod_of(Compute(extended_resources={"nvidia.com/mig-3g.40gb": 2, "rdma/nic": 1}))
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/mig-3g.40gb"] == resources["requests"]["nvidia.com/mig-3g.40gb"] == "2"
    assert gpu_milli(pod) == 6000
    request = asked_of(pod).request
    assert request.mig == (("nvidia.com/mig-3g.40gb", 2),)
    assert request.extended == (("rdma/nic", 1),)


def test_a_profile_with_a_suffix_costs_no_quota():
    assert gpu_milli(bare({"nvidia.com/mig-1g.10gb.me": "1"})) == 0


@pytest.mark.parametrize(
    ("limits", "notes", "other"),
    [
        ({MIG: "1", "nvidia.com/gpu": "1"}, {}, "nvidia.com/gpu"),
        ({MIG: "1"}, {"gpu-fraction": "0.5"}, "gpu-fraction"),
        ({MIG: "1"}, {}, ""),
    ],
)
def test_a_pod_uses_gpus_in_one_way(limits, notes, other):
    found = [text for text in pod_problems(bare(limits, **notes), SPACE, SUPPLY) if MIG in text]
    assert bool(found) == bool(other)
    assert all(f"together with {other}" in text for text in found)
