"""Node pools: made from a label, changed, and closed once no node and no quota is left in them.

The row is the fact; the document ``nodepool/<name>`` is its copy in the cluster, where the operator labels the nodes.
"""

from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from agent.wire import codec
from agent.wire.objects import GROUP_VERSION, NodePoolSpec
from clusters.models import Cluster, NetworkTopology, Node, NodePool
from clusters.pools import (
    MAX_POOLS,
    Selector,
    is_own_label,
    label_errors,
    name_errors,
    overlaps,
    placement_errors,
)
from clusters.services.clusters import not_leaving
from link import services as link
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.nudge import nudge

FIELDS = {"label_key": "labelKey", "label_value": "labelValue", "placement_gpu": "gpu", "placement_cpu": "cpu"}


@dataclass(frozen=True, slots=True)
class PoolValues:
    """What a person may set on a pool; None leaves a field as it is (on creation: the default)."""

    label_key: str | None = None
    label_value: str | None = None
    placement_gpu: str | None = None
    placement_cpu: str | None = None
    topology: NetworkTopology | None = None
    clear_topology: bool = False


@transaction.atomic
def create_node_pool(*, actor: Actor, cluster: Cluster, name: str, values: PoolValues) -> NodePool:
    """A pool, its document, and soon a quota of nothing in it for everybody. Raises ``Invalid``, ``Conflict``."""
    require(actor, Action.NODE_POOL_UPDATE, cluster.scope)
    not_leaving(cluster)
    _lock(cluster)
    errors = name_errors(name)
    if errors:
        raise Invalid(*errors)
    if NodePool.objects.filter(cluster=cluster, name=name).exists():
        raise Conflict(f"A node pool named {name!r} exists already in the cluster {cluster.name}.")
    if NodePool.objects.filter(cluster=cluster).count() >= MAX_POOLS:
        raise Conflict(f"The cluster {cluster.name} has {MAX_POOLS} node pools, as many as are allowed.")
    pool = NodePool(cluster=cluster, name=name, label_key="", created_by=actor.name, updated_by=actor.name)
    _fill(pool, values)
    pool.save()
    _record(actor, "create", pool, after=facts(pool))
    publish_node_pool(pool)
    nudge("projects.tasks.add_node_pools", connection.schema_name, str(cluster.pk))
    return pool


@transaction.atomic
def update_node_pool(*, actor: Actor, pool: NodePool, values: PoolValues) -> NodePool:
    """Raises ``Invalid``, ``Conflict``. The label of the pool ``default`` stays; its placement may change."""
    require(actor, Action.NODE_POOL_UPDATE, pool.cluster.scope)
    not_leaving(pool.cluster)
    _lock(pool.cluster)
    pool.refresh_from_db(fields=[*FIELDS, "network_topology", "delete_requested_at"])
    if pool.delete_requested_at is not None:
        raise Conflict(f"The node pool {pool.name} is being deleted.")
    before = facts(pool)
    _fill(pool, values)
    if facts(pool) != before:
        pool.updated_by = actor.name
        pool.save()
        _record(actor, "update", pool, before=before, after=facts(pool))
    publish_node_pool(pool)
    return pool


@transaction.atomic
def delete_node_pool(*, actor: Actor, pool: NodePool) -> None:
    """Ask for the end of a pool. Its document goes now, so that its nodes go back to the pool ``default``; its quotas
    and its row go when no node is in it any more (``projects`` does that). Safe to repeat. Raises ``Conflict``.
    """
    require(actor, Action.NODE_POOL_UPDATE, pool.cluster.scope)
    not_leaving(pool.cluster)
    if pool.is_default:
        raise Conflict("The node pool default cannot be deleted: it holds the nodes of no other pool.")
    names = list(nodes_of(pool).order_by("name").values_list("name", flat=True)[:6])
    if names and is_own_label(pool.label_key):
        raise Conflict(
            f"Nodes carry the label {pool.label_key}={pool.label_value} ({', '.join(names[:5])}): "
            "remove it from them first, or they will make the node pool again."
        )
    if pool.delete_requested_at is None:
        _record(actor, "delete", pool, before=facts(pool))
        NodePool.objects.filter(pk=pool.pk).update(delete_requested_at=timezone.now(), updated_by=actor.name)
    link.delete_desired(cluster_id=pool.cluster_id, key=document_key(pool))
    nudge("projects.tasks.close_node_pools", connection.schema_name, str(pool.cluster_id))


