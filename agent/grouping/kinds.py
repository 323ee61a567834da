"""How the pods of each kind of top owner form pod groups: a table, to which WorkloadKind objects add rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRAIN, BUILD, INFERENCE = "train", "build", "inference"


@dataclass(frozen=True, slots=True)
class Component:
    """Pods of one part of a workload: those that carry ``labels``; ``replicas`` is a path in the owner."""

    name: str
    replicas: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """``per_pod``: each pod is a group of its own; otherwise all pods of the top owner are one.

    ``priority_class``: the default. ``top``: False when the owner is only a way to the one it owns (a CronJob makes
    Jobs, and each of them is a group). ``read``: False when its pods carry all there is to know, so that the owner need
    not be fetched. ``minimum``: paths in the owner, the first that is there counts; without, one pod is enough.
    ``split``: a label of the pods by which the owner's pods form several groups. ``shape``: "ray" or "jobset", gangs
    with parts. ``components``: parts as a WorkloadKind names them. ``template``: path to a pod template whose labels
    and annotations count where the owner has none.
    """

    priority_class: str = TRAIN
    per_pod: bool = False
    top: bool = True
    read: bool = True
    minimum: tuple[str, ...] = ()
    split: str = ""
    shape: str = ""
    components: tuple[Component, ...] = ()
    template: str = ""


Key = tuple[str, str]
DEFAULT = Rule()
POD = Rule(per_pod=True)
_MIN_AVAILABLE = "spec.runPolicy.schedulingPolicy.minAvailable"


def _kubeflow(replicas: str, *first: str) -> Rule:
    return Rule(minimum=(*first, _MIN_AVAILABLE, f"spec.{replicas}.*.replicas"))


TABLE: dict[Key, Rule] = {
    ("batch", "Job"): Rule(),
    ("batch", "CronJob"): Rule(top=False),
    ("apps", "Deployment"): Rule(INFERENCE, per_pod=True),
    ("apps", "ReplicaSet"): Rule(),
    ("apps", "StatefulSet"): Rule(),
    ("apps", "DaemonSet"): Rule(per_pod=True, read=False),
    ("", "ReplicationController"): Rule(),
    ("", "Node"): Rule(per_pod=True, read=False),
    ("run.ai", "Workload"): Rule(per_pod=True, read=False),
    ("run.ai", "RunaiJob"): Rule(),
    ("jobset.x-k8s.io", "JobSet"): Rule(shape="jobset"),
    ("trainer.kubeflow.org", "TrainJob"): Rule(top=False),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): Rule(
        minimum=("spec.leaderWorkerTemplate.size",), split="leaderworkerset.sigs.k8s.io/group-index"
    ),
    ("kubeflow.org", "PyTorchJob"): _kubeflow("pytorchReplicaSpecs", "spec.elasticPolicy.minReplicas"),
    ("kubeflow.org", "TFJob"): _kubeflow("tfReplicaSpecs"),
    ("kubeflow.org", "XGBoostJob"): _kubeflow("xgbReplicaSpecs"),
    ("kubeflow.org", "JAXJob"): _kubeflow("jaxReplicaSpecs"),
    ("kubeflow.org", "MPIJob"): _kubeflow("mpiReplicaSpecs"),
    ("kubeflow.org", "Notebook"): Rule(BUILD),
    ("kubeflow.org", "ScheduledWorkflow"): Rule(top=False),
    ("ray.io", "RayCluster"): Rule(shape="ray"),
    ("ray.io", "RayJob"): Rule(shape="ray"),
    ("ray.io", "RayService"): Rule(INFERENCE, shape="ray"),
    ("sparkoperator.k8s.io", "SparkApplication"): Rule(),
    ("serving.knative.dev", "Service"): Rule(INFERENCE, per_pod=True),
    ("machinelearning.seldon.io", "SeldonDeployment"): Rule(INFERENCE, per_pod=True),
    ("egx.nvidia.io", "SPOTRequest"): Rule(INFERENCE),
    ("workspace.devfile.io", "DevWorkspace"): Rule(BUILD),
    ("amlarc.azureml.com", "AmlJob"): Rule(),
    ("tekton.dev", "PipelineRun"): Rule(),
    ("tekton.dev", "TaskRun"): Rule(),
    ("kubevirt.io", "VirtualMachine"): Rule(top=False),
    ("kubevirt.io", "VirtualMachineInstance"): Rule(),
    ("argoproj.io", "Workflow"): Rule(per_pod=True),
    ("nvidia.com", "DynamoGraphDeployment"): Rule(top=False),
    ("grove.io", "PodCliqueSet"): Rule(split="grove.io/podgang"),
    ("grove.io", "PodGangSet"): Rule(split="grove.io/podgang"),
}
"""(API group, kind) of the top owner → rule; other kinds follow ``DEFAULT``."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The table with what the cluster's WorkloadKinds add; those win."""

    added: Mapping[Key, Rule] = field(default_factory=dict)

    def of(self, group: str, kind: str) -> Rule:
        return self.added.get((group, kind)) or TABLE.get((group, kind)) or DEFAULT


def rule_of(obj: Mapping[str, Any]) -> tuple[Key, Rule]:
    """A WorkloadKind object (``run.ai/v1``) as a row of the table; the definition's schema has checked it."""
    spec = obj.get("spec") or {}
    gang = spec.get("gang") or {}
    components = tuple(
        Component(part["name"], part.get("replicasPath") or "", tuple(sorted((part.get("podLabels") or {}).items())))
        for part in spec.get("components") or ()
    )
    minimum = gang.get("minMemberPath") or ""
    rule = Rule(
        priority_class=spec.get("priorityClass") or TRAIN,
        per_pod=gang.get("mode") == "Pod",
        top=gang.get("mode") != "Owned",
        minimum=(minimum,) if minimum else (),
        split=gang.get("splitByLabel") or "",
        components=components,
        template=spec.get("podTemplatePath") or "",
    )
    return (spec.get("group") or "", spec.get("kind") or ""), rule
