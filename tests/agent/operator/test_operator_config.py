"""The RunaiConfig: what its spec may say, what it makes of the installation, and what the status tells."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent import crds
from agent.config import Settings, parse
from agent.kube.errors import Forbidden
from agent.kube.resources import CRD, DEPLOYMENT, RUNAI_CONFIG
from agent.loops import reconcile_operands as installing
from agent.loops.configured import effective, planning, read_config
from agent.operator.health import Surroundings, cluster_status, dependencies, role_health
from agent.operator.operands import HASH, deployments, operands
from agent.wire import codec
from agent.wire.config import ClusterConfig, RoleConfig, RolesConfig, SchedulerConfig, enabled, problems
from agent.wire.install import agent_rules, crd_text, definition_names
from tests.agent.fake_kube import FakeKube

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENV = [{"name": "RUNAI_AGENT_PORT", "value": "8080"}]


def own(**spec: Any) -> dict[str, Any]:
    """The operator's Deployment, as the chart makes it."""
    container = {"name": "agent", "image": "agent:1", "command": ["python", "-m", "agent", "operator"], "env": ENV}
    labels = {"app.kubernetes.io/part-of": "runai", "app.kubernetes.io/component": "operator"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **spec}}
    meta = {"name": "runai-operator", "namespace": "runai", "labels": labels, "uid": "u"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"replicas": 1, "template": template},
    }


def config(**spec: Any) -> dict[str, Any]:
    meta = {"name": "runai", "namespace": "runai"}
    return {"apiVersion": "run.ai/v1", "kind": "RunaiConfig", "metadata": meta, "spec": spec}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "runai"}, "data": data}


# ---- the spec --------------------------------------------------------------------------------------------------------


def _same(schema: dict[str, Any], cls: Any, where: str) -> None:
    assert set(schema["properties"]) == {codec.camel(field.name) for field in dataclasses.fields(cls)}, where
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(field.default):
            _same(schema["properties"][codec.camel(field.name)], type(field.default), f"{where}.{field.name}")


def test_the_definition_has_the_fields_of_the_spec():
    document = next(doc for doc in crds.documents() if doc["spec"]["names"]["kind"] == "RunaiConfig")
    schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    _same(schema["properties"]["spec"], ClusterConfig, "spec")


def test_an_empty_spec_is_a_good_one():
    assert read_config(config()) == (ClusterConfig(), [])
    assert problems(ClusterConfig()) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"logLevel": "loud"}, "spec.logLevel: 'loud' given, allowed are debug"),
        ({"scheduler": {"shards": "two"}}, "spec.scheduler.shards: 'two'"),
        ({"scheduler": {"placement": {"gpu": "pile"}}}, "spec.scheduler.placement.gpu: 'pile' given"),
        ({"scheduler": {"queueDepth": {"bind": 3}}}, "spec.scheduler.queueDepth: 'bind' given"),
        ({"scheduler": {"queueDepth": {"allocate": 0}}}, "spec.scheduler.queueDepth.allocate: 0 given"),
        ({"scheduler": {"minRuntime": {"preemptSeconds": -1}}}, "preemptSeconds: -1 given"),
        ({"scheduler": {"fairness": {"windowSeconds": 5}}}, "windowSeconds: 5 given, must be .* at least 60"),
        ({"schedulerNames": []}, "spec.schedulerNames: empty"),
        ({"roles": {"link": {"enabled": "no"}}}, "RoleConfig.enabled: expected bool"),
    ],
)
def test_a_mistake_is_named_and_the_defaults_are_used(spec, words):
    found, wrong = read_config(config(**spec))
    assert found == ClusterConfig()
    assert any(re.search(words, text) for text in wrong), wrong


def test_it_says_how_to_plan():
    spec, _ = read_config(
        config(scheduler={"queueDepth": {"reclaim": 5}, "minRuntime": {"reclaimSeconds": 60, "resolve": "queue"}})
    )
    found = planning(spec, ("a100",))
    assert found.queue_depth == {"reclaim": 5}
    assert (found.reclaim_min_runtime, found.reclaim_resolve) == (60_000_000_000, "queue")
    assert found.pools == ("a100",)


def test_a_flag_of_the_process_wins():
    spec, _ = read_config(config(schedulerNames=["mine"], logLevel="debug", scheduler={"placement": {"gpu": "spread"}}))
    assert effective(parse(["scheduler"], {}), spec).scheduler_names == ("mine",)
    given = effective(parse(["scheduler", "--placement", "binpack"], {"RUNAI_AGENT_LOG_LEVEL": "error"}), spec)
    assert (given.placement_gpu, given.log_level) == ("binpack", "error")
    assert effective(Settings(), spec).placement_gpu == "spread"


# ---- Deployments -----------------------------------------------------------------------------------------------------


