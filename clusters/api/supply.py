"""REST of nodes and node pools."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from clusters.api import shapes
from clusters.api.clusters import cluster_of
from clusters.filters import NODE_POOLS, NODES
from clusters.models import Node, NodePool
from clusters.querysets import NodeQuerySet
from runai_cp.lib.errors import NotFound
from tenants.context import current_tenant


class NodesView(ApiView):
    """Of the tenant, or of one cluster where the route names it."""

    allow = {"GET": Action.NODE_VIEW}

    def get(self, request: Request, cluster_uuid: UUID | None = None) -> Response:
        page = NODES.page(self.rows(request, cluster_uuid), NODES.parse(request.query_params))
        return Response({"nodes": [shapes.node(row) for row in page.rows]})

    def rows(self, request: Request, cluster_uuid: UUID | None) -> NodeQuerySet:
        rows: NodeQuerySet = Node.objects.visible_to(self.actor)
        if cluster_uuid is not None:
            rows = rows.filter(cluster=cluster_of(self.actor, cluster_uuid))
        name = request.query_params.get("nodeName")
        return rows.filter(name=name) if name else rows


class NodesCountView(NodesView):
    def get(self, request: Request, cluster_uuid: UUID | None = None) -> Response:
        return Response({"count": NODES.count(self.rows(request, cluster_uuid), NODES.parse(request.query_params))})


class NodePoolsView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW}

    def get(self, request: Request) -> Response:
        query = NODE_POOLS.parse(request.query_params)
        rows = list(NODE_POOLS.page(NodePool.objects.visible_to(self.actor).with_cluster(), query).rows)
        return Response({"nodepools": _shapes(rows)})


class NodePoolsCountView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW}

    def get(self, request: Request) -> Response:
        rows = NodePool.objects.visible_to(self.actor)
        return Response({"count": NODE_POOLS.count(rows, NODE_POOLS.parse(request.query_params))})


class NodePoolView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW}

    def get(self, request: Request, node_pool_id: int) -> Response:
        row = NodePool.objects.visible_to(self.actor).with_cluster().filter(pk=node_pool_id).first()
        if row is None:
            raise NotFound()
        return Response(_shapes([row])[0])


def _shapes(rows: list[NodePool]) -> list[shapes.Json]:
    """Pools with the names of their nodes: one query for all of them."""
    names: dict[tuple[UUID, str], list[str]] = {}
    ready: dict[tuple[UUID, str], int] = {}
    nodes = Node.objects.filter(cluster_id__in={row.cluster_id for row in rows}).order_by("name")
    for cluster_id, pool, name, status in nodes.values_list("cluster_id", "node_pool", "name", "status"):
        names.setdefault((cluster_id, pool), []).append(name)
        ready[(cluster_id, pool)] = ready.get((cluster_id, pool), 0) + (status == "Ready")
    tenant_id = current_tenant().pk
    return [
        shapes.node_pool(
            row, names.get((row.cluster_id, row.name), []), ready.get((row.cluster_id, row.name), 0), tenant_id
        )
        for row in rows
    ]
