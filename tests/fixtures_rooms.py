"""A tenant with a cluster and a project in it, reports as an agent would send them, and the public contract."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from access.grants import Actor
from access.services.bootstrap import system_actor
from agent.wire import codec
from agent.wire.reports import STATE_KINDS, EventReport, NodeReport, PodReport, WorkloadReport
from clusters.models import Cluster
from clusters.reports import drain
from clusters.services import CreateCluster, create_cluster
from clusters.services.inventory import apply_clusters, apply_nodes
from link import models as link_rows
from projects.models import Project
from projects.services import CreateProject, create_project
from projects.services.reports import apply_projects
from workloads.models import Workload
from workloads.services.ingest import apply_reports
from workloads.services.pods import apply_events
from workloads.services.submit import submit_workload
from workloads.specs.request import SubmitRequest

CONTRACT = Path(__file__).resolve().parents[2] / "shared" / "contract" / "validate.py"
APPLY = {
    "inventory": apply_nodes,
    "cluster": apply_clusters,
    "projects": apply_projects,
    "workloads": apply_reports,
    "events": apply_events,
}
_seq = itertools.count(1)
WHEN = "2026-01-02T03:04:05Z"


def make_cluster(name: str = "alpha", actor: Actor | None = None) -> Cluster:
    return create_cluster(actor=actor or system_actor(), request=CreateCluster(name))


def make_project(cluster: Cluster, name: str = "team-a", actor: Actor | None = None, **more: Any) -> Project:
    return create_project(actor=actor or system_actor(), request=CreateProject(name, cluster, **more))


def make_workload(project: Project, name: str = "train", actor: Actor | None = None, **more: Any) -> Workload:
    request = SubmitRequest(name=name, project_id=str(project.pk), image="example.local/busybox:1", **more)
    return submit_workload(actor=actor or system_actor(), request=request)


def connect(cluster: Cluster) -> None:
    """As if an agent had enrolled and were polling."""
    now = timezone.now()
    link_rows.Cluster.objects.filter(pk=cluster.pk).update(state="enrolled", enrolled_at=now)
    link_rows.Liveness.objects.update_or_create(cluster_id=cluster.pk, defaults={"last_seen": now})


def tell(cluster: Cluster, kind: str, report: Any = None, *, uid: str = "", seq: int | None = None) -> None:
    """Put one report of the agent into the inbox; without a report it is a deletion. Call ``take`` afterwards."""
    link_rows.Inbox.objects.create(
        schema_name=connection.schema_name,
        topic=STATE_KINDS[kind],
        cluster_id=cluster.pk,
        kind=kind,
        uid=uid or getattr(report, "uid", "") or kind,
        op="upsert" if report is not None else "delete",
        body=codec.to_dict(report) if report is not None else None,
        report_seq=next(_seq) if seq is None else seq,
    )


def take(topic: str) -> int:
    """Apply the inbox of a topic in the current tenant, as its task does."""
    return drain(topic, APPLY[topic])


def workload_report(workload: Workload, phase: str, **more: Any) -> WorkloadReport:
    """What the operator says of a workload of ours."""
    values: dict[str, Any] = {
        "id": str(workload.pk),
        "name": workload.object_name,
        "namespace": workload.project.namespace,
        "uid": str(workload.object_uid or uuid4()),
        "created_at": WHEN,
        "generation": 1,
        "observed_generation": 1,
        "spec": {**workload.spec},
        "phase": phase,
        "message": f"it is {phase}",
        "managed": True,
    }
    return WorkloadReport(**{**values, **more})


def kubectl_report(name: str = "by-hand", namespace: str = "runai-team-a", **more: Any) -> WorkloadReport:
    """What the operator says of a workload that somebody applied."""
    uid = str(uuid4())
    values: dict[str, Any] = {
        "id": uid,
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "created_at": WHEN,
        "generation": 1,
        "observed_generation": 1,
        "spec": {"type": "training", "image": "example.local/busybox:1", "compute": {"gpuDevices": 2}},
        "phase": "Pending",
        "message": "waits",
    }
    return WorkloadReport(**{**values, **more})


def pod_report(workload_id: object, namespace: str = "runai-team-a", **more: Any) -> PodReport:
    values: dict[str, Any] = {
        "name": "train-0",
        "namespace": namespace,
        "uid": str(uuid4()),
        "workload_id": str(workload_id),
        "created_at": WHEN,
        "phase": "Running",
        "containers": ("main",),
        "image": "example.local/busybox:1",
        "node": "node-1",
        "node_pool": "default",
    }
    return PodReport(**{**values, **more})


def event_report(object_uid: object, namespace: str = "runai-team-a", **more: Any) -> EventReport:
    values: dict[str, Any] = {
        "uid": str(uuid4()),
        "namespace": namespace,
        "kind": "Pod",
        "name": "train-0",
        "object_uid": str(object_uid),
        "type": "Normal",
        "reason": "Scheduled",
        "message": "assigned",
        "count": 1,
        "first_at": WHEN,
        "last_at": WHEN,
    }
    return EventReport(**{**values, **more})


def node_report(name: str = "node-1", **more: Any) -> NodeReport:
    values: dict[str, Any] = {
        "name": name,
        "uid": str(uuid4()),
        "node_pool": "default",
        "status": "Ready",
        "created_at": WHEN,
        "gpu_count": 8,
        "gpu_allocatable_milli": 8000,
        "gpu_type": "NVIDIA-A100",
    }
    return NodeReport(**{**values, **more})


def documents(cluster: Cluster) -> dict[str, dict[str, Any] | None]:
    """What the cluster is owed by key; None for a document that was taken back."""
    rows = link_rows.Desired.objects.filter(cluster_id=cluster.pk)
    return {row.key: row.body if row.deleted_at is None else None for row in rows}


def commands(cluster: Cluster) -> list[tuple[str, dict[str, Any]]]:
    rows = link_rows.Command.objects.filter(cluster_id=cluster.pk).order_by("seq")
    return [(row.kind, row.body) for row in rows]


@pytest.fixture
def cluster(acme: Any) -> Cluster:
    return make_cluster()


@pytest.fixture
def project(cluster: Cluster) -> Project:
    return make_project(cluster)


@pytest.fixture
def workload(project: Project) -> Workload:
    return make_workload(project)


@pytest.fixture(scope="session")
def contract() -> Callable[..., None]:
    """``contract(method, template, answer)`` fails with every mismatch; skips where the contract is not at hand."""
    if not CONTRACT.exists():
        pytest.skip("the public contract is not beside the repository")
    spec = importlib.util.spec_from_file_location("contract_validate", CONTRACT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = module.Contract()

    def check(method: str, template: str, answer: Any) -> None:
        body = answer.json() if answer.content else None
        assert known.response_errors(method, template, answer.status_code, body) == []

    return check
