"""Write quotas: complete over the cluster's node pools, checked by themselves and up the tree."""

from collections.abc import Iterable, Iterator, Mapping

from django.db import transaction

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.settings import setting
from agent.wire import codec
from agent.wire.objects import PoolQuota
from clusters.models import Cluster, NodePool
from clusters.services.clusters import not_leaving
from projects import quotas
from projects.documents import pool_quota, pool_quotas, publish_department, publish_project
from projects.models import Department, Project, Quota
from projects.versions import quota_difference, raise_version, take_turn
from runai_cp.lib.errors import FieldError, Invalid

AMOUNTS = tuple(field.name for field in Quota._meta.fields if field.name.startswith(("gpu_", "cpu_", "memory_")))
LIMITED = "limitProjectsToDepartmentQuota"
"""Setting of the tenant: projects may not together deserve more GPUs of a node pool than their department does."""


@transaction.atomic
def set_quotas(
    *,
    actor: Actor,
    owner: Department | Project,
    wanted: tuple[PoolQuota, ...],
    merge: bool = False,
    version: int | None = None,
) -> tuple[PoolQuota, ...]:
    """Replace the quotas of a department or project, or with ``merge`` those of the named pools. Returns all of them.

    Pools that are not named get the default (nothing deserved, over-quota allowed). ``version``: the one the caller
    read. Raises ``Invalid``, ``NotAllowed``, ``Changed`` with the difference.
    """
    action = Action.PROJECT_UPDATE if isinstance(owner, Project) else Action.DEPARTMENT_UPDATE
    require(actor, action, owner.scope)
    not_leaving(owner.cluster)
    take_turn(owner, version, lambda: quota_difference(pool_quotas(owner), wanted))
    before = pool_quotas(owner)
    kept = before if merge else ()
    after = write_quotas(owner, _merged(kept, wanted))
    raise_version(owner, actor.name)
    record(
        actor=actor,
        action="update-resources",
        entity_type=owner.scope.kind,
        entity_id=owner.pk,
        entity_name=owner.name,
        scope_path=owner.scope.path,
        before=codec.to_dict(before),
        after=codec.to_dict(after),
    )
    if isinstance(owner, Project):
        publish_project(owner)
    else:
        publish_department(owner)
    return after


def write_quotas(owner: Department | Project, wanted: Iterable[PoolQuota]) -> tuple[PoolQuota, ...]:
    """Rows for every node pool of the cluster, in one statement. Raises ``Invalid`` with every problem."""
    asked = {quota.node_pool: quota for quota in wanted}
    pools = {pool.name: pool for pool in NodePool.objects.filter(cluster_id=owner.cluster_id).present()}
    found = [
        quotas.QuotaProblem("resources", name, f"one of the node pools {', '.join(sorted(pools))}")
        for name in asked
        if name not in pools
    ]
    found += [problem for quota in asked.values() for problem in quotas.check_quota(quota)]
    if not found and setting(LIMITED):
        found += _tree_problems(owner, tuple(asked.values()))
    if found:
        raise Invalid(*(FieldError(item.field, item.message, item.given, item.allowed) for item in found))
    key = "project" if isinstance(owner, Project) else "department"
    rows = [_row(key, owner, pool, asked.get(name) or PoolQuota(name)) for name, pool in pools.items()]
    Quota.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=[key, "node_pool"], update_fields=[*_written(), "priority"]
    )
    return tuple(pool_quota(row) for row in rows)


def add_missing(cluster: Cluster) -> list[Department | Project]:
    """A quota of nothing in every pool that a department or project has none in; returns those that got one."""
    pools = list(NodePool.objects.filter(cluster=cluster).present())
    changed: list[Department | Project] = []
    for model, key in ((Department, "department"), (Project, "project")):
        present = model.objects.filter(cluster=cluster, delete_requested_at=None)
        owners = list(present.select_related("scope").prefetch_related("quotas"))
        rows: list[Quota] = []
        for owner in owners:
            have = {quota.node_pool_id for quota in owner.quotas.all()}
            missing = [pool for pool in pools if pool.pk not in have]
            rows += [_row(key, owner, pool, PoolQuota(pool.name)) for pool in missing]
            if missing:
                changed.append(owner)
        Quota.objects.bulk_create(rows, ignore_conflicts=True)
    return changed


def _merged(kept: Iterable[PoolQuota], wanted: Iterable[PoolQuota]) -> Iterable[PoolQuota]:
    merged: Mapping[str, PoolQuota] = {quota.node_pool: quota for quota in (*kept, *wanted)}
    return merged.values()


def _tree_problems(owner: Department | Project, wanted: tuple[PoolQuota, ...]) -> list[quotas.QuotaProblem]:
    """The department is locked: two projects that are saved at once must not both fit into the same rest."""
    department = owner.department if isinstance(owner, Project) else owner
    Department.objects.select_for_update(of=("self",)).get(pk=department.pk)
    siblings = department.projects.prefetch_related("quotas__node_pool")
    if isinstance(owner, Project):
        siblings = siblings.exclude(pk=owner.pk)
    children = [[pool_quota(row) for row in sibling.quotas.all()] for sibling in siblings]
    if isinstance(owner, Project):
        return list(quotas.check_tree(pool_quotas(department), [*children, list(wanted)], over_commit=False))
    return list(quotas.check_parent(wanted, children))


def over_promised(department_ids: Iterable[int]) -> Iterator[tuple[Department, quotas.QuotaProblem]]:
    """Departments whose projects deserve more GPUs of a node pool than they do, as the rows are now: where the tenant
    does not allow it (``LIMITED``). The departments are locked: two who save different projects must not both fit into
    the same rest.
    """
    if not setting(LIMITED):
        return
    departments = Department.objects.select_for_update(of=("self",)).filter(pk__in=list(department_ids)).order_by("pk")
    for department in departments.select_related("scope").prefetch_related("quotas__node_pool"):
        own = [pool_quota(row) for row in department.quotas.all()]
        projects = department.projects.prefetch_related("quotas__node_pool")
        children = [[pool_quota(row) for row in project.quotas.all()] for project in projects]
        for problem in quotas.check_tree(own, children, over_commit=False):
            yield department, problem


def _row(key: str, owner: Department | Project, pool: NodePool, quota: PoolQuota) -> Quota:
    return Quota(
        **{key: owner},
        node_pool=pool,
        gpu_deserved_milli=quota.gpu.deserved,
        gpu_limit_milli=quota.gpu.limit,
        gpu_weight=quota.gpu.over_quota_weight,
        cpu_deserved_milli=quota.cpu.deserved,
        cpu_limit_milli=quota.cpu.limit,
        cpu_weight=quota.cpu.over_quota_weight,
        memory_deserved_bytes=quota.memory.deserved,
        memory_limit_bytes=quota.memory.limit,
        memory_weight=quota.memory.over_quota_weight,
        priority=quota.priority,
    )


def _written() -> list[str]:
    return [
        name
        for name in AMOUNTS
        if name.endswith(("_deserved_milli", "_deserved_bytes", "_weight")) or "_limit_" in name
    ]
