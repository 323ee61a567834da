"""Owners and pods of every kind of workload, as their users and controllers make them, and what must become of them.

Native kinds get their pods from Kubernetes' own controllers. Definitions of foreign kinds are minimal schemas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.agent.loops.scenes import NAME, TAINT

Obj = dict[str, Any]
SPACE, QUEUE, HERE = "d-kinds", "d-kinds-q", "d-kinds"
"""Namespace, queue, and the label of the nodes that pods ask for."""
NATIVE = ("", "apps", "batch", "run.ai")


@dataclass(frozen=True)
class Case:
    """``chain``: (API version, kind, spec) from the top owner down; ``pods``: labels of the pods that the lowest one
    owns, made last to first; none for kinds whose pods a controller here makes (``made`` of them).

    ``groups``: how many groups, all of ``minimum`` (or of ``parts`` by name). ``named``: which owner of the chain names
    the group; None: each pod is its own.
    """

    chain: tuple[tuple[str, str, Obj], ...]
    pods: tuple[Obj, ...] = ()
    made: int = 0
    groups: int = 1
    stored: int = 0
    """Fewer groups than that are stored: one whose only pod comes last is placed at once, and needs no object."""
    minimum: int = 1
    parts: dict[str, int] = field(default_factory=dict)
    priority: str = "train"
    named: int | None = 0

    @property
    def count(self) -> int:
        return self.made or len(self.pods)

    @property
    def is_gang(self) -> bool:
        """Nothing of it may start before its last pod is there."""
        return self.minimum == len(self.pods) > 1 and self.groups == 1


def template(**labels: str) -> Obj:
    """A pod template that waits for the labelled nodes."""
    container = {"name": "c", "image": "example.local/none:1", "resources": {"limits": {"cpu": "10m"}}}
    spec = {"schedulerName": NAME, "nodeSelector": {HERE: "yes"}, "tolerations": [TAINT], "containers": [container]}
    marks = {"kai.scheduler/node-pool": "simulated", **labels}
    return {"metadata": {"labels": marks}, "spec": {**spec, "terminationGracePeriodSeconds": 0}}


def job(count: int = 2, **labels: str) -> Obj:
    pods = template(**labels)
    pods["spec"]["restartPolicy"] = "Never"
    return {"parallelism": count, "completions": count, "template": pods}


def selected(name: str, **spec: Any) -> Obj:
    return {"selector": {"matchLabels": {"case": name}}, "template": template(case=name), **spec}


def kubeflow(field_name: str, **replicas: int) -> Obj:
    return {field_name: {name: {"replicas": count} for name, count in replicas.items()}}


def plain(api: str, kind: str, count: int = 2, spec: Obj | None = None, **expected: Any) -> Case:
    """An owner whose pods are its own."""
    return Case(((api, kind, spec or {}),), ({},) * count, **expected)


KF = "kubeflow.org/v1"
RAY: Obj = {
    "headGroupSpec": {"rayStartParams": {}, "template": {}},
    "workerGroupSpecs": [{"groupName": "gpu", "replicas": 2, "minReplicas": 2}],
}
RAY_PODS = ({"ray.io/node-type": "head"}, {"ray.io/group": "gpu"}, {"ray.io/group": "gpu"})
RAY_PARTS = {"headgroup": 1, "gpu": 2}
LWS, LWS_INDEX = "leaderworkerset.x-k8s.io/v1", "leaderworkerset.sigs.k8s.io/group-index"
JOB_NAME, JOB_INDEX = "jobset.sigs.k8s.io/replicatedjob-name", "jobset.sigs.k8s.io/job-index"
JOB_SET: Obj = {"replicatedJobs": [{"name": "node", "replicas": 1, "template": {"spec": {"parallelism": 2}}}]}
JOB_SET_LINK = ("jobset.x-k8s.io/v1alpha2", "JobSet", JOB_SET)
ITS_JOB = ("batch/v1", "Job", job(2, **{JOB_NAME: "node", JOB_INDEX: "0"}))
INFERENCE: Obj = {"priority": "inference", "named": None}
PARALLEL: Obj = {"podManagementPolicy": "Parallel"}
REPLICAS = ("apps/v1", "ReplicaSet")

CASES: dict[str, Case] = {
    "pod": Case((), ({},), named=None),
    "job": Case((("batch/v1", "Job", job(2)),), made=2),
    "cronjob": Case(
        (
            ("batch/v1", "CronJob", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job(1)}}),
            ("batch/v1", "Job", job(2)),
        ),
        made=2,
        named=1,
    ),
    "deployment": Case((("apps/v1", "Deployment", selected("deployment", replicas=2)),), made=2, groups=2, **INFERENCE),
    "replicaset": Case(((*REPLICAS, selected("replicaset", replicas=2)),), made=2),
    "statefulset": Case(
        (("apps/v1", "StatefulSet", selected("statefulset", replicas=2, serviceName="s", **PARALLEL)),),
        made=2,
    ),
    "replicationcontroller": Case(
        (
            (
                "v1",
                "ReplicationController",
                {"replicas": 2, "selector": {"case": "rc"}, "template": template(case="rc")},
            ),
        ),
        made=2,
    ),
    "jobset": Case((JOB_SET_LINK, ITS_JOB), made=2, parts={"node": 1, "node-0": 2}),
    "trainjob": Case(
        (("trainer.kubeflow.org/v1alpha1", "TrainJob", {}), JOB_SET_LINK, ITS_JOB),
        made=2,
        parts={"node": 1, "node-0": 2},
        named=1,
    ),
    "lws": Case(
        ((LWS, "LeaderWorkerSet", {"leaderWorkerTemplate": {"size": 2}}),),
        tuple({LWS_INDEX: index} for index in "0011"),
        groups=2,
        minimum=2,
    ),
    "pytorch": plain(KF, "PyTorchJob", 3, kubeflow("pytorchReplicaSpecs", Master=1, Worker=2), minimum=3),
    "tf": plain(KF, "TFJob", 3, kubeflow("tfReplicaSpecs", Chief=1, Worker=2), minimum=3),
    "xgboost": plain(KF, "XGBoostJob", 2, kubeflow("xgbReplicaSpecs", Master=1, Worker=1), minimum=2),
    "jax": plain(KF, "JAXJob", 2, kubeflow("jaxReplicaSpecs", Worker=2), minimum=2),
    "mpi": plain(KF, "MPIJob", 3, kubeflow("mpiReplicaSpecs", Launcher=1, Worker=2), minimum=3),
    "notebook": plain(KF, "Notebook", 1, priority="build"),
    "scheduledworkflow": Case(
        (("kubeflow.org/v1beta1", "ScheduledWorkflow", {}), ("argoproj.io/v1alpha1", "Workflow", {})),
        ({},) * 2,
        groups=2,
        stored=1,
        named=None,
    ),
    "raycluster": Case((("ray.io/v1", "RayCluster", RAY),), RAY_PODS, parts=RAY_PARTS),
    "rayjob": Case(
        (("ray.io/v1", "RayJob", {"rayClusterSpec": RAY}), ("ray.io/v1", "RayCluster", RAY)), RAY_PODS, parts=RAY_PARTS
    ),
    "rayservice": Case(
        (("ray.io/v1", "RayService", {"rayClusterConfig": RAY}), ("ray.io/v1", "RayCluster", RAY)),
        RAY_PODS,
        parts=RAY_PARTS,
        priority="inference",
    ),
    "spark": plain("sparkoperator.k8s.io/v1beta2", "SparkApplication", 2),
    "knative": Case(
        (
            ("serving.knative.dev/v1", "Service", {}),
            ("serving.knative.dev/v1", "Configuration", {}),
            ("serving.knative.dev/v1", "Revision", {}),
            ("apps/v1", "Deployment", selected("knative", replicas=2)),
        ),
        made=2,
        groups=2,
        **INFERENCE,
    ),
    "seldon": Case(
        (
            ("machinelearning.seldon.io/v1", "SeldonDeployment", {}),
            ("apps/v1", "Deployment", selected("seldon", replicas=1)),
        ),
        made=1,
        **INFERENCE,
    ),
    "spotrequest": plain("egx.nvidia.io/v1", "SPOTRequest", 1, priority="inference"),
    "devworkspace": plain("workspace.devfile.io/v1alpha2", "DevWorkspace", 1, priority="build"),
    "amljob": plain("amlarc.azureml.com/v1alpha1", "AmlJob"),
    "runaijob": plain("run.ai/v1", "RunaiJob"),
    "argo": plain("argoproj.io/v1alpha1", "Workflow", groups=2, stored=1, named=None),
    "tekton-pipeline": Case((("tekton.dev/v1", "PipelineRun", {}), ("tekton.dev/v1", "TaskRun", {})), ({},) * 2),
    "tekton-task": plain("tekton.dev/v1", "TaskRun", 1),
    "kubevirt": Case(
        (("kubevirt.io/v1", "VirtualMachine", {}), ("kubevirt.io/v1", "VirtualMachineInstance", {})), ({},), named=1
    ),
    "grove": Case(
        (("grove.io/v1alpha1", "PodCliqueSet", {}), ("grove.io/v1alpha1", "PodClique", {})),
        tuple({"grove.io/podgang": gang} for gang in "ab"),
        groups=2,
        stored=1,
    ),
    "grove-old": plain("grove.io/v1alpha1", "PodGangSet", 1),
    "dynamo": Case(
        (("nvidia.com/v1alpha1", "DynamoGraphDeployment", {}), ("grove.io/v1alpha1", "PodCliqueSet", {})),
        ({"grove.io/podgang": "a"},),
        named=1,
    ),
    "unknown": plain("example.com/v1", "Thing"),
}


def definitions() -> list[Obj]:
    """A minimal definition of each foreign kind in ``CASES``: any spec is taken."""
    wanted = {(api, kind) for case in CASES.values() for api, kind, _ in case.chain}
    foreign = sorted((api, kind) for api, kind in wanted if "." in api.partition("/")[0] or kind == "RunaiJob")
    kinds: dict[tuple[str, str], set[str]] = {}
    for api, kind in foreign:
        group, _, version = api.partition("/")
        if group != "run.ai" or kind == "RunaiJob":
            kinds.setdefault((group, kind), set()).add(version)
    return [_definition(group, kind, sorted(versions)) for (group, kind), versions in kinds.items()]


def _definition(group: str, kind: str, versions: list[str]) -> Obj:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    served = [{"name": name, "served": True, "storage": name == versions[0], "schema": schema} for name in versions]
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": served}
    meta: Obj = {"name": f"{plural}.{group}"}
    if group.endswith((".k8s.io", ".kubernetes.io")):
        meta["annotations"] = {"api-approved.kubernetes.io": "unapproved, a minimal schema for tests"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}


def owner(name: str, case: Case, level: int, above: Obj | None) -> Obj:
    """The owner at a level of the chain; only the top one says the queue."""
    api, kind, spec = case.chain[level]
    meta: Obj = {"name": f"{name}-{level}", "namespace": SPACE}
    meta |= {"ownerReferences": [reference(above)]} if above else {"labels": {"kai.scheduler/queue": QUEUE}}
    return {"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec}


def reference(obj: Obj) -> Obj:
    meta = obj["metadata"]
    common = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "uid": meta["uid"]}
    return {**common, "controller": True}


def pod(name: str, index: int, labels: Obj, above: Obj | None) -> Obj:
    made = template(**labels)
    meta: Obj = {"name": f"{name}-pod-{index}", "namespace": SPACE, **made["metadata"]}
    if above is None:
        meta["labels"] |= {"kai.scheduler/queue": QUEUE}
    else:
        meta["ownerReferences"] = [reference(above)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": made["spec"]}
