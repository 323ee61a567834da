"""REST of node pools and network topologies: list, count, make, change, remove."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.grants import Actor
from access.roles import Action
from clusters.api import shapes
from clusters.filters import NODE_POOLS, TOPOLOGIES
from clusters.models import Cluster, NetworkTopology, Node, NodePool
from clusters.services.pools import (
    PoolValues,
    create_node_pool,
    delete_node_pool,
    document_key,
    update_node_pool,
)
from clusters.services.topologies import create_topology, delete_topology
from link import services as link
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from tenants.context import current_tenant

Json = dict[str, Any]
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "overProvisioningRatio": (None, 1),
    "gpuNetworkAccelerationDetection": (None, "Auto", "DontUse"),
    "gpuNetworkAccelerationLabelKey": (None, ""),
}
"""Fields of the contract that nothing here would act on → the values that change nothing."""
NO_SWAP: dict[str, tuple[object, ...]] = {
    "swapEnabled": (None, False),
    "nodeLevelSchedulerEnabled": (None, False),
}


class NodePoolsView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW, "POST": Action.NODE_POOL_UPDATE}
    listing = NODE_POOLS

    def get(self, request: Request) -> Response:
        query = NODE_POOLS.parse(request.query_params)
        rows = NodePool.objects.visible_to(self.actor).with_cluster().with_phase()
        page = NODE_POOLS.page(rows, query)
        return Response(page.envelope("nodepools", pool_shapes(list(page.rows))))

    def post(self, request: Request) -> Response:
        data = body(request)
        cluster = visible_cluster(self.actor, data.get("clusterId"))
        name = _text(data, "name") or ""
        values = _values(self.actor, data)
        missing = [key for key in ("labelKey", "labelValue") if not data.get(key)]
        if missing:
            raise Invalid(*(FieldError(key, "is required", data.get(key)) for key in missing))
        made = create_node_pool(actor=self.actor, cluster=cluster, name=name, values=values)
        return Response(pool_shapes([_again(made)])[0], status=201)


class NodePoolsCountView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW}
    listing = NODE_POOLS

    def get(self, request: Request) -> Response:
        rows = NodePool.objects.visible_to(self.actor).with_phase()
        return Response({"count": NODE_POOLS.count(rows, NODE_POOLS.parse(request.query_params))})


class NodePoolView(ApiView):
    """PUT replaces what a pool has (what is not named gets its default), PATCH changes what is named."""

    allow = {
        "GET": Action.NODE_POOL_VIEW,
        "PUT": Action.NODE_POOL_UPDATE,
        "PATCH": Action.NODE_POOL_UPDATE,
        "DELETE": Action.NODE_POOL_UPDATE,
    }
    etag_ignores = frozenset({"status", "phase", "phaseMessage"})

    def get(self, request: Request, node_pool_id: int) -> Response:
        return Response(pool_shapes([pool_of(self.actor, node_pool_id)])[0])

    def put(self, request: Request, node_pool_id: int) -> Response:
        defaults: Json = {"placementStrategy": {"gpu": "binpack", "cpu": "binpack"}, "networkTopologyId": None}
        return self._write(node_pool_id, defaults | body(request))

    def patch(self, request: Request, node_pool_id: int) -> Response:
        return self._write(node_pool_id, body(request))

    def _write(self, node_pool_id: int, data: Json) -> Response:
        pool = pool_of(self.actor, node_pool_id)
        update_node_pool(actor=self.actor, pool=pool, values=_values(self.actor, data))
        return Response(pool_shapes([_again(pool)])[0])

    def delete(self, request: Request, node_pool_id: int) -> Response:
        delete_node_pool(actor=self.actor, pool=pool_of(self.actor, node_pool_id))
        return Response({"code": 202, "message": "Request has been accepted."}, status=202)


class TopologiesView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW, "POST": Action.NODE_POOL_UPDATE}
    listing = TOPOLOGIES

    def get(self, request: Request) -> Response:
        rows = NetworkTopology.objects.visible_to(self.actor).listed()
        query = TOPOLOGIES.with_limit(TOPOLOGIES.parse(request.query_params), TOPOLOGIES.max_limit)
        tenant_id = current_tenant().pk
        found = [shapes.topology(row, tenant_id) for row in TOPOLOGIES.page(rows, query).rows]
        return Response({"networkTopologies": found})

    def post(self, request: Request) -> Response:
        data = body(request)
        cluster = visible_cluster(self.actor, data.get("clusterId"))
        levels = data.get("levels")
        if not isinstance(levels, list) or not all(isinstance(level, str) for level in levels):
            raise Invalid(FieldError("levels", "must be a list of label keys", levels))
        made = create_topology(actor=self.actor, cluster=cluster, name=_text(data, "name") or "", levels=tuple(levels))
        row = NetworkTopology.objects.all().listed().get(pk=made.pk)
        return Response(shapes.topology(row, current_tenant().pk), status=201)


class TopologiesCountView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW}
    listing = TOPOLOGIES

    def get(self, request: Request) -> Response:
        rows = NetworkTopology.objects.visible_to(self.actor).listed()
        return Response({"count": TOPOLOGIES.count(rows, TOPOLOGIES.parse(request.query_params))})


class TopologyView(ApiView):
    allow = {"GET": Action.NODE_POOL_VIEW, "DELETE": Action.NODE_POOL_UPDATE}

    def get(self, request: Request, topology_id: UUID) -> Response:
        return Response(shapes.topology(self._row(topology_id), current_tenant().pk))

    def delete(self, request: Request, topology_id: UUID) -> Response:
        delete_topology(actor=self.actor, topology=self._row(topology_id))
        return Response(status=204)

    def _row(self, topology_id: UUID) -> NetworkTopology:
        row = NetworkTopology.objects.visible_to(self.actor).listed().filter(pk=topology_id).first()
        if row is None:
            raise NotFound()
        return row  # type: ignore[no-any-return]


def pool_of(actor: Actor, node_pool_id: int) -> NodePool:
    """A pool the actor may see. Raises ``NotFound``."""
    rows = NodePool.objects.visible_to(actor).with_cluster().with_phase()
    row = rows.filter(pk=node_pool_id).first() if node_pool_id < 2**31 else None
    if row is None:
        raise NotFound()
    return row  # type: ignore[no-any-return]


def visible_cluster(actor: Actor, value: object) -> Cluster:
    """The cluster that a body names. Raises ``Invalid``."""
    try:
        found = Cluster.objects.visible_to(actor).with_name().filter(pk=UUID(str(value))).first()
    except ValueError:
        found = None
    if found is None:
        raise Invalid(FieldError("clusterId", "must be the uuid of a cluster that you can see", value))
    return found  # type: ignore[no-any-return]


def _again(pool: NodePool) -> NodePool:
    return NodePool.objects.all().with_cluster().with_phase().get(pk=pool.pk)  # type: ignore[no-any-return]


def _values(actor: Actor, data: Json) -> PoolValues:
    """The fields of a body. Raises ``Invalid`` for what is not text, and for settings that nothing here acts on."""
    _refuse_unsupported(data)
    scheduling = _object(data, "schedulingConfiguration")
    placement = _object(data, "placementStrategy") | {
        key: value for key, value in _object(scheduling, "placementStrategy").items() if value is not None
    }
    topology = _topology(actor, data.get("networkTopologyId"))
    return PoolValues(
        label_key=_text(data, "labelKey"),
        label_value=_text(data, "labelValue"),
        placement_gpu=_text(placement, "gpu"),
        placement_cpu=_text(placement, "cpu"),
        topology=topology,
        clear_topology="networkTopologyId" in data and topology is None,
    )


def _topology(actor: Actor, value: object) -> NetworkTopology | None:
    if value is None:
        return None
    try:
        found = NetworkTopology.objects.visible_to(actor).filter(pk=UUID(str(value))).first()
    except ValueError:
        found = None
    if found is None:
        raise Invalid(FieldError("networkTopologyId", "must be the id of a network topology of the cluster", value))
    return found  # type: ignore[no-any-return]


def _refuse_unsupported(data: Json) -> None:
    """What nobody would act on must not look accepted."""
    optimization = _object(data, "gpuResourceOptimization")
    scheduling = _object(data, "schedulingConfiguration")
    given = [
        *((name, data.get(name), allowed) for name, allowed in UNSUPPORTED.items()),
        *((f"gpuResourceOptimization.{name}", optimization.get(name), allowed) for name, allowed in NO_SWAP.items()),
        ("schedulingConfiguration.minGuaranteedRuntime", scheduling.get("minGuaranteedRuntime"), (None, "", "0")),
    ]
    errors = [
        FieldError(name, "is not supported by this release: leave it out", value, [item for item in allowed if item])
        for name, value, allowed in given
        if value not in allowed
    ]
    if errors:
        raise Invalid(*errors)


def _object(data: Json, name: str) -> Json:
    value = data.get(name)
    if value is not None and not isinstance(value, dict):
        raise Invalid(FieldError(name, "must be an object", value))
    return dict(value or {})


def _text(data: Json, name: str) -> str | None:
    value = data.get(name)
    if not isinstance(value, (str, type(None))):
        raise Invalid(FieldError(name, "must be text", value))
    return value


def pool_shapes(rows: list[NodePool]) -> list[Json]:
    """Pools with the names of their nodes and the state of their documents: two queries, one more a cluster."""
    names: dict[tuple[UUID, str], list[str]] = {}
    clusters = {row.cluster_id for row in rows}
    nodes = Node.objects.filter(cluster_id__in=clusters).order_by("name")
    for cluster_id, pool, name in nodes.values_list("cluster_id", "node_pool", "name"):
        names.setdefault((cluster_id, pool), []).append(name)
    keys = [document_key(row) for row in rows]
    documents = link.desired_over_clusters(cluster_ids=clusters, keys=keys) if len(clusters) > 1 else {}
    if len(clusters) == 1:
        documents = {
            key: [status] for key, status in link.desired_status(cluster_id=next(iter(clusters)), keys=keys).items()
        }
    tenant_id = current_tenant().pk
    return [
        shapes.node_pool(
            row, names.get((row.cluster_id, row.name), []), documents.get(document_key(row), []), tenant_id
        )
        for row in rows
    ]
