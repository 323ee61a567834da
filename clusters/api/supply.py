"""REST of nodes."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from clusters.api import shapes
from clusters.api.clusters import cluster_of
from clusters.filters import NODES
from clusters.models import Node
from clusters.querysets import NodeQuerySet


class NodesView(ApiView):
    """Of the tenant, or of one cluster where the route names it."""

    allow = {"GET": Action.NODE_VIEW}
    listing = NODES

    def get(self, request: Request, cluster_uuid: UUID | None = None) -> Response:
        page = NODES.page(self.rows(request, cluster_uuid), NODES.parse(request.query_params))
        return Response(page.envelope("nodes", [shapes.node(row) for row in page.rows]))

    def rows(self, request: Request, cluster_uuid: UUID | None) -> NodeQuerySet:
        rows: NodeQuerySet = Node.objects.visible_to(self.actor)
        if cluster_uuid is not None:
            rows = rows.filter(cluster=cluster_of(self.actor, cluster_uuid))
        name = request.query_params.get("nodeName")
        return rows.filter(name=name) if name else rows


class NodesCountView(NodesView):
    def get(self, request: Request, cluster_uuid: UUID | None = None) -> Response:
        return Response({"count": NODES.count(self.rows(request, cluster_uuid), NODES.parse(request.query_params))})
