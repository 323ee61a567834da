"""Every kind of workload: how many of its pods start together, in which parts; and kinds that a YAML file adds."""

from __future__ import annotations

from typing import Any

import pytest

from agent.grouping.kinds import Kinds, rule_of
from agent.grouping.owners import Owner, Reference
from agent.grouping.paths import total, values
from agent.grouping.rules import Group, group_of, manifest, subgroup_of
from agent.grouping.trees import segment_tree
from agent.kube.convert.groups import Priorities
from agent.kube.convert.groups import group_of as read_group

KUBEFLOW = "kubeflow.org/v1"


def pod(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "pod-uid", "labels": labels}, "spec": {}}


def owner(version: str, kind: str, spec: dict[str, Any], **facts: Any) -> Owner:
    return Owner(Reference(version, kind, "top", "uid"), spec=spec, **facts)


def grouped(one: Owner, kinds: Kinds | None = None, **labels: str) -> tuple[Group, str]:
    kinds = kinds or Kinds()
    group = group_of(pod(**labels), [one], {}, "default", kinds)
    return group, subgroup_of(pod(**labels), [one], group, kinds)


def replicas(**counts: int) -> dict[str, Any]:
    return {name: {"replicas": count} for name, count in counts.items()}


@pytest.mark.parametrize(
    ("version", "kind", "spec", "minimum"),
    [
        (KUBEFLOW, "PyTorchJob", {"pytorchReplicaSpecs": replicas(Master=1, Worker=3)}, 4),
        (KUBEFLOW, "PyTorchJob", {"pytorchReplicaSpecs": {"Master": {}, "Worker": {"replicas": 2}}}, 3),
        (
            KUBEFLOW,
            "PyTorchJob",
            {"elasticPolicy": {"minReplicas": 2}, "pytorchReplicaSpecs": replicas(Worker=4)},
            2,
        ),
        (KUBEFLOW, "TFJob", {"tfReplicaSpecs": replicas(PS=2, Chief=1, Worker=4)}, 7),
        (KUBEFLOW, "XGBoostJob", {"xgbReplicaSpecs": replicas(Master=1, Worker=1)}, 2),
        (KUBEFLOW, "JAXJob", {"jaxReplicaSpecs": replicas(Worker=4)}, 4),
        (KUBEFLOW, "MPIJob", {"mpiReplicaSpecs": replicas(Launcher=1, Worker=2)}, 3),
        ("kubeflow.org/v2beta1", "MPIJob", {"mpiReplicaSpecs": replicas(Launcher=1, Worker=2)}, 3),
        (
            KUBEFLOW,
            "TFJob",
            {"runPolicy": {"schedulingPolicy": {"minAvailable": 5}}, "tfReplicaSpecs": replicas(Worker=9)},
            5,
        ),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", {"leaderWorkerTemplate": {"size": 4}}, 4),
        ("apps/v1", "StatefulSet", {"replicas": 3}, 1),
        ("batch/v1", "Job", {"parallelism": 3}, 1),
        ("sparkoperator.k8s.io/v1beta2", "SparkApplication", {}, 1),
        ("tekton.dev/v1", "TaskRun", {}, 1),
        ("kubevirt.io/v1", "VirtualMachineInstance", {}, 1),
    ],
)
def test_how_many_start_together(version, kind, spec, minimum):
    assert grouped(owner(version, kind, spec))[0].min_member == minimum


@pytest.mark.parametrize(
    ("version", "kind", "priority", "own"),
    [
        ("serving.knative.dev/v1", "Service", "inference", True),
        ("machinelearning.seldon.io/v1", "SeldonDeployment", "inference", True),
        ("egx.nvidia.io/v1", "SPOTRequest", "inference", False),
        ("ray.io/v1", "RayService", "inference", False),
        ("workspace.devfile.io/v1alpha2", "DevWorkspace", "build", False),
        ("argoproj.io/v1alpha1", "Workflow", "train", True),
        ("amlarc.azureml.com/v1", "AmlJob", "train", False),
        ("trainer.kubeflow.org/v1alpha1", "TrainJob", "train", True),
    ],
)
def test_priority_and_whether_each_pod_is_alone(version, kind, priority, own):
    group, _ = grouped(owner(version, kind, {}))
    assert (group.name == "pg-p-pod-uid") == own
    assert group.priority_class == ("train" if kind == "TrainJob" else priority)


def test_a_train_job_is_grouped_as_the_job_set_it_owns():
    job_set = Owner(
        Reference("jobset.x-k8s.io/v1alpha2", "JobSet", "js", "js-uid"), spec={"replicatedJobs": [{"name": "node"}]}
    )
    train = owner("trainer.kubeflow.org/v1alpha1", "TrainJob", {})
    assert group_of(pod(), [job_set, train], {}, "q").name == "pg-js-js-uid"


def test_each_replica_of_a_leader_worker_set_is_a_gang():
    one = owner("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", {"leaderWorkerTemplate": {"size": 2}})
    found = {grouped(one, **{"leaderworkerset.sigs.k8s.io/group-index": index})[0].name for index in "01"}
    assert found == {"pg-top-uid-0", "pg-top-uid-1"}


