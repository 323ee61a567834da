"""Reads of the clusters room; every list begins with ``visible_to(actor)``."""

from typing import ClassVar

from django.apps import apps
from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, Sum, Value, When

from access.querysets import ScopedQuerySet
from access.roles import Action


class ClusterQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "scope__path"
    VIEW: ClassVar[Action] = Action.CLUSTER_VIEW
    VISIBLE_FROM_BELOW: ClassVar[bool] = True

    def with_name(self) -> "ClusterQuerySet":
        return self.select_related("scope")

    def present(self) -> "ClusterQuerySet":
        """Without those whose deletion was asked for."""
        return self.filter(delete_requested_at=None)

    def with_supply(self) -> "ClusterQuerySet":
        """Adds ``node_count``, ``gpu_allocatable_milli`` and ``gpu_allocated_milli``: one grouped query."""
        return self.annotate(
            node_count=Count("nodes"),
            gpu_allocatable_milli=Sum("nodes__gpu_allocatable_milli", default=0),
            gpu_allocated_milli=Sum("nodes__gpu_allocated_milli", default=0),
        )


class NodeQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "cluster__scope__path"
    VIEW: ClassVar[Action] = Action.NODE_VIEW

    def with_cluster(self) -> "NodeQuerySet":
        return self.select_related("cluster__scope")


class NodePoolQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "cluster__scope__path"
    VIEW: ClassVar[Action] = Action.NODE_POOL_VIEW
    VISIBLE_FROM_BELOW: ClassVar[bool] = True

    def with_cluster(self) -> "NodePoolQuerySet":
        return self.select_related("cluster__scope", "network_topology")

    def present(self) -> "NodePoolQuerySet":
        """Without those that are being deleted."""
        return self.filter(delete_requested_at=None)

    def with_phase(self) -> "NodePoolQuerySet":
        """Adds ``phase``: Deleting, Empty (no node), Ready (a node that takes work) or Unschedulable."""
        nodes = apps.get_model("clusters", "Node").objects.filter(
            cluster_id=OuterRef("cluster_id"), node_pool=OuterRef("name")
        )
        ready = nodes.filter(status="Ready", unschedulable=False)
        return self.annotate(
            phase=Case(
                When(delete_requested_at__isnull=False, then=Value("Deleting")),
                When(~Exists(nodes), then=Value("Empty")),
                When(Exists(ready), then=Value("Ready")),
                default=Value("Unschedulable"),
                output_field=CharField(),
            )
        )


class NetworkTopologyQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "cluster__scope__path"
    VIEW: ClassVar[Action] = Action.NODE_POOL_VIEW
    VISIBLE_FROM_BELOW: ClassVar[bool] = True

    def listed(self) -> "NetworkTopologyQuerySet":
        """With names, and the two columns that every row of ours shares: ``source`` and ``phase``."""
        return (
            self.select_related("cluster__scope")
            .prefetch_related("node_pools")
            .annotate(source=Value("Cluster", output_field=CharField()), phase=Value("Ready", output_field=CharField()))
        )


def pool_supply(nodes: NodeQuerySet) -> dict[tuple[object, str], dict[str, int]]:
    """``(cluster id, pool name)`` → nodes, ready nodes and milli-GPU, in one grouped query."""
    rows = (
        nodes.order_by()
        .values("cluster_id", "node_pool")
        .annotate(
            nodes=Count("id"),
            ready=Count("id", filter=Q(status="Ready", unschedulable=False)),
            gpu_allocatable_milli=Sum("gpu_allocatable_milli"),
            gpu_allocated_milli=Sum("gpu_allocated_milli"),
        )
    )
    return {(row.pop("cluster_id"), row.pop("node_pool")): row for row in rows}