def named(*made: dict[str, Any]) -> list[str]:
    return [obj["metadata"]["name"] for obj in made]


def test_every_role_that_is_on_is_a_deployment():
    made = deployments(ClusterConfig(), own(), [], linked=True)
    assert named(*made) == ["runai-link", "runai-scheduler", "runai-metrics", "runai-webhook", "runai-activator"]
    container = made[2]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "agent", "metrics"]
    assert (container["image"], container["env"]) == ("agent:1", ENV)
    assert made[0]["metadata"]["ownerReferences"][0]["uid"] == "u"


def test_off_is_off_and_without_a_control_plane_there_is_no_link():
    spec = replace(ClusterConfig(), roles=RolesConfig(metrics=RoleConfig(enabled=False)))
    assert named(*deployments(spec, own(), [], linked=False)) == ["runai-scheduler", "runai-webhook", "runai-activator"]


def test_one_scheduler_a_node_pool():
    spec = replace(ClusterConfig(), scheduler=SchedulerConfig(shards="node-pool"))
    made = [obj for obj in deployments(spec, own(), ["a100", "default"], linked=True) if "scheduler" in named(obj)[0]]
    assert named(*made) == ["runai-scheduler-a100", "runai-scheduler-default"]
    pools = [obj["spec"]["template"]["spec"]["containers"][0]["env"][-1] for obj in made]
    assert pools == [{"name": "RUNAI_AGENT_NODE_POOLS", "value": name} for name in ("a100", "default")]
    assert made[0]["spec"]["selector"] != made[1]["spec"]["selector"]


def test_node_selectors_add_up_and_taking_one_back_is_a_change():
    roles = RolesConfig(metrics=RoleConfig(node_selector={"kind": "small"}))
    spec = replace(ClusterConfig(), node_selector={"zone": "a"}, roles=roles)
    first = deployments(spec, own(nodeSelector={"os": "linux"}), [], linked=False)[1]
    assert first["spec"]["template"]["spec"]["nodeSelector"] == {"os": "linux", "zone": "a", "kind": "small"}
    second = deployments(replace(spec, roles=RolesConfig()), own(nodeSelector={"os": "linux"}), [], linked=False)[1]
    assert first["metadata"]["annotations"][HASH] != second["metadata"]["annotations"][HASH]


async def test_deployments_follow_the_configuration_and_others_stay():
    helms = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": own()["metadata"] | {"name": "runai-webhook"}}
    kube = FakeKube(own(), helms, config_map("runai-link"))
    work = installing.Operands(kube)
    await work.reconcile(ClusterConfig(), [])
    off = replace(ClusterConfig(), roles=RolesConfig(link=RoleConfig(enabled=False)))
    await work.reconcile(off, [])
    found = named(*kube.all(DEPLOYMENT))
    assert sorted(found) == ["runai-activator", "runai-metrics", "runai-operator", "runai-scheduler", "runai-webhook"]
    theirs = next(obj for obj in kube.all(DEPLOYMENT) if obj["metadata"]["name"] == "runai-webhook")
    assert "spec" not in theirs


async def test_a_second_look_changes_nothing():
    kube = FakeKube(own(), config_map("runai-link"))
    work = installing.Operands(kube)
    await work.reconcile(ClusterConfig(), [])
    before = kube.calls["apply", "Deployment"]
    await work.reconcile(ClusterConfig(), [])
    assert kube.calls["apply", "Deployment"] == before


async def test_where_no_operator_is_deployed_nothing_is():
    kube = FakeKube(config_map("runai-link"))
    assert await installing.Operands(kube).reconcile(ClusterConfig(), []) == []
    assert kube.all(DEPLOYMENT) == []


def test_an_operand_tells_how_it_is():
    sick = own() | {"status": {"readyReplicas": 0}}
    assert operands([sick])[0] | {"image": ""} == {
        "kind": "Deployment",
        "name": "runai-operator",
        "image": "",
        "ready": "0/1",
        "healthy": False,
        "message": "0 of 1 pods are ready",
    }


# ---- definitions -----------------------------------------------------------------------------------------------------


def old_definition(version: str | None = None) -> dict[str, Any]:
    notes = {installing.DEFINITIONS_VERSION: version} if version else {}
    document = crds.documents()[0]
    return document | {"metadata": document["metadata"] | {"annotations": notes}, "spec": {"group": "old"}}


@pytest.mark.parametrize(
    ("there", "spec_of_first"),
    [(None, "upgraded"), ("0.0.9", "upgraded"), ("0.1.0", "upgraded"), ("0.2.0", "old"), ("10.0.0", "old")],
)
async def test_definitions_are_brought_up_and_never_back(there, spec_of_first):
    kube = FakeKube(old_definition(there))
    assert await installing.upgrade_definitions(kube) == ""
    found = {obj["metadata"]["name"]: obj for obj in kube.all(CRD)}
    first = crds.documents()[0]
    assert found[first["metadata"]["name"]]["spec"] == ({"group": "old"} if spec_of_first == "old" else first["spec"])
    assert len(found) == len(crds.documents())


