"""Manifests → domain: tables of what a field means and of what a wrong one becomes."""

from __future__ import annotations

from typing import Any

import pytest

from agent.domain.constraints import NodeTerm, PodTerm, Requirement, Taint, Toleration
from agent.domain.groups import DEFAULT_SUBGROUP, Preemptibility, SubGroup, TopologyConstraint
from agent.domain.pods import PodStatus
from agent.domain.queues import Share
from agent.kube.convert.constraints import constraints_of, named_objects
from agent.kube.convert.groups import Priorities, group_of, queue_of
from agent.kube.convert.nodes import PoolRule, gpu_memory_mib, node_of, pool_of, topology_of
from agent.kube.convert.pods import asked_of, gpu_group_labels, gpu_groups_of, state_of, sum_usage, usage_of

SECOND = 10**9


def pod(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c"}], **(spec or {})}
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "u", **meta}, "spec": spec, "status": status or {}}


def container(restart: str | None = None, limits: dict[str, str] | None = None, **requests: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "c", "resources": {"requests": requests, "limits": limits or {}}}
    return found | ({"restartPolicy": restart} if restart else {})


# ---- requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "cpu", "memory"),
    [
        ({"containers": [container(cpu="1"), container(cpu="500m")]}, 1500, 0),
        ({"containers": [container(cpu="1")], "initContainers": [container(cpu="3"), container(cpu="2")]}, 3000, 0),
        ({"containers": [container(cpu="1")], "initContainers": [container("Always", cpu="1")]}, 2000, 0),
        (
            {"containers": [container(cpu="1")], "initContainers": [container("Always", cpu="1"), container(cpu="3")]},
            4000,
            0,
        ),
        (
            {"containers": [container(memory="1Gi")], "overhead": {"memory": "1Mi", "cpu": "100m"}},
            100,
            (1 << 30) + (1 << 20),
        ),
        ({"containers": [container(limits={"cpu": "2"})]}, 2000, 0),
    ],
)
def test_cpu_and_memory(spec, cpu, memory):
    request = asked_of(pod(spec)).request
    assert (request.cpu, request.memory) == (cpu, memory)


def test_gpus_mig_and_other_resources():
    resources = {"nvidia.com/gpu": "2", "nvidia.com/mig-1g.5gb": "3", "example.com/w": "4"}
    request = asked_of(pod({"containers": [container(limits=resources)]})).request
    assert (request.gpus, request.mig, request.extended) == (
        2,
        (("nvidia.com/mig-1g.5gb", 3),),
        (("example.com/w", 4),),
    )


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ({"gpu-fraction": "0.5"}, (500, 0, 1)),
        ({"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"}, (500, 0, 2)),
        ({"gpu-memory": "2000"}, (0, 2000, 1)),
        ({"gpu-fraction": "0.25", "gpu-memory": "2000"}, (250, 0, 1)),
        ({"gpu-fraction": "7", "gpu-memory": "2000"}, (0, 2000, 1)),
        ({}, (0, 0, 1)),
    ],
)
def test_shares_of_a_gpu(notes, expected):
    request = asked_of(pod(annotations=notes)).request
    assert (request.gpu_fraction, request.gpu_memory, request.gpu_devices) == expected


@pytest.mark.parametrize(
    ("notes", "field"),
    [
        ({"gpu-fraction": "0"}, "gpu-fraction"),
        ({"gpu-fraction": "1.5"}, "gpu-fraction"),
        ({"gpu-fraction": "NaN"}, "gpu-fraction"),
        ({"gpu-fraction": "-1"}, "gpu-fraction"),
        ({"gpu-memory": "lots"}, "gpu-memory"),
        ({"gpu-memory": "0"}, "gpu-memory"),
        ({"gpu-fraction": "0.5", "gpu-fraction-num-devices": "0"}, "gpu-fraction-num-devices"),
    ],
)
def test_a_wrong_share_names_its_field(notes, field):
    wrong = asked_of(pod(annotations=notes)).wrong
    assert wrong is not None
    assert wrong["field"] == field


def test_whole_and_shared_exclude_each_other():
    asked = asked_of(
        pod({"containers": [container(limits={"nvidia.com/gpu": "1"})]}, annotations={"gpu-fraction": "0.5"})
    )
    assert asked.wrong is not None


