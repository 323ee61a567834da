"""Save a quota grid: many cells of many departments and projects, all of them or none.

Two who save at once: each unit names the version its row was read in; the second one hears what is stored now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from agent.wire.objects import PoolQuota
from clusters.models import Cluster, NodePool
from clusters.services.clusters import not_leaving
from projects import quotas
from projects.documents import pool_quota, publish_all
from projects.grid import SHEETS, Sheet
from projects.models import Department, Project, Quota
from projects.quotas import QuotaError
from projects.services.quotas import over_promised
from projects.versions import Changed, catch_up
from runai_cp.lib.errors import FieldError, Invalid

Unit = Department | Project
_SPANS = {"gpu", "cpu", "memory"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One typed value. ``was``: what the cell showed before it was typed."""

    pool: NodePool
    sheet: Sheet
    text: str
    was: str = ""


@dataclass(frozen=True, slots=True)
class UnitCells:
    """The changed cells of one department or project, and the version of it that they were typed over."""

    unit: Unit
    version: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell of somebody who came second: what both wanted."""

    unit: Unit
    cell: Cell
    now: str
    """What is stored."""


class GridChanged(Changed):
    """Somebody else saved some of the rows first."""

    def __init__(self, differences: list[Difference], who: list[str], versions: Mapping[str, int]) -> None:
        self.differences = differences
        self.who = who
        self.versions = dict(versions)
        """What the stale rows are at now, by ``cell_key``; rows that are gone are missing."""
        given = {
            f"{row.unit.name}.{row.cell.pool.name}.{row.cell.sheet.key}": f"{row.now} now, {row.cell.text} given"
            for row in differences
        }
        super().__init__(f"{' and '.join(who)} saved first. What you wanted differs from what it is now.", **given)


def cell_key(unit: Unit) -> str:
    """``d7`` or ``p12``: how the grid names its rows."""
    return f"{'p' if isinstance(unit, Project) else 'd'}{unit.pk}"


def cell_field(unit: Unit, pool: str, sheet: str) -> str:
    """``p12.a100.gpu.deserved``: the field that a problem of a cell is told at."""
    return f"{cell_key(unit)}.{pool}.{sheet}"


@transaction.atomic
def save_grid(*, actor: Actor, cluster: Cluster, changes: tuple[UnitCells, ...]) -> dict[str, int]:
    """Write the cells; returns the new version of every row by ``cell_key``. Safe to repeat: a repetition is refused
    as a second save. Raises ``NotAllowed``, ``Conflict`` (a project that is being deleted too), ``Invalid`` with every
    wrong cell, ``GridChanged``.
    """
    not_leaving(cluster)
    for change in changes:
        action = Action.PROJECT_UPDATE if isinstance(change.unit, Project) else Action.DEPARTMENT_UPDATE
        require(actor, action, change.unit.scope)
    locked = _lock(changes)
    rows = _rows(changes)
    _refuse_second(changes, locked, rows)
    for change in changes:
        catch_up(change.unit, locked[cell_key(change.unit)])
    before = {key: pool_quota(row) for key, row in rows.items()}
    problems = [*_fill(changes, rows), *_alone(changes, rows)]
    if problems:
        raise Invalid(*problems)
    _write(rows)
    problems = _tree(changes)
    if problems:
        raise Invalid(*problems)
    return _finish(actor, changes, before, rows)


def merged(changes: Iterable[UnitCells]) -> dict[Unit, tuple[PoolQuota, ...]]:
    """The quotas that the cells would make, of the pools they name: for a preview. Raises ``Invalid``."""
    kept = tuple(changes)
    rows = _rows(kept)
    problems = list(_fill(kept, rows))
    if problems:
        raise Invalid(*problems)
    return {
        change.unit: tuple(
            pool_quota(rows[cell_key(change.unit), pool]) for pool in sorted({cell.pool.pk for cell in change.cells})
        )
        for change in kept
    }


def _lock(changes: tuple[UnitCells, ...]) -> dict[str, Unit]:
    """Projects before departments, each by number: the order in which single saves take their locks too."""
    found: dict[str, Unit] = {}
    for model in (Project, Department):
        ids = sorted(change.unit.pk for change in changes if isinstance(change.unit, model))
        for row in model.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"):
            found[cell_key(row)] = row
    return found


def _rows(changes: Iterable[UnitCells]) -> dict[tuple[str, int], Quota]:
    """The quota rows of the named cells, by row key and pool; new ones where a pool has just appeared."""
    kept = list(changes)
    units = {cell_key(change.unit): change.unit for change in kept}
    pools = {cell.pool.pk: cell.pool for change in kept for cell in change.cells}
    found: dict[tuple[str, int], Quota] = {}
    for model, key in ((Project, "project"), (Department, "department")):
        ids = [unit.pk for unit in units.values() if isinstance(unit, model)]
        for row in Quota.objects.filter(**{f"{key}__in": ids}, node_pool__in=pools):
            row.node_pool = pools[row.node_pool_id]
            found[f"{key[0]}{getattr(row, f'{key}_id')}", row.node_pool_id] = row
    for change in kept:
        key = "project" if isinstance(change.unit, Project) else "department"
        for cell in change.cells:
            where = (cell_key(change.unit), cell.pool.pk)
            if where not in found:
                found[where] = Quota(**{key: change.unit}, node_pool=cell.pool)
    return found


def _refuse_second(
    changes: tuple[UnitCells, ...], locked: Mapping[str, Unit], rows: Mapping[tuple[str, int], Quota]
) -> None:
    stale = [
        change
        for change in changes
        if cell_key(change.unit) not in locked or locked[cell_key(change.unit)].version != change.version
    ]
    if not stale:
        return
    differences = []
    for change in stale:
        for cell in change.cells:
            now = cell.sheet.write(getattr(rows[cell_key(change.unit), cell.pool.pk], cell.sheet.column))
            if now != cell.was:
                differences.append(Difference(change.unit, cell, now))
    left = [locked[key] for change in stale if (key := cell_key(change.unit)) in locked]
    who = sorted({unit.updated_by for unit in left}) or ["somebody"]
    raise GridChanged(differences, who, {cell_key(unit): unit.version for unit in left})


def _fill(changes: Iterable[UnitCells], rows: Mapping[tuple[str, int], Quota]) -> Iterable[FieldError]:
    """Put every readable cell into its row; yields what cannot be read."""
    for change in changes:
        for cell in change.cells:
            try:
                value = cell.sheet.read(cell.text)
            except QuotaError as error:
                where = cell_field(change.unit, cell.pool.name, cell.sheet.key)
                yield FieldError(where, error.problem.message, cell.text, error.problem.allowed)
            else:
                setattr(rows[cell_key(change.unit), cell.pool.pk], cell.sheet.column, value)


def _alone(changes: tuple[UnitCells, ...], rows: Mapping[tuple[str, int], Quota]) -> Iterable[FieldError]:
    """What is wrong with a quota by itself: more deserved than its limit lets in."""
    units = {cell_key(change.unit): change.unit for change in changes}
    for (key, _), row in rows.items():
        quota = pool_quota(row)
        for problem in quotas.check_quota(quota):
            part = problem.field.rpartition("].")[2].replace("overQuotaWeight", "weight")
            sheet = SHEETS[part]
            message = _limit_message(quota, part) if part.endswith("limit") else problem.message
            yield FieldError(cell_field(units[key], quota.node_pool, part), message, sheet.write(problem.value))


def _limit_message(quota: PoolQuota, part: str) -> str:
    name = part.partition(".")[0]
    sheet = SHEETS[f"{name}.deserved"]
    deserved = getattr(quota, name).deserved
    return f"the limit must be at least the quota, {sheet.write(deserved)} {sheet.unit}"


def _write(rows: Mapping[tuple[str, int], Quota]) -> None:
    columns = [sheet.column for sheet in SHEETS.values()]
    Quota.objects.bulk_create([row for row in rows.values() if row.pk is None])
    Quota.objects.bulk_update([row for row in rows.values() if row.pk is not None], columns, batch_size=500)


def _tree(changes: tuple[UnitCells, ...]) -> list[FieldError]:
    """Where the projects of a department deserve more than it does, once all cells are in."""
    errors = []
    for department, problem in over_promised(
        {c.unit.department_id if isinstance(c.unit, Project) else c.unit.pk for c in changes}
    ):
        pool = problem.field.partition("[")[2].partition("]")[0]
        message = f"{department.name}: {problem.given}, {problem.allowed}"
        errors.append(FieldError(cell_field(department, pool, "gpu.deserved"), message, problem.given))
    return errors


def _finish(
    actor: Actor,
    changes: tuple[UnitCells, ...],
    before: Mapping[tuple[str, int], PoolQuota],
    rows: Mapping[tuple[str, int], Quota],
) -> dict[str, int]:
    """Versions, audit entries, documents."""
    for change in changes:
        change.unit.version = change.version + 1
        change.unit.updated_by = actor.name
        change.unit.save(update_fields=["version", "updated_by", "updated_at"])
        record(
            actor=actor,
            action="update-resources",
            entity_type=change.unit.scope.kind,
            entity_id=change.unit.pk,
            entity_name=change.unit.name,
            scope_path=change.unit.scope.path,
            before=_facts(change, before),
            after=_facts(change, {key: pool_quota(row) for key, row in rows.items()}),
        )
    publish_all(change.unit for change in changes)
    return {cell_key(change.unit): change.unit.version for change in changes}


def _facts(change: UnitCells, now: Mapping[tuple[str, int], PoolQuota]) -> dict[str, str]:
    """Cells as text: ``a100.gpu.deserved`` → ``12``."""
    found = {}
    for cell in change.cells:
        quota = now[cell_key(change.unit), cell.pool.pk]
        found[f"{cell.pool.name}.{cell.sheet.key}"] = cell.sheet.write(_value(quota, cell.sheet))
    return found


def _value(quota: PoolQuota, sheet: Sheet) -> int:
    name, _, part = sheet.key.partition(".")
    if name not in _SPANS:
        return quota.priority
    return int(getattr(getattr(quota, name), {"weight": "over_quota_weight"}.get(part, part)))
