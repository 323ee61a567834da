"""The manifests the operator writes: pods, queues, namespaces, bindings, and the environment of a gang."""

import json

import pytest

from agent.operator import desired, names, rendezvous
from agent.operator.desired import DepartmentView, RuleView
from agent.operator.pods import pod, pod_group
from agent.operator.workload import ProjectView, problems
from agent.wire.objects import (
    AccessRuleSpec,
    Compute,
    DepartmentSpec,
    EnvVar,
    NodePoolSpec,
    PoolQuota,
    ProjectSpec,
    ResourceQuota,
    WorkloadSpec,
)
from tests.agent.operator.builders import VISION, view


@pytest.mark.parametrize(
    ("compute", "resources", "annotations"),
    [
        (Compute(), {}, {}),
        (
            Compute(gpu_devices=2),
            {
                "requests": {"cpu": "200m", "memory": "200Mi", "nvidia.com/gpu": "2"},
                "limits": {"nvidia.com/gpu": "2"},
            },
            {},
        ),
        (
            Compute(gpu_devices=1, cpu_limit_milli=50, memory_bytes=1024),
            {
                "requests": {"memory": "1024", "nvidia.com/gpu": "1"},
                "limits": {"cpu": "50m", "nvidia.com/gpu": "1"},
            },
            {},
        ),
        (
            Compute(gpu_devices=1, gpu_portion_milli=500),
            {"requests": {"cpu": "50m", "memory": "50Mi"}},
            {"gpu-fraction": "0.5"},
        ),
        (
            Compute(gpu_devices=2, gpu_portion_milli=125),
            {"requests": {"cpu": "25m", "memory": "25Mi"}},
            {"gpu-fraction": "0.125", "gpu-fraction-num-devices": "2"},
        ),
        (Compute(gpu_devices=1, gpu_memory_mib=4096), {}, {"gpu-memory": "4096"}),
        (
            Compute(cpu_milli=500, memory_bytes=1024, memory_limit_bytes=2048),
            {"requests": {"cpu": "500m", "memory": "1024"}, "limits": {"memory": "2048"}},
            {},
        ),
    ],
)
def test_what_a_pod_asks_for(compute, resources, annotations):
    made = pod(view(compute=compute), 0, 0)
    assert made["spec"]["containers"][0]["resources"] == resources
    shared = {"runai/shared-gpu-configmap": "w-0-shared-gpu"} if annotations else {}
    assert made["metadata"]["annotations"] == annotations | shared


@pytest.mark.parametrize(
    ("pool", "queue", "selector", "tolerated"),
    [
        ("default", "vision", None, []),
        ("a100", "vision.a100", {"kai.scheduler/node-pool": "a100"}, []),
        ("simulated", "vision.simulated", {"kai.scheduler/node-pool": "simulated"}, ["kwok.x-k8s.io/node"]),
    ],
)
def test_a_pool_decides_queue_selector_and_tolerations(pool, queue, selector, tolerated):
    made = pod(view(node_pools=(pool,)), 0, 0)
    assert made["metadata"]["labels"]["kai.scheduler/queue"] == queue
    assert made["spec"].get("nodeSelector") == selector
    assert [item["key"] for item in made["spec"].get("tolerations", [])] == tolerated
    assert ("affinity" in made["spec"]) is (pool == "default")


@pytest.mark.parametrize(
    ("kind", "priority", "given", "expected"),
    [
        ("training", None, None, ("train", "preemptible")),
        ("workspace", None, None, ("build", "non-preemptible")),
        ("training", "inference", None, ("inference", "non-preemptible")),
        ("training", "build", "preemptible", ("build", "preemptible")),
    ],
)
def test_priority_and_preemptibility(kind, priority, given, expected):
    marks = pod(view(type=kind, priority_class=priority, preemptibility=given), 0, 0)["metadata"]["labels"]
    assert (marks["priorityClassName"], marks["kai.scheduler/preemptibility"]) == expected


def test_a_variable_of_the_user_wins():
    made = pod(view(environment=(EnvVar("RUNAI_PROJECT", "mine"), EnvVar("A", "1"))), 0, 0)
    env = made["spec"]["containers"][0]["env"]
    assert [item["value"] for item in env if item["name"] == "RUNAI_PROJECT"] == ["mine"]


def test_the_users_labels_cannot_displace_ours():
    made = pod(view(labels={"run.ai/workload-id": "other", "team": "a"}), 0, 0)
    assert made["metadata"]["labels"]["run.ai/workload-id"] == "id-w"
    assert made["metadata"]["labels"]["team"] == "a"


def test_a_gangs_pods_name_their_group_and_host():
    made = pod(view(type="distributed", workers=4), 2, 1)
    assert made["metadata"]["annotations"]["pod-group-name"] == "w-r1"
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("w-2", "w")
    assert pod_group(view(type="distributed", workers=4), 1)["spec"]["minMember"] == 4


@pytest.mark.parametrize(
    ("framework", "name", "value"),
    [
        (None, "MASTER_ADDR", "w-0.w.ns.svc"),
        ("PyTorch", "PET_NNODES", "3"),
        ("PyTorch", "PET_NPROC_PER_NODE", "8"),
        ("JAX", "JAX_COORDINATOR_ADDRESS", "w-0.w.ns.svc:29500"),
        ("XGBoost", "WORKER_ADDRS", "w-1.w.ns.svc,w-2.w.ns.svc"),
        ("TF", "RANK", "1"),
    ],
)
def test_how_members_find_each_other(framework, name, value):
    found = rendezvous.environment("w", "ns", index=1, workers=3, gpus=8, framework=framework)
    assert found[name] == value