async def test_a_bare_cluster_is_left_alone():
    kube = FakeKube()
    assert await installing.upgrade_definitions(kube) == ""
    assert kube.all(CRD) == []


async def test_without_the_right_the_remedy_is_told():
    kube = FakeKube(old_definition())
    kube.fail("apply", "CustomResourceDefinition", Forbidden("may not patch", status=403))
    assert "apply the manifest or chart of this release again" in await installing.upgrade_definitions(kube)


def test_the_agent_may_change_its_own_definitions_only():
    names = {document["metadata"]["name"] for document in crds.documents()}
    assert set(definition_names()) == names
    rules = [rule for rule in agent_rules() if "customresourcedefinitions" in rule["resources"]]
    assert all(set(rule.get("resourceNames") or ()) == names for rule in rules if "patch" in rule["verbs"])
    assert crd_text().count("kind: CustomResourceDefinition") == len(names)


async def test_rights_of_an_older_release_are_named():
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "runai-agent"}}
    assert await installing.missing_rights(FakeKube(role | {"rules": agent_rules()})) == ""
    less = [rule for rule in agent_rules() if "limitranges" not in rule["resources"]]
    assert "limitranges" in await installing.missing_rights(FakeKube(role | {"rules": less}))


# ---- the chart's values ----------------------------------------------------------------------------------------------


async def test_values_count_when_they_change_and_edits_stay_between():
    kube = FakeKube(config_map("runai-config", spec=json.dumps({"logLevel": "debug"})))
    await installing.take_chart_values(kube)
    await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"logLevel": "error"}})
    await installing.take_chart_values(kube)
    assert kube.all(RUNAI_CONFIG)[0]["spec"]["logLevel"] == "error"
    await kube.apply(config_map("runai-config", spec=json.dumps({"logLevel": "warning"})), manager="helm")
    await installing.take_chart_values(kube)
    assert kube.all(RUNAI_CONFIG)[0]["spec"]["logLevel"] == "warning"


# ---- the status ------------------------------------------------------------------------------------------------------


def lease(name: str, age_s: float = 1, holder: str = "h") -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=age_s)).isoformat()
    return {"metadata": {"name": name}, "spec": {"holderIdentity": holder, "renewTime": renewed}}


def health(*leases: dict[str, Any], off: str = "") -> dict[str, bool]:
    on = enabled(ClusterConfig()) | ({off: False} if off else {})
    return {role.name: role.healthy for role in role_health(leases, NOW, {}, on)}


def test_a_role_that_is_off_is_well():
    assert health()["metrics"] is False
    assert health(off="metrics")["metrics"] is True


@pytest.mark.parametrize(
    ("leases", "well"),
    [
        ([lease("runai-scheduler")], True),
        ([lease("runai-scheduler", 99)], False),
        ([lease("runai-scheduler-a"), lease("runai-scheduler-b")], True),
        ([lease("runai-scheduler-a"), lease("runai-scheduler-b", 99)], False),
        ([lease("runai-scheduler"), lease("runai-scheduler-b", 99, "")], True),
    ],
)
def test_every_scheduler_of_several_must_live(leases, well):
    assert health(*leases)["scheduler"] is well


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("clusterpolicies.nvidia.com", "NVIDIA GPU Operator"),
        ("prometheuses.monitoring.coreos.com", "Prometheus Operator"),
        ("services.serving.knative.dev", "Knative Serving"),
        ("mpijobs.kubeflow.org", "Kubeflow training operator"),
    ],
)
def test_other_operators_are_told_and_none_is_required(kind, name):
    without = {item.name: item for item in dependencies([], [])}[name]
    there = {item.name: item for item in dependencies([], [], Surroundings(frozenset({kind})))}[name]
    assert (without.available, without.required, bool(without.remedy)) == (False, False, True)
    assert (there.available, there.remedy) == (True, "")


def test_what_is_wrong_is_a_condition_and_in_the_message():
    found = cluster_status(
        config(), (), version="1", kubernetes_version="", nodes=[], pods=[], pools=[], now=NOW,
        operands=[{"name": "runai-metrics", "healthy": False}],
        troubles={"ConfigurationValid": "spec.logLevel: 'loud' given"},
    )  # fmt: skip
    states = {item["type"]: item["status"] for item in found["conditions"]}
    assert states == {
        "Available": "False",
        "ConfigurationValid": "False",
        "DependenciesFulfilled": "False",
        "Ready": "False",
    }
    assert "runai-metrics" in found["message"]
    assert "'loud'" in found["message"]
