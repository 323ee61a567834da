"""Alarm clocks of the projects room: each enters a tenant's schema and calls one service; any may be lost."""

from uuid import UUID

from celery import shared_task
from django.db import transaction

from clusters.models import Cluster
from clusters.reports import drain
from clusters.sweeping import in_each_tenant
from projects.services import reports
from projects.services.republish import republish as republish_units
from tenants.context import in_tenant


@shared_task(name="projects.tasks.ingest_projects")
def ingest_projects(schema_name: str) -> None:
    with in_tenant(schema_name):
        drain("projects", reports.apply_projects)


@shared_task(name="projects.tasks.open_cluster")
def open_cluster(schema_name: str, cluster_id: str) -> None:
    with in_tenant(schema_name), transaction.atomic():
        for cluster in _cluster(cluster_id):
            reports.open_cluster(cluster)


@shared_task(name="projects.tasks.add_node_pools")
def add_node_pools(schema_name: str, cluster_id: str) -> None:
    with in_tenant(schema_name), transaction.atomic():
        for cluster in _cluster(cluster_id):
            reports.add_node_pools(cluster)


@shared_task(name="projects.tasks.close_node_pools")
def close_node_pools(schema_name: str, cluster_id: str) -> None:
    with in_tenant(schema_name), transaction.atomic():
        for cluster in _cluster(cluster_id):
            reports.close_node_pools(cluster)


@shared_task(name="projects.tasks.withdraw_cluster")
def withdraw_cluster(schema_name: str, cluster_id: str) -> None:
    with in_tenant(schema_name), transaction.atomic():
        for cluster in _cluster(cluster_id):
            reports.withdraw_cluster(cluster)


@shared_task(name="projects.tasks.sweep")
def sweep() -> None:
    """Repeats what a lost message would have done: default departments, and quotas in new node pools."""
    in_each_tenant(_sweep)


@shared_task(name="projects.tasks.republish")
def republish() -> None:
    """Brings documents up to what this release makes of the rows; equal ones make no news."""
    in_each_tenant(republish_units)


def _sweep() -> None:
    for cluster in Cluster.objects.present().select_related("scope"):
        with transaction.atomic():
            reports.open_cluster(cluster)
            reports.add_node_pools(cluster)
            reports.close_node_pools(cluster)


def _cluster(cluster_id: str) -> list[Cluster]:
    return list(Cluster.objects.filter(pk=UUID(cluster_id)).select_related("scope"))