def test_tensorflow_reads_its_cluster():
    found = rendezvous.environment("w", "ns", index=1, workers=2, gpus=0, framework="TF")
    config = json.loads(found["TF_CONFIG"])
    assert config["task"] == {"type": "worker", "index": 1}
    assert config["cluster"]["worker"] == ["w-0.w.ns.svc:2222", "w-1.w.ns.svc:2222"]


def test_queues_of_a_project_lie_below_its_departments():
    gpu = ResourceQuota(deserved=2500, limit=4000, over_quota_weight=2000)
    quotas = (PoolQuota("default", gpu=gpu, memory=ResourceQuota(deserved=2_000_000_000)), PoolQuota("a100"))
    project = ProjectView("vision", ProjectSpec("1", "Vision", "runai-vision", "research", quotas))
    a100, default = desired.project_queues(project, "uid-p")
    assert (a100["metadata"]["name"], a100["spec"]["parentQueue"]) == ("vision.a100", "research.a100.department")
    assert default["spec"]["resources"] == {
        "gpu": {"quota": 2.5, "limit": 4, "overQuotaWeight": 2},
        "cpu": {"quota": -1, "limit": -1, "overQuotaWeight": 1},
        "memory": {"quota": 2000, "limit": -1, "overQuotaWeight": 1},
    }


def test_a_department_has_a_queue_wherever_its_projects_have_one():
    department = DepartmentView("research", "uid-d", DepartmentSpec("1", "Research", (PoolQuota("default"),)))
    names_of = [queue["metadata"]["name"] for queue in desired.department_queues(department, ["a100", "default"])]
    assert names_of == ["research.a100.department", "research.default.department"]


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        (AccessRuleSpec("1", "User", "alice", "researcher", ("vision",)), [("User", "alice", "runai-researcher")]),
        (AccessRuleSpec("1", "Group", "ml", "viewer", (), True), [("Group", "ml", "runai-viewer")]),
        (
            AccessRuleSpec("1", "ServiceAccount", "ci", "administrator", (), True),
            [("User", "ci", "runai-administrator")],
        ),
        (AccessRuleSpec("1", "User", "alice", "researcher", ("other",)), []),
        (AccessRuleSpec("1", "User", "alice", "emperor", (), True), []),
    ],
)
def test_access_rules_bind_roles(rule, bound):
    made = desired.role_bindings(VISION, [RuleView("r", "uid-r", rule)])
    assert [(b["subjects"][0]["kind"], b["subjects"][0]["name"], b["roleRef"]["name"]) for b in made] == bound


POOL = [("gold", NodePoolSpec("1", "tier", "gold"))]


@pytest.mark.parametrize(
    ("marks", "ours", "expected"),
    [
        ({"tier": "gold"}, False, "gold"),
        ({"tier": "gold", "kai.scheduler/node-pool": "gold"}, True, "-"),
        ({"tier": "gold", "kai.scheduler/node-pool": "mine"}, False, "-"),
        ({"tier": "iron", "kai.scheduler/node-pool": "gold"}, True, None),
        ({}, False, "-"),
    ],
    ids=["labelled", "done", "somebody else's", "taken back", "no pool"],
)
def test_nodes_get_the_label_of_their_pool(marks, ours, expected):
    annotations = {desired.NODE_POOL_BY: "operator"} if ours else {}
    patch = desired.node_pool_label({"metadata": {"name": "n", "labels": marks, "annotations": annotations}}, POOL)
    assert (patch["metadata"]["labels"]["kai.scheduler/node-pool"] if patch else "-") == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": "a b"}, "spec.image: 'a b'"),
        ({"type": "party"}, "spec.type: 'party' given, allowed are"),
        ({"compute": Compute(gpu_devices=-1)}, "spec.compute.gpuDevices: -1"),
        ({"compute": Compute(gpu_devices=1, gpu_portion_milli=1000)}, "gpuPortionMilli: 1000"),
        ({"compute": Compute(gpu_devices=1, gpu_portion_milli=5, gpu_memory_mib=5)}, "not both"),
        ({"compute": Compute(cpu_milli=2, cpu_limit_milli=1)}, "below the request"),
        ({"workers": 0}, "spec.workers: 0 given, must be at least 1"),
        ({"workers": 2, "completions": 2}, "a gang has no completions"),
        ({"priority_class": "gold"}, "spec.priorityClass: 'gold' given, allowed are"),
        ({"environment": (EnvVar("A"), EnvVar("A"))}, "'A' is given twice"),
    ],
)
def test_every_mistake_names_its_field(spec, words):
    found = problems(WorkloadSpec(**{"type": "training", "image": "x", **spec}))
    assert any(words in text for text in found), found


def test_long_names_stay_short_and_apart():
    one, other = "a" * 60 + "b", "a" * 60 + "c"
    assert len(names.pod_name(one, 1000, 12)) <= 63
    assert names.pod_name(one, 0, 0) != names.pod_name(other, 0, 0)
