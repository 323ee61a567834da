"""Network topologies: which node labels say where a node stands in the network, from the widest level down."""

import re

from django.db import IntegrityError, transaction

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from clusters.models import Cluster, NetworkTopology
from clusters.pools import label_errors
from clusters.services.clusters import not_leaving
from link import services as link
from runai_cp.lib.errors import Conflict, FieldError, Invalid

NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
MAX_LEVELS = 16


@transaction.atomic
def create_topology(*, actor: Actor, cluster: Cluster, name: str, levels: tuple[str, ...]) -> NetworkTopology:
    """Raises ``Invalid`` naming the level, ``Conflict`` for a name that is taken."""
    require(actor, Action.NODE_POOL_UPDATE, cluster.scope)
    not_leaving(cluster)
    errors = []
    if not NAME.fullmatch(name):
        errors.append(FieldError("name", "must have 1 to 63 lower-case letters, digits and dashes", name))
    if not 1 <= len(levels) <= MAX_LEVELS or len(set(levels)) != len(levels):
        errors.append(FieldError("levels", f"must be 1 to {MAX_LEVELS} different label keys", list(levels)))
    errors += [
        FieldError(f"levels[{index}]", problem.message, level)
        for index, level in enumerate(levels)
        for problem in label_errors(level, "x")
    ]
    if errors:
        raise Invalid(*errors)
    try:
        with transaction.atomic():
            row = NetworkTopology.objects.create(cluster=cluster, name=name, levels=list(levels), created_by=actor.name)
    except IntegrityError as error:
        raise Conflict(f"A network topology named {name!r} exists already in the cluster {cluster.name}.") from error
    _record(actor, "create", row, after={"name": name, "levels": list(levels)})
    link.put_desired(cluster_id=cluster.pk, key=document_key(row), body=_manifest(row))
    return row


@transaction.atomic
def delete_topology(*, actor: Actor, topology: NetworkTopology) -> None:
    """Raises ``Conflict`` while a node pool refers to it."""
    require(actor, Action.NODE_POOL_UPDATE, topology.cluster.scope)
    not_leaving(topology.cluster)
    pools = list(topology.node_pools.order_by("name").values_list("name", flat=True))
    if pools:
        raise Conflict(f"The network topology {topology.name} belongs to the node pools {', '.join(pools)}.")
    _record(actor, "delete", topology, before={"name": topology.name, "levels": topology.levels})
    link.delete_desired(cluster_id=topology.cluster_id, key=document_key(topology))
    topology.delete()


def document_key(topology: NetworkTopology) -> str:
    return f"topology/{topology.name}"


def _manifest(row: NetworkTopology) -> dict[str, object]:
    return {
        "apiVersion": "kai.scheduler/v1alpha1",
        "kind": "Topology",
        "metadata": {"name": row.name},
        "spec": {"levels": [{"nodeLabel": level} for level in row.levels]},
    }


def _record(actor: Actor, action: str, row: NetworkTopology, **values: object) -> None:
    record(
        actor=actor,
        action=action,
        entity_type="network-topology",
        entity_id=row.pk,
        entity_name=row.name,
        scope_path=row.cluster.scope.path,
        **values,
    )
