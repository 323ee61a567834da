"""Tasks by name, as the worker calls them: with a schema, idempotent, and one tenant's failure stops no other."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from access.services.bootstrap import system_actor
from clusters import tasks as cluster_tasks
from clusters.models import Cluster
from clusters.sweeping import in_each_tenant
from link import models as link_rows
from projects import tasks as project_tasks
from projects.models import Department, Project
from projects.services import delete_project
from runai_cp.lib.errors import NotFound
from runai_cp.schedule import BEAT
from runai_cp.topics import TOPICS
from tests.conftest import Home
from tests.fixtures_rooms import (
    connect,
    documents,
    event_report,
    make_workload,
    node_report,
    pod_report,
    tell,
    workload_report,
)
from workloads import tasks
from workloads.models import Event, Pod, Workload
from workloads.services import delete_workload


def test_every_topic_of_these_rooms_has_its_task(acme: Home, workload: Workload) -> None:
    pod = pod_report(workload.pk)
    tell(workload.cluster, "Node", node_report())
    tell(workload.cluster, "Workload", workload_report(workload, "Running"))
    tell(workload.cluster, "Pod", pod)
    tell(workload.cluster, "Event", event_report(pod.uid))
    known = {
        "clusters.tasks.ingest_inventory": cluster_tasks.ingest_inventory,
        "clusters.tasks.ingest_cluster": cluster_tasks.ingest_cluster,
        "projects.tasks.ingest_projects": project_tasks.ingest_projects,
        "workloads.tasks.ingest_workloads": tasks.ingest_workloads,
        "workloads.tasks.ingest_events": tasks.ingest_events,
    }
    for name in TOPICS.values():
        if name in known:
            known[name](acme.schema_name)
    workload.refresh_from_db()
    assert workload.phase == "Running"
    assert (workload.cluster.nodes.count(), Event.objects.get().workload_id) == (1, workload.pk)


def test_a_task_of_a_tenant_that_is_gone_fails_loudly(db: None) -> None:
    with pytest.raises(NotFound):
        tasks.ingest_workloads("t_nobody")


def test_a_new_clusters_department_is_swept_up(acme: Home, cluster: Cluster) -> None:
    project_tasks.sweep()
    assert Department.objects.get(cluster=cluster).name == "default"


def test_a_leaving_project_is_swept_up(project: Project) -> None:
    workload = make_workload(project)
    delete_project(actor=system_actor(), project=project)
    tasks.sweep()
    assert Project.objects.count() == 0
    assert documents(project.cluster)[f"workload/{workload.pk}"] is None


def test_a_leaving_cluster_is_withdrawn_then_forgotten(acme: Home, workload: Workload) -> None:
    cluster = workload.cluster
    connect(cluster)
    acme.api().delete(f"/api/v1/clusters/{cluster.pk}")
    tasks.withdraw_cluster(acme.schema_name, str(cluster.pk))
    project_tasks.withdraw_cluster(acme.schema_name, str(cluster.pk))
    left = {key for key, body in documents(cluster).items() if body}
    assert not {key for key in left if not key.startswith("accessrule/")}
    cluster_tasks.sweep()
    assert Cluster.objects.filter(pk=cluster.pk).exists()
    assert not any(documents(cluster).values())  # what was left goes last
    last = link_rows.Cluster.objects.get(pk=cluster.pk).last_rev
    link_rows.AgentSession.objects.filter(cluster_id=cluster.pk).update(applied_rev=last)
    Cluster.objects.filter(pk=cluster.pk).update(delete_requested_at=timezone.now() - timedelta(minutes=5))
    cluster_tasks.sweep()
    assert not Cluster.objects.filter(pk=cluster.pk).exists()


def test_old_events_and_deleted_pods_are_pruned(workload: Workload) -> None:
    old, now = timezone.now() - timedelta(days=15), timezone.now()
    for name, when in (("old", old), ("new", now)):
        row = dict(cluster=workload.cluster, namespace="n", created_at=when, updated_at=when, deleted_at=when)
        Pod.objects.create(**row, name=name, uid=workload.pk if name == "old" else workload.cluster_id, phase="Failed")
    tasks.prune()
    assert [pod.name for pod in Pod.objects.all()] == ["new"]


def test_one_failing_tenant_stops_no_other(acme: Home, globex: Home) -> None:
    seen: list[str] = []

    def sweep() -> None:
        seen.append(connection.schema_name)
        if connection.schema_name == acme.schema_name:
            raise RuntimeError("only here")

    assert in_each_tenant(sweep) == 1
    assert {acme.schema_name, globex.schema_name} <= set(seen)


def test_sweeps_may_run_twice(workload: Workload) -> None:
    delete_workload(actor=system_actor(), workload=workload)
    for _ in range(2):
        for task in (tasks.sweep, project_tasks.sweep, cluster_tasks.sweep, tasks.prune):
            task()
    workload.refresh_from_db()
    assert workload.phase == "Deleting"


def test_the_beat_table_wakes_them() -> None:
    names: set[Any] = {entry["task"] for entry in BEAT.values()}
    assert {f"{room}.tasks.sweep" for room in ("clusters", "projects", "workloads")} <= names