# ---- states ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "status", "meta", "expected"),
    [
        ({}, {}, {}, PodStatus.PENDING),
        ({"schedulingGates": [{"name": "g"}]}, {}, {}, PodStatus.GATED),
        ({"nodeName": "n"}, {}, {}, PodStatus.BOUND),
        ({"nodeName": "n"}, {"phase": "Running"}, {}, PodStatus.RUNNING),
        ({"nodeName": "n"}, {"phase": "Running"}, {"deletionTimestamp": "1970-01-01T00:16:40Z"}, PodStatus.RELEASING),
        (
            {"nodeName": "n"},
            {"phase": "Running"},
            {"deletionTimestamp": "1970-01-01T00:00:01Z"},
            PodStatus.STUCK_IN_RELEASING,
        ),
        ({}, {"phase": "Succeeded"}, {}, PodStatus.SUCCEEDED),
        ({}, {"phase": "Failed"}, {}, PodStatus.FAILED),
    ],
)
def test_states(spec, status, meta, expected):
    assert state_of(pod(spec, status, **meta), 1000 * SECOND) == expected


@pytest.mark.parametrize("groups", [("g1",), ("g1", "g2")])
def test_gpu_groups_are_read_as_written(groups):
    assert gpu_groups_of(pod(labels=gpu_group_labels(groups))) == groups


def test_foreign_usage_adds_up():
    one = usage_of(pod({"containers": [container(cpu="1", limits={"nvidia.com/gpu": "1"})]}))
    total = sum_usage([one, one])
    assert (total.cpu, total.gpus, total.pods) == (2000, 2, 2)


# ---- constraints -------------------------------------------------------------------------------------------------


def test_constraints_of_a_pod():
    expression = {"key": "disk", "operator": "In", "values": ["ssd"]}
    spec = {
        "nodeSelector": {"a": "b"},
        "tolerations": [
            {"key": "t", "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "operator": "Exists"},
        ],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [expression]}]
                }
            },
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "x"}}}
                ]
            },
        },
        "containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}],
    }
    found = constraints_of(pod(spec))
    assert found.node_selector == (("a", "b"),)
    assert found.tolerations == (Toleration("t", "Exists"),)
    assert found.node_affinity == (NodeTerm((Requirement("disk", "In", ("ssd",)),)),)
    assert found.pod_anti_affinity == (PodTerm("host", (Requirement("app", "In", ("x",)),), ("ns",)),)
    assert found.host_ports == (("TCP", "0.0.0.0", 80),)


def test_equal_constraints_are_one_object():
    assert constraints_of(pod({"nodeSelector": {"a": "b"}})) is constraints_of(pod({"nodeSelector": {"a": "b"}}))


def test_objects_that_must_exist():
    spec = {
        "volumes": [
            {"configMap": {"name": "a"}},
            {"configMap": {"name": "maybe", "optional": True}},
            {"persistentVolumeClaim": {"claimName": "data"}},
        ],
        "containers": [
            {"name": "c", "envFrom": [{"configMapRef": {"name": "b"}}], "env": [{"name": "X", "value": "1"}]}
        ],
    }
    assert set(named_objects(pod(spec))) == {("ConfigMap", "a"), ("ConfigMap", "b")}


# ---- nodes -------------------------------------------------------------------------------------------------------


def node(allocatable: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "n", "labels": labels},
        "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}], "unschedulable": True},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_node():
    allocatable = {
        "cpu": "7500m",
        "memory": "1Gi",
        "pods": "50",
        "nvidia.com/gpu": "8",
        "nvidia.com/mig-1g.5gb": "2",
        "x/y": "3",
    }
    found = node_of(node(allocatable), "pool")
    assert (found.cpu, found.memory, found.max_pods, found.gpus) == (7500, 1 << 30, 50, 8)
    assert (found.mig, found.extended) == ((("nvidia.com/mig-1g.5gb", 2),), (("x/y", 3),))
    assert (found.taints, found.unschedulable, found.ready) == ((Taint("k", "v", "NoSchedule"),), True, True)


@pytest.mark.parametrize(("given", "expected"), [("-4", 0), ("rubbish", 0), ("9" * 30, 1 << 62)])
def test_a_node_that_lies_counts_as_nothing_or_is_bounded(given, expected):
    assert node_of(node({"nvidia.com/gpu": given}), "pool").gpus == expected


@pytest.mark.parametrize(("label", "expected"), [("16000", 16000), (str(16 << 40), 16 << 20), ("", 0), ("much", 0)])
def test_gpu_memory(label, expected):
    assert gpu_memory_mib({"nvidia.com/gpu.memory": label}) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({"zone": "a"}, "pool-a"), ({"zone": "b", "pool": "x"}, "x"), ({}, "default")],
)
def test_pool_of_a_node(labels, expected):
    assert pool_of(labels, [PoolRule("pool-a", "zone", "a")], "pool") == expected


