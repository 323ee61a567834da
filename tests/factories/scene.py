"""A lived-in tenant for the console's tests: clusters, projects with quotas, workloads in many phases.

Made through the services where they decide something, and as rows where the cluster would have reported it. Runs in the
current tenant's schema.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from access.services.bootstrap import system_actor
from agent.wire.objects import PoolQuota, ResourceQuota
from agent.wire.samples import Sample, SampleBatch
from clusters.models import Cluster, Node, NodePool
from clusters.services import CreateCluster, create_cluster
from link.models import Cluster as Mailbox
from link.models import Liveness
from projects.models import Department, Project, ProjectPhase, Quota
from projects.services import CreateDepartment, CreateProject, create_department, create_project
from series.services import ingest, make_partitions
from workloads.models import Event, PhaseChange, Pod, Workload

GIB = 1 << 30


@dataclass
class Scene:
    cluster: Cluster
    waiting: Cluster
    departments: dict[str, Department] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    workloads: dict[str, Workload] = field(default_factory=dict)


def build_scene(workloads: int = 0) -> Scene:
    """The scene, with ``workloads`` more completed ones to fill the lists."""
    actor = system_actor()
    cluster = create_cluster(actor=actor, request=CreateCluster("hall-a", "hall-a.acme.example"))
    NodePool.objects.create(cluster=cluster, name="a100", label_value="a100", created_by="system")
    connect(cluster)
    scene = Scene(cluster, create_cluster(actor=actor, request=CreateCluster("new-site")))
    _nodes(cluster)
    for name, quota in {"research": 24, "product": 8}.items():
        request = CreateDepartment(name=name, cluster=cluster, quotas=_quotas(quota))
        scene.departments[name] = create_department(actor=actor, request=request)
    for name, (department, quota, used) in PROJECTS.items():
        request = CreateProject(
            name=name, cluster=cluster, department=scene.departments[department], quotas=_quotas(quota)
        )
        scene.projects[name] = create_project(actor=actor, request=request)
        Quota.objects.filter(project=scene.projects[name], node_pool__name="a100").update(
            allocated_gpu_milli=used * 1000
        )
    Project.objects.update(phase=ProjectPhase.READY)
    for row in WORKLOADS:
        scene.workloads[str(row[0])] = workload(scene, *row)
    _fill(scene, workloads)
    return scene


PROJECTS = {
    "vision": ("research", 8, 8),
    "nlp": ("research", 16, 22),
    "speech": ("research", 8, 3),
    "ranking": ("product", 8, 2),
}

WORKLOADS: list[tuple[Any, ...]] = [
    ("tokenizer-ablation-9", "nlp", "training", "Initializing", 1, 1, "Pulling train:2.4 on a100-01", 48),
    ("vit-large-finetune-0412", "vision", "training", "Pending", 4, 0, "Quota 8 / 8 in a100; after 2 others", 840),
    ("reward-model-dpo", "nlp", "training", "Pending", 4, 0, "Needs 4 GPUs in a100, 3 free; 2nd in line", 1560),
    (
        "moe-7b-instruct-pretrain-2026-11-22",
        "nlp",
        "distributed",
        "Pending",
        8,
        0,
        "Over quota 22 / 16; needs 8, 3 free",
        2460,
    ),
    ("clip-train-base", "vision", "training", "Running", 4, 4, "on a100-02", 22680),
    ("asr-finetune-fr", "speech", "training", "Failed", 2, 0, "Image speech/asr:3.1 not found", 480),
    ("resnet-sweep-17", "vision", "training", "Running", 4, 4, "on a100-03", 7860),
    ("notebook-amir", "speech", "workspace", "Running", 1, 1, "on a100-01", 4800),
    ("ctr-baseline", "ranking", "training", "Completed", 2, 0, "ran 2 h 04 min", 86400),
    ("ctr-sweep", "ranking", "training", "Stopped", 2, 0, "stopped by ines@acme.example", 9000),
]


def connect(cluster: Cluster) -> None:
    """As if its agent had enrolled, reported, and just been heard."""
    now = timezone.now()
    Mailbox.objects.filter(pk=cluster.pk).update(
        state="enrolled", enrolled_at=now - timedelta(days=3), agent_version="0.1.0"
    )
    Liveness.objects.update_or_create(cluster_id=cluster.pk, defaults={"last_seen": now + timedelta(hours=6)})
    Cluster.objects.filter(pk=cluster.pk).update(
        reported_at=now,
        agent_version="0.1.0",
        kubernetes_version="v1.36.1",
        platform="vanilla",
        runs_as="process",
        roles=[{"name": name, "healthy": True, "message": ""} for name in ("link", "operator", "scheduler", "metrics")],
        dependencies=[
            {"name": "Kubernetes 1.34 or later", "required": True, "available": True, "message": "v1.36.1"},
            {
                "name": "GPU operator",
                "required": False,
                "available": False,
                "message": "not found",
                "remedy": "GPUs are simulated here.",
            },
        ],
    )
    cluster.refresh_from_db()


def disconnect(cluster: Cluster, minutes: int = 190) -> None:
    Liveness.objects.filter(cluster_id=cluster.pk).update(last_seen=timezone.now() - timedelta(minutes=minutes))


def _quotas(gpus: int) -> tuple[PoolQuota, ...]:
    return (PoolQuota("a100", gpu=ResourceQuota(deserved=gpus * 1000)),)


def _nodes(cluster: Cluster) -> None:
    for index in range(1, 7):
        used = (8, 6, 8, 0, 3, 8)[index - 1]
        ready = index != 4
        Node.objects.create(
            cluster=cluster, uid=uuid.uuid4(), name=f"a100-{index:02d}", node_pool="a100" if index > 1 else "default",
            status="Ready" if ready else "NotReady", simulated=index > 1, unschedulable=index == 5,
            gpu_type="NVIDIA-A100-80GB", gpu_memory_mib=81920, gpu_count=8, gpu_allocatable_milli=8000,
            gpu_allocated_milli=used * 1000 + (500 if index == 2 else 0),
            devices=[
                {"index": i, "allocatedMilli": 1000 if i < used else 500 if index == 2 and i == used else 0, "pods": []}
                for i in range(8)
            ],
            conditions=[_condition(ready)],
            taints=[{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}] if index > 1 else [],
            cpu_allocatable_milli=96000, cpu_allocated_milli=used * 8000, memory_allocatable_bytes=768 * GIB,
            memory_allocated_bytes=used * 64 * GIB, pods=used // 2, kubelet_version="v1.36.1",
            node_created_at=timezone.now() - timedelta(days=6), updated_at=timezone.now(),
        )  # fmt: skip


def _condition(ready: bool) -> dict[str, str]:
    since = "2026-11-20T10:00:00Z"
    if ready:
        return {"type": "Ready", "status": "True", "message": "kubelet is ready", "lastTransitionTime": since}
    return {"type": "Ready", "status": "Unknown", "message": "kubelet is silent", "lastTransitionTime": since}


def workload(
    scene: Scene, name: str, project: str, kind: str, phase: str, gpus: int, allocated: int, message: str, seconds: int
) -> Workload:
    """One workload as the cluster would have reported it, with its pods, events and history."""
    since = timezone.now() - timedelta(seconds=seconds)
    made = Workload.objects.create(
        name=name, object_name=name, type=kind, project=scene.projects[project], cluster=scene.cluster,
        submitted_by="dana@acme.example", spec=_spec(kind, gpus),
        image="example.local/train:2.4", priority=50, priority_class="train", preemptible=phase != "Pending",
        requested_pods=1 if kind != "distributed" else 4, requested_gpu_milli=gpus * 1000, requested_cpu_milli=8000,
        requested_memory_bytes=32 * GIB, requested_node_pools=["a100"], phase=phase, phase_since=since,
        message=message, running_pods=1 if phase == "Running" else 0, allocated_gpu_milli=allocated * 1000,
        node_pools=["a100"] if allocated else [], created_at=since, updated_at=since,
        reasons=_reasons(message, gpus) if phase == "Pending" else [],
        started_at=since if phase in ("Running", "Completed") else None,
        completed_at=timezone.now() if phase == "Completed" else None,
    )  # fmt: skip
    PhaseChange.objects.create(workload=made, at=since, phase="Creating", message="submitted")
    PhaseChange.objects.create(workload=made, at=since + timedelta(seconds=2), phase=phase, message=message)
    if phase in ("Running", "Initializing", "Failed", "Completed"):
        _pod(scene, made, phase)
    return made


def _spec(kind: str, gpus: int) -> dict[str, Any]:
    command = ["python", "train.py"]
    return {"type": kind, "image": "example.local/train:2.4", "command": command, "compute": {"gpuDevices": gpus}}


def _reasons(message: str, gpus: int) -> list[dict[str, Any]]:
    return [{"code": "OverQuota", "message": message, "nodePool": "a100", "details": {"requested": gpus * 1000}}]


def _pod(scene: Scene, made: Workload, phase: str) -> None:
    pod_phase = {"Initializing": "Pending", "Completed": "Succeeded"}.get(phase, phase)
    pod = Pod.objects.create(
        cluster=scene.cluster, uid=uuid.uuid4(), workload=made, project=made.project, name=f"{made.name}-0-0",
        namespace=made.namespace, phase=pod_phase, node="a100-02" if pod_phase != "Pending" else "a100-01",
        node_pool="a100", simulated=made.name == "resnet-sweep-17", containers=["main"], image=made.image,
        exit_code=1 if phase == "Failed" else None, reason="ErrImagePull" if phase == "Failed" else "",
        message=made.message if phase == "Failed" else "", gpu_milli=made.allocated_gpu_milli,
        gpu_devices=[0, 1, 2, 3][: made.allocated_gpu_milli // 1000], cpu_milli=8000, memory_bytes=32 * GIB,
        created_at=made.created_at, started_at=made.started_at, updated_at=timezone.now(),
    )  # fmt: skip
    for reason, text in (("Scheduled", f"Bound to {pod.node}"), ("Pulled", f"Image {made.image} is present")):
        Event.objects.create(
            cluster=scene.cluster, uid=uuid.uuid4(), workload=made, namespace=made.namespace, kind="Pod", name=pod.name,
            object_uid=pod.uid, type="Normal", reason=reason, message=text,
            first_at=made.created_at, last_at=made.created_at,
        )  # fmt: skip


def _fill(scene: Scene, count: int) -> None:
    now = timezone.now()
    names = list(scene.projects)
    Workload.objects.bulk_create(
        [
            Workload(
                name=f"sweep-{index:05d}", object_name=f"sweep-{index:05d}", type="training",
                project=scene.projects[names[index % len(names)]], cluster=scene.cluster, phase="Completed",
                submitted_by="ci@acme.example", image="example.local/train:2.4", priority_class="train",
                requested_gpu_milli=1000, message="ran 12 min", phase_since=now - timedelta(hours=index),
                created_at=now - timedelta(hours=index), updated_at=now, requested_node_pools=["a100"],
            )
            for index in range(count)
        ],
        batch_size=1000,
    )  # fmt: skip


def measure(scene: Scene, minutes: int = 60) -> None:
    """Samples of an hour, every half minute, with a gap of five minutes."""
    now = datetime.now(UTC)
    make_partitions(now.date())
    subject = str(scene.workloads["clip-train-base"].pk)
    samples = []
    for step in range(minutes * 2):
        at = now - timedelta(seconds=30 * (minutes * 2 - step))
        if 60 <= step < 70:
            continue
        at_ms = round(at.timestamp() * 1000)
        wave = math.sin(step / 9)
        for metric, value in (
            ("GPU_UTILIZATION", 82 + 9 * wave), ("GPU_MEMORY_USAGE_BYTES", (61 + 3 * wave) * GIB),
            ("CPU_USAGE_CORES", 6.5 + wave), ("CPU_MEMORY_USAGE_BYTES", (24 + wave) * GIB),
        ):  # fmt: skip
            samples.append(Sample(metric, "workload", subject, at_ms, value))
        for metric, value in (
            ("ALLOCATED_GPU", 33 + 3 * wave), ("TOTAL_GPU", 48), ("GPU_UTILIZATION", 61 + 12 * wave),
            ("CPU_UTILIZATION", 41 + 6 * wave), ("CPU_MEMORY_UTILIZATION", 35 + 2 * wave),
        ):  # fmt: skip
            samples.append(Sample(metric, "cluster", "", at_ms, value))
    ingest(schema_name=connection.schema_name, cluster_id=scene.cluster.pk, batch=SampleBatch(tuple(samples)))
