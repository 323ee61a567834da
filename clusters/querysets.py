"""Reads of the clusters room; every list begins with ``visible_to(actor)``."""

from typing import ClassVar

from django.db.models import Count, Q, Sum

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
        return self.select_related("cluster__scope")


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
