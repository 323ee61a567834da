"""Alarm clocks of the clusters room: each enters a tenant's schema and calls one service; any may be lost."""

from celery import shared_task

from clusters.reports import drain
from clusters.services.clusters import finish_deletions
from clusters.services.inventory import apply_clusters, apply_nodes
from clusters.sweeping import in_each_tenant
from tenants.context import in_tenant


@shared_task(name="clusters.tasks.ingest_inventory")
def ingest_inventory(schema_name: str) -> None:
    with in_tenant(schema_name):
        drain("inventory", apply_nodes)


@shared_task(name="clusters.tasks.ingest_cluster")
def ingest_cluster(schema_name: str) -> None:
    with in_tenant(schema_name):
        drain("cluster", apply_clusters)


@shared_task(name="clusters.tasks.forget_clusters")
def forget_clusters(schema_name: str) -> None:
    with in_tenant(schema_name):
        finish_deletions()


@shared_task(name="clusters.tasks.sweep")
def sweep() -> None:
    """Repeats what a lost message would have done: clusters that are leaving."""
    in_each_tenant(finish_deletions)
