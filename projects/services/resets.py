"""Bulk resets: one column of the quotas of many units back to its default, or weights made from what is deserved."""

from collections.abc import Callable, Iterable
from uuid import UUID

from django.db import transaction

from access.grants import Actor
from access.roles import Action
from access.services.audit import record
from agent.wire.objects import UNLIMITED, PoolQuota
from clusters.models import Cluster, NodePool
from clusters.services.clusters import not_leaving
from projects.documents import publish_all
from projects.models import Department, Project, Quota
from projects.quotas import DEFAULT_RANK, MAX_WEIGHT_MILLI
from projects.services.quotas import AMOUNTS, over_promised
from runai_cp.lib.errors import FieldError, Invalid

_DEFAULT = PoolQuota("")


def _quotas(row: Quota) -> None:
    row.gpu_deserved_milli = _DEFAULT.gpu.deserved
    row.gpu_limit_milli = row.cpu_limit_milli = row.memory_limit_bytes = UNLIMITED
    row.cpu_deserved_milli = row.memory_deserved_bytes = UNLIMITED


def _ranks(row: Quota) -> None:
    row.priority = DEFAULT_RANK


def _weights(row: Quota) -> None:
    row.gpu_weight = row.cpu_weight = row.memory_weight = _DEFAULT.gpu.over_quota_weight


def _weights_to_deserved(row: Quota) -> None:
    """A GPU deserved is a weight of one; who deserves nothing takes leftovers last."""
    row.gpu_weight = min(row.gpu_deserved_milli, MAX_WEIGHT_MILLI)


RESETS: dict[str, Callable[[Quota], None]] = {
    "QUOTAS_TO_DEFAULT": _quotas,
    "RANKS_TO_DEFAULT": _ranks,
    "WEIGHTS_TO_DEFAULT": _weights,
    "WEIGHTS_TO_DESERVED": _weights_to_deserved,
}


@transaction.atomic
def reset_quotas(
    *,
    actor: Actor,
    model: type[Department] | type[Project],
    cluster_id: UUID,
    pool_ids: tuple[int, ...],
    action: str,
    department: Department | None = None,
) -> int:
    """Reset in these node pools for every unit of the cluster that the actor may change; returns how many changed.

    Raises ``Invalid`` for an unknown action or node pool.
    """
    if action not in RESETS:
        raise Invalid(FieldError("action", f"must be one of {', '.join(RESETS)}", action, list(RESETS)))
    pools = set(NodePool.objects.filter(cluster_id=cluster_id, pk__in=pool_ids).values_list("pk", flat=True))
    unknown = sorted(set(pool_ids) - pools)
    if unknown:
        raise Invalid(FieldError("nodePoolIds", "must be node pools of the cluster", unknown))
    for cluster in Cluster.objects.filter(pk=cluster_id).select_related("scope"):
        not_leaving(cluster)
    may = Action.PROJECT_UPDATE if model is Project else Action.DEPARTMENT_UPDATE
    units = model.objects.visible_to(actor, may).filter(cluster_id=cluster_id, delete_requested_at=None)
    if department is not None:
        units = units.filter(department=department)
    changed = _apply(list(units.order_by("pk").select_for_update(of=("self",)).with_names()), pools, action)
    if changed:
        if model is Department and action == "QUOTAS_TO_DEFAULT":
            _refuse_less_than_promised(changed)
        model.objects.filter(pk__in=[unit.pk for unit in changed]).update(updated_by=actor.name)
        _remember(actor, changed, action, pool_ids)
        publish_all(changed)
    return len(changed)


def _refuse_less_than_promised(departments: Iterable[Department | Project]) -> None:
    """Raises ``Invalid`` with every department that would be left with less than its projects are promised."""
    errors = [
        FieldError("action", f"{department.name}, {problem.field}: {problem.given}, {problem.allowed}")
        for department, problem in over_promised(department.pk for department in departments)
    ]
    if errors:
        raise Invalid(*errors)


def _apply(units: list[Department | Project], pools: set[int], action: str) -> list[Department | Project]:
    key = "project" if units and isinstance(units[0], Project) else "department"
    rows = list(Quota.objects.filter(**{f"{key}__in": units}, node_pool__in=pools))
    before = {row.pk: _values(row) for row in rows}
    for row in rows:
        RESETS[action](row)
    touched = [row for row in rows if _values(row) != before[row.pk]]
    Quota.objects.bulk_update(touched, [*AMOUNTS, "priority"], batch_size=500)
    owners = {getattr(row, f"{key}_id") for row in touched}
    changed = [unit for unit in units if unit.pk in owners]
    for unit in changed:
        unit.version += 1
    if changed:
        type(changed[0]).objects.bulk_update(changed, ["version"], batch_size=500)
    return changed


def _values(row: Quota) -> tuple[int, ...]:
    return tuple(getattr(row, name) for name in (*AMOUNTS, "priority"))


def _remember(actor: Actor, changed: list[Department | Project], action: str, pool_ids: tuple[int, ...]) -> None:
    for unit in changed:
        record(
            actor=actor,
            action="reset-resources",
            entity_type=unit.scope.kind,
            entity_id=unit.pk,
            entity_name=unit.name,
            scope_path=unit.scope.path,
            after={"action": action, "nodePoolIds": list(pool_ids)},
        )