def test_topology_levels_and_aliases():
    obj = {"metadata": {"name": "t"}, "spec": {"levels": [{"nodeLabel": "zone"}, {"nodeLabel": "rack", "alias": "r"}]}}
    found, aliases = topology_of(obj)
    assert (found.levels, aliases) == (("zone", "rack"), {"r": "rack"})


# ---- queues and groups -------------------------------------------------------------------------------------------


def queue(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "q"}, "spec": spec}


def test_units_of_a_queue():
    block = {"quota": 1.5, "limit": -1, "overQuotaWeight": 2}
    found, wrong = queue_of(queue(resources={"gpu": block, "cpu": block, "memory": block}, parentQueue="d"))
    assert (found.gpu, found.cpu.deserved, found.memory.deserved) == (Share(1500, -1, 2000), 2, 1_500_000)
    assert (found.parent, wrong) == ("d", None)


def test_a_resource_that_is_left_out_is_all_zeros():
    found, _ = queue_of(queue())
    assert found.gpu == Share(0, 0, 0)


def test_a_wrong_duration_is_named():
    _, wrong = queue_of(queue(preemptMinRuntime="soon"))
    assert wrong is not None
    assert wrong["field"] == "preemptMinRuntime"


def group(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "g", "namespace": "ns", "annotations": annotations or {}}, "spec": spec}


def read(**spec: Any):
    return group_of(group(**spec), Priorities({"mine": 7}, None), {"t": {"r": "rack"}})


@pytest.mark.parametrize(
    ("spec", "root"),
    [
        ({}, SubGroup(DEFAULT_SUBGROUP, 1)),
        ({"minMember": 3}, SubGroup(DEFAULT_SUBGROUP, 3)),
        ({"minMember": 0}, SubGroup(DEFAULT_SUBGROUP, 0)),
        (
            {"minSubGroup": 1, "subGroups": [{"name": "a", "minMember": 2}, {"name": "b"}]},
            SubGroup("", 0, (SubGroup("a", 2), SubGroup("b", 1)), 1),
        ),
        (
            {"subGroups": [{"name": "a"}, {"name": "b", "parent": "a", "minMember": 2}]},
            SubGroup("", 0, (SubGroup("a", 0, (SubGroup("b", 2),)),)),
        ),
    ],
)
def test_the_tree_of_a_group(spec, root):
    found, wrong = read(**spec)
    assert (found.root, wrong) == (root, None)


@pytest.mark.parametrize(
    ("parts", "given"),
    [
        ([{"name": "a", "parent": "nobody"}], "nobody"),
        ([{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}], "a loop"),
        ([{"name": "a"}, {"name": "a"}], "one name twice"),
        ([{"name": str(i), "parent": str(i - 1) if i else ""} for i in range(500)], "too deep"),
    ],
)
def test_a_crooked_tree_is_refused(parts, given):
    _, wrong = read(subGroups=parts)
    assert wrong is not None
    assert wrong["given"] == given


@pytest.mark.parametrize(
    ("spec", "priority", "kind"),
    [
        ({"priorityClassName": "mine"}, 7, Preemptibility.PREEMPTIBLE),
        ({"priorityClassName": "build"}, 100, Preemptibility.NON_PREEMPTIBLE),
        ({"priorityClassName": "unknown"}, 50, Preemptibility.PREEMPTIBLE),
        ({"priorityClassName": "build", "preemptibility": "preemptible"}, 100, Preemptibility.PREEMPTIBLE),
        ({"priorityClassName": "mine", "preemptibility": "non-preemptible"}, 7, Preemptibility.NON_PREEMPTIBLE),
    ],
)
def test_priority_and_preemptibility(spec, priority, kind):
    found, _ = read(**spec)
    assert (found.priority, found.preemptibility) == (priority, kind)


def test_the_global_default_priority():
    assert Priorities({"d": 5}, 5).of("") == 5


def test_delays_and_topology():
    found, wrong = read(
        preemptionDelay="6s",
        stalenessGracePeriod="-1s",
        topologyConstraint={"topology": "t", "requiredTopologyLevel": "r", "preferredTopologyLevel": "zone"},
    )
    assert (found.preemption_delay, found.staleness_grace, wrong) == (6 * SECOND, -SECOND, None)
    assert found.root.topology == TopologyConstraint("t", "rack", "zone")