RAY = {
    "headGroupSpec": {"template": {}},
    "workerGroupSpecs": [
        {"groupName": "small", "replicas": 3, "minReplicas": 1},
        {"groupName": "wide", "replicas": 2, "numOfHosts": 4},
        {"groupName": "off", "replicas": 2, "suspend": True},
    ],
}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [("RayCluster", RAY), ("RayJob", {"rayClusterSpec": RAY}), ("RayService", {"rayClusterConfig": RAY})],
)
def test_ray_starts_with_its_head_and_the_least_workers(kind, spec):
    group, part = grouped(owner("ray.io/v1", kind, spec), **{"ray.io/group": "wide"})
    assert [(one.name, one.minimum) for one in group.tree.parts] == [("headgroup", 1), ("small", 1), ("wide", 8)]
    assert (group.tree.minimum, part) == (3, "wide")


JOB_SET = {
    "replicatedJobs": [
        {"name": "driver", "replicas": 1, "template": {"spec": {"parallelism": 1}}},
        {"name": "node", "replicas": 2, "template": {"spec": {"parallelism": 4}}},
    ]
}


@pytest.mark.parametrize(("order", "minimum"), [("AnyOrder", 2), ("InOrder", 1)])
def test_a_job_set_has_two_levels(order, minimum):
    spec = {**JOB_SET, "startupPolicy": {"startupPolicyOrder": order}}
    labels = {"jobset.sigs.k8s.io/replicatedjob-name": "node", "jobset.sigs.k8s.io/job-index": "1"}
    group, part = grouped(owner("jobset.x-k8s.io/v1alpha2", "JobSet", spec), **labels)
    assert (group.tree.minimum, part) == (minimum, "node-1")
    read, wrong = read_group(manifest(group), Priorities({}), {})
    assert wrong is None
    assert [(top.name, len(top.children)) for top in read.root.children] == [("driver", 1), ("node", 2)]
    assert read.root.children[1].children[0].min_available == 4


def test_segments_are_close_together_each():
    notes = {
        "kai.scheduler/topology": "dc",
        "kai.scheduler/segment-size": "2",
        "kai.scheduler/segment-topology-required-placement": "rack",
    }
    one = owner(KUBEFLOW, "PyTorchJob", {"pytorchReplicaSpecs": replicas(Worker=5)}, annotations=notes)
    group, part = grouped(one, **{"training.kubeflow.org/replica-index": "3"})
    assert [one.minimum for one in group.tree.parts] == [2, 2, 1]
    assert part == "segment-1"
    assert manifest(group)["spec"]["subGroups"][0]["topologyConstraint"] == {
        "topology": "dc",
        "requiredTopologyLevel": "rack",
    }


def test_too_many_segments_are_none():
    assert segment_tree(20_001, 1, ("", "", "")) is None


WORKLOAD_KIND = {
    "metadata": {"name": "things"},
    "spec": {
        "group": "example.com",
        "kind": "Thing",
        "priorityClass": "build",
        "podTemplatePath": "spec.template",
        "gang": {"minMemberPath": "spec.sizes.*.count"},
        "components": [
            {"name": "boss", "replicasPath": "spec.sizes.boss.count", "podLabels": {"role": "boss"}},
            {"name": "rest", "replicasPath": "spec.sizes.rest.count", "podLabels": {"role": "rest"}},
        ],
    },
}


def test_a_kind_that_a_file_adds():
    key, rule = rule_of(WORKLOAD_KIND)
    spec = {
        "sizes": {"boss": {"count": 1}, "rest": {"count": 3}},
        "template": {"metadata": {"labels": {"kai.scheduler/queue": "its-queue"}}},
    }
    group, part = grouped(owner("example.com/v3", "Thing", spec), Kinds({key: rule}), role="rest")
    assert (group.priority_class, group.queue, group.min_member, part) == ("build", "its-queue", 4, "rest")
    assert [(one.name, one.minimum) for one in group.tree.parts] == [("boss", 1), ("rest", 3)]


def test_a_file_may_say_that_each_pod_is_alone():
    obj = {"metadata": {}, "spec": {"group": "batch", "kind": "Job", "gang": {"mode": "Pod"}}}
    assert grouped(owner("batch/v1", "Job", {}), Kinds(dict([rule_of(obj)])))[0].name == "pg-p-pod-uid"


@pytest.mark.parametrize(
    ("path", "found"),
    [("a.b", [1]), (".a.b", [1]), ("a.*", [1, 2]), ("l.*.x", [3]), ("a.b.c", []), ("none", [])],
)
def test_values_at_a_path(path, found):
    assert values({"a": {"b": 1, "c": 2}, "l": [{"x": 3}, {}]}, path) == found


@pytest.mark.parametrize(
    ("path", "count"), [("l.*.x", 4), ("a.b", 1), ("none.*.x", None), ("bad", None), ("a.none", None)]
)
def test_sums_at_a_path(path, count):
    assert total({"a": {"b": 1}, "l": [{"x": 3}, {}], "bad": "7"}, path) == count
