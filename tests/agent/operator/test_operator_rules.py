"""Scheduling rules and node types of projects, in force on their workloads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.admission.objects import workload_problems
from agent.admission.pods import Space, Supply
from agent.operator.observed import status_of
from agent.operator.workload import AppliedRules, WorkloadStatus, applied_rules
from agent.wire.objects import NodeTypes, SchedulingRules
from tests.agent.operator.builders import GPU, NOW, VISION, ago, decided, runs, seen, view

RULES = SchedulingRules(100, 20, 200, 30, 40)


def under(rules: SchedulingRules | None = None, types: NodeTypes | None = None, **spec: Any):
    project = replace(VISION, spec=replace(VISION.spec, scheduling_rules=rules, node_types=types))
    return view(WorkloadStatus(started_at=ago(110).isoformat()), project=project, **spec)


@pytest.mark.parametrize(
    ("kind", "preemptible", "applied"),
    [
        ("training", True, AppliedRules(100, 20)),
        ("distributed", True, AppliedRules(100, 20)),
        ("workspace", False, AppliedRules(200, 30)),
        ("workspace", True, AppliedRules(200, 40)),
        ("inference", False, AppliedRules()),
    ],
)
def test_a_rule_is_for_its_kind(kind, preemptible, applied):
    assert applied_rules(RULES, kind, preemptible) == applied


def test_a_training_ends_at_its_projects_time_limit():
    decision = decided(under(RULES), runs())
    assert decision.end_code == "TimeLimitReached"
    assert decision.end_text == "it has run for its project's time limit of 100 s"
    assert [pod.name for pod in decision.delete] == ["w-0"]


def test_the_shorter_limit_counts():
    assert decided(under(RULES, time_limit_seconds=50), runs()).end_text == "it has run for its time limit of 50 s"
    assert "project's" in decided(under(RULES, time_limit_seconds=5000), runs()).end_text


def test_idle_gpus_end_it_and_busy_ones_do_not():
    rules = SchedulingRules(training_idle_limit_seconds=20)
    idle = decided(under(rules, compute=GPU), runs(gpu_milli=1000, idle_since=ago(25)))
    assert idle.end_code == "IdleGpuLimitReached"
    assert decided(under(rules, compute=GPU), runs(gpu_milli=1000)).end is None


def test_before_the_limit_it_is_looked_at_again_then():
    decision = decided(under(SchedulingRules(training_time_limit_seconds=120)), runs())
    assert decision.end is None
    assert decision.check_at is not None
    assert (decision.check_at - NOW).total_seconds() == 10


def test_later_rules_are_for_later_workloads():
    made = under(None)
    first = status_of(made, decided(made, runs()), seen(runs()), NOW)
    later = replace(under(RULES), status=replace(first, started_at=ago(110).isoformat()))
    assert decided(later, runs()).end is None


# ---- node types ------------------------------------------------------------------------------------------------------

TYPES = NodeTypes(training=("dgx", "hgx"))


def terms(workload: Any) -> list[dict[str, Any]]:
    pod = next(obj for obj in decided(workload).create if obj["kind"] == "Pod")
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [
        {item["key"]: item.get("values") for item in term["matchExpressions"]} for term in required["nodeSelectorTerms"]
    ]


def test_pods_go_to_the_types_of_their_project():
    assert terms(under(types=TYPES)) == [
        {"kai.scheduler/node-pool": None, "run.ai/type": ["dgx", "hgx"]},
        {"kai.scheduler/node-pool": ["default"], "run.ai/type": ["dgx", "hgx"]},
    ]


def test_outside_of_the_default_pool_too():
    assert terms(under(types=TYPES, node_pools=("a100",))) == [{"run.ai/type": ["dgx", "hgx"]}]


def test_a_chosen_type_is_the_one():
    pod = next(obj for obj in decided(under(types=TYPES, node_type="dgx")).create if obj["kind"] == "Pod")
    assert pod["spec"]["nodeSelector"] == {"run.ai/type": "dgx"}
    assert "run.ai/type" not in str(pod["spec"]["affinity"])


def test_another_type_is_refused_with_what_is_allowed():
    decision = decided(under(types=TYPES, node_type="cpu"))
    assert decision.blocked_code == "NodeTypeNotAllowed"
    assert decision.blocked.endswith("dgx, hgx")
    space = Space("vision", node_types=TYPES)
    obj = {"spec": {"type": "training", "image": "i", "nodeType": "cpu"}}
    assert workload_problems(obj, space, Supply()) == [
        "spec.nodeType: 'cpu' given, project 'vision' allows dgx, hgx",
    ]


def test_workspaces_may_go_anywhere_when_only_trainings_are_bound():
    assert "run.ai/type" not in str(terms(under(types=TYPES, type="workspace")))
