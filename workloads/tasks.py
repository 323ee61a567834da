"""Alarm clocks of the workloads room: each enters a tenant's schema and calls one service; any may be lost."""

from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from clusters.models import Cluster
from clusters.reports import drain
from clusters.sweeping import in_each_tenant
from projects.models import Project
from tenants.context import in_tenant
from workloads.models import Event, LogStream, Pod
from workloads.services.commands import settle_acts
from workloads.services.ingest import apply_reports
from workloads.services.lifecycle import finish_deletions
from workloads.services.lifecycle import withdraw_cluster as withdraw_workloads_of_cluster
from workloads.services.lifecycle import withdraw_project as withdraw_workloads_of_project
from workloads.services.pods import apply_events

KEPT = timedelta(days=14)


@shared_task(name="workloads.tasks.ingest_workloads")
def ingest_workloads(schema_name: str) -> None:
    with in_tenant(schema_name):
        drain("workloads", apply_reports)


@shared_task(name="workloads.tasks.ingest_events")
def ingest_events(schema_name: str) -> None:
    with in_tenant(schema_name):
        drain("events", apply_events)


@shared_task(name="workloads.tasks.withdraw_project")
def withdraw_project(schema_name: str, project_id: int) -> None:
    with in_tenant(schema_name):
        for project in Project.objects.filter(pk=project_id).with_names():
            withdraw_workloads_of_project(project)


@shared_task(name="workloads.tasks.withdraw_cluster")
def withdraw_cluster(schema_name: str, cluster_id: str) -> None:
    with in_tenant(schema_name):
        for cluster in Cluster.objects.filter(pk=UUID(cluster_id)):
            withdraw_workloads_of_cluster(cluster)


@shared_task(name="workloads.tasks.sweep")
def sweep() -> None:
    """Repeats what a lost message would have done: ended deletions and acts, projects that wait for workloads."""
    in_each_tenant(_sweep)


def _sweep() -> None:
    finish_deletions()
    settle_acts()
    for project in Project.objects.filter(delete_requested_at__isnull=False).with_names():
        withdraw_workloads_of_project(project)


@shared_task(name="workloads.tasks.prune")
def prune() -> None:
    """Drop events, deleted pods and forgotten log streams after ``KEPT``."""
    in_each_tenant(_prune)


def _prune() -> None:
    before = timezone.now() - KEPT
    Event.objects.filter(last_at__lt=before).delete()
    Pod.objects.filter(deleted_at__lt=before).delete()
    LogStream.objects.filter(opened_at__lt=before).delete()