def nodes_of(pool: NodePool) -> object:
    return Node.objects.filter(cluster_id=pool.cluster_id, node_pool=pool.name)


def publish_node_pool(pool: NodePool) -> None:
    """Put the document. An equal one costs nothing."""
    spec = NodePoolSpec(
        id=str(pool.pk),
        label_key=pool.label_key,
        label_value=pool.label_value,
        placement_gpu=pool.placement_gpu,
        placement_cpu=pool.placement_cpu,
    )
    body = {
        "apiVersion": GROUP_VERSION,
        "kind": "NodePool",
        "metadata": {"name": pool.name},
        "spec": codec.to_dict(spec),
    }
    link.put_desired(cluster_id=pool.cluster_id, key=document_key(pool), body=body)


def document_key(pool: NodePool) -> str:
    return f"nodepool/{pool.name}"


def facts(pool: NodePool) -> dict[str, object]:
    return {
        "name": pool.name,
        "labelKey": pool.label_key,
        "labelValue": pool.label_value,
        "placementStrategy": {"gpu": pool.placement_gpu, "cpu": pool.placement_cpu},
        "networkTopology": pool.network_topology.name if pool.network_topology else None,
    }


def _fill(pool: NodePool, values: PoolValues) -> None:
    """Set what was given and check the whole. Raises ``Invalid`` with every problem."""
    before = (pool.label_key, pool.label_value)
    for name in FIELDS:
        given = getattr(values, name)
        if given is not None:
            setattr(pool, name, given)
    if values.topology is not None or values.clear_topology:
        pool.network_topology = values.topology
    errors = [
        *placement_errors("placementStrategy.gpu", pool.placement_gpu),
        *placement_errors("placementStrategy.cpu", pool.placement_cpu),
    ]
    if (pool.label_key, pool.label_value) != before:
        errors += _label_errors(pool)
    if pool.network_topology is not None and pool.network_topology.cluster_id != pool.cluster_id:
        errors.append(FieldError("networkTopologyId", "must be a topology of the same cluster"))
    if errors:
        raise Invalid(*errors)


def _label_errors(pool: NodePool) -> list[FieldError]:
    if pool.is_default:
        message = "of the node pool default cannot be changed: it holds the nodes of no other pool"
        return [FieldError("labelKey", message, f"{pool.label_key}={pool.label_value}")]
    errors = label_errors(pool.label_key, pool.label_value)
    if not errors and is_own_label(pool.label_key) and pool.label_value != pool.name:
        message = f"must be the pool's name with the label {pool.label_key}, which names pools"
        errors.append(FieldError("labelValue", message, pool.label_value, pool.name))
    if errors:
        return errors
    rows = NodePool.objects.filter(cluster_id=pool.cluster_id).values_list("name", "label_key", "label_value")
    nodes = Node.objects.filter(
        cluster_id=pool.cluster_id, labels__contains={pool.label_key: pool.label_value}
    ).values_list("name", "labels")
    wanted = Selector(pool.name, pool.label_key, pool.label_value)
    return overlaps(wanted, [Selector(*row) for row in rows], nodes)


def _lock(cluster: Cluster) -> None:
    """Two administrators take turns: what overlaps is decided against what is there."""
    Cluster.objects.select_for_update(of=("self",)).get(pk=cluster.pk)


def _record(actor: Actor, action: str, pool: NodePool, **values: object) -> None:
    record(
        actor=actor,
        action=action,
        entity_type="node-pool",
        entity_id=pool.pk,
        entity_name=pool.name,
        scope_path=pool.cluster.scope.path,
        **values,
    )
