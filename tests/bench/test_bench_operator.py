"""What ``bench main`` makes for the operator's figures is sound, and what it probes with is refused."""

from __future__ import annotations

from collections import Counter

import pytest

from agent.admission.pods import Space, Supply
from agent.admission.review import read
from agent.kube.cache import Change
from agent.loops.webhook import review_pod
from agent.operator.workload import problems
from agent.wire.codec import from_dict
from agent.wire.objects import ProjectSpec, WorkloadSpec
from bench import _main_operator as bench
from bench import _main_webhook as door


def test_its_workloads_are_sound_and_its_probe_is_not() -> None:
    assert problems(from_dict(WorkloadSpec, bench.workload("w", gpuDevices=1)["spec"])) == []
    assert "framework" in problems(from_dict(WorkloadSpec, bench.wrong()["spec"]))[0]
    assert from_dict(ProjectSpec, bench.project()["spec"]).namespace == bench.SPACE


def test_what_the_webhook_is_asked_makes_it_work() -> None:
    asked = read(door.review(door.pod("p", bench.SPACE)))
    answer = review_pod(asked, Space("bench"), Supply())
    assert answer.patch and not answer.problems


@pytest.mark.parametrize("size", bench.SIZES)
def test_the_cluster_holds_what_is_asked_for(size: str) -> None:
    load = bench.SIZES[size]
    assert load.steady + load.burst <= bench.NODES * bench.GPUS
    assert load.idle <= bench.NODES * 110


def test_a_pod_counts_when_it_is_first_seen() -> None:
    plant = bench.Plant(None, None)  # type: ignore[arg-type]
    pod = {"metadata": {"name": "w-0", "labels": {"run.ai/workload-name": "w"}}}
    plant.see(Change("a", None, pod))
    plant.see(Change("a", pod, pod))
    assert plant.pods == Counter({"w": 1})
    assert list(plant.created) == ["w"]


def test_writes_are_counted_by_workload_without_leases_and_reads() -> None:
    requests = {"POST pods": 300, "PATCH workloads/status": 3, "PUT leases": 75, "GET secrets": 5}
    assert bench.writes_each(requests, 300) == {"POST pods": 1.0, "PATCH workloads/status": 0.01}
