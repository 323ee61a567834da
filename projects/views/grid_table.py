"""What the quota grid shows of one sheet: rows of departments and projects, a column a node pool. Few queries.

A grid of 300 projects and 12 node pools has four thousand cells, and few that differ: each is drawn once. So is the
frame of a row; a row is that frame with its names and cells filled in.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import F, Min, Q, Sum, Value
from django.http import HttpRequest
from django.utils.html import escape
from django.utils.safestring import SafeString

from access.grants import Actor
from access.roles import Action
from access.scoping import narrow
from agent.wire.objects import UNLIMITED
from clusters.models import Cluster, Node, NodePool
from clusters.querysets import pool_supply
from projects.grid import Sheet
from projects.models import Department, Project, Quota
from runai_cp.lib.paging import Pages, pages
from runai_cp.lib.templatetags.ui import drawn

ROWS = 400
"""Rows of one page, about."""
Values = dict[tuple[str, int], tuple[int, int]]
"""Row key and pool → stored value and what the queue holds."""
_CHANGE = {"d": Action.DEPARTMENT_UPDATE, "p": Action.PROJECT_UPDATE}
"""By the first letter of a row key."""


@dataclass(slots=True)
class Column:
    """A node pool. ``total`` and ``promised``: what its nodes have, what departments deserve; in the sheet's unit."""

    pk: int
    name: str
    total: str = ""
    promised: str = ""
    over: bool = False


class Unit(NamedTuple):
    """One department or project."""

    key: str
    pk: int
    name: str
    path: str
    """Of its scope."""
    version: int
    department: str = ""
    """Row key of the department; empty for a department itself."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: list[Column]
    rows: SafeString
    """All rows of this page, drawn."""
    pages: Pages
    departments: int
    projects: int
    editable: bool


def table(request: HttpRequest, cluster: Cluster, sheet: Sheet) -> Table:
    """The page of the grid that the request asks for."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    words = request.GET.get("q", "").strip()
    departments = _named(narrow(request, Department.objects.visible_to(actor)), cluster)
    projects = _named(narrow(request, Project.objects.visible_to(actor).present()), cluster)
    order = _order(departments, projects, words)
    page = pages(len(order), request.GET.get("page"), ROWS)
    rows = _with_heads(order[page.offset : page.offset + page.size])
    pools = list(NodePool.objects.filter(cluster=cluster).present().order_by("pk").values_list("pk", "name"))
    values = _values(sheet, rows)
    sums = _sums(sheet, [unit.pk for unit in rows if not unit.department])
    editable = {unit.key for unit in rows if actor.allows(_CHANGE[unit.key[0]], unit.path)}
    drawn_rows = [_row(actor, sheet, unit, unit.key in editable, pools, values, sums) for unit in rows]
    return Table(
        columns=_columns(actor, cluster, sheet, pools),
        rows=SafeString("".join(drawn_rows)),
        pages=page,
        departments=len({department.pk for department, _ in order}),
        projects=sum(bool(unit.department) for _, unit in order),
        editable=bool(editable),
    )


def _named(rows: Any, cluster: Cluster) -> list[Unit]:
    """All units in the order of their names: the page is cut out of them, so that each is read once."""
    letter, owner = ("p", F("department_id")) if rows.model is Project else ("d", Value(0))
    found = rows.filter(cluster=cluster).order_by("scope__name", "pk")
    return [
        Unit(f"{letter}{pk}", pk, name, path, version, f"d{department}" if department else "")
        for pk, name, path, version, department in found.values_list(
            "pk", "scope__name", "scope__path", "version", owner
        )
    ]


def _order(departments: list[Unit], projects: list[Unit], words: str) -> list[tuple[Unit, Unit]]:
    """Department and row in the order of the grid: each department, then its projects. ``words`` narrows to
    departments and projects with them in their name; a department keeps the projects that match, or all of its own.
    """
    below: dict[str, list[Unit]] = defaultdict(list)
    for project in projects:
        below[project.department].append(project)
    wanted = words.lower()
    found: list[tuple[Unit, Unit]] = []
    for department in departments:
        whole = wanted in department.name.lower()
        inside = [project for project in below[department.key] if whole or wanted in project.name.lower()]
        if whole or inside:
            found += [(department, department), *((department, project) for project in inside)]
    return found


def _with_heads(shown: list[tuple[Unit, Unit]]) -> list[Unit]:
    """The rows of a page; a department goes on to the next page under its own name."""
    rows: list[Unit] = []
    last = None
    for department, unit in shown:
        if department is not last and unit is not department:
            rows.append(department)
        last = department
        rows.append(unit)
    return rows


def _values(sheet: Sheet, units: list[Unit]) -> Values:
    projects = [unit.pk for unit in units if unit.department]
    departments = [unit.pk for unit in units if not unit.department]
    rows = Quota.objects.filter(Q(project__in=projects) | Q(department__in=departments)).order_by()
    columns = ("project_id", "department_id", "node_pool_id", sheet.column, sheet.held or sheet.column)
    return {
        (f"p{project}" if project else f"d{department}", pool): (value, held if sheet.held else 0)
        for project, department, pool, value, held in rows.values_list(*columns)
    }


def _sums(sheet: Sheet, departments: list[int]) -> dict[tuple[str, int], int]:
    """What the projects of each department deserve together; all of them, not only those on this page."""
    if not sheet.sums:
        return {}
    rows = (
        Quota.objects.filter(project__department__in=departments, project__delete_requested_at=None)
        .order_by()
        .values_list("project__department", "node_pool")
        .annotate(given=Sum(sheet.column), least=Min(sheet.column))
    )
    return {(f"d{owner}", pool): UNLIMITED if least == UNLIMITED else given for owner, pool, given, least in rows}


def _row(
    actor: Actor,
    sheet: Sheet,
    unit: Unit,
    editable: bool,
    pools: list[tuple[int, str]],
    values: Values,
    sums: dict[tuple[str, int], int],
) -> str:
    whole = not unit.department and sheet.sums and actor.allows(Action.DEPARTMENT_VIEW, unit.path)
    amount, cells = 0, []
    for pool, _ in pools:
        value, held = values.get((unit.key, pool), (sheet.empty, 0))
        amount = UNLIMITED if UNLIMITED in (amount, value) else amount + value
        if unit.department:
            cells.append(_cell(sheet, value, held or None))
        else:
            cells.append(_cell(sheet, value, sums.get((unit.key, pool), 0) if whole else None))
    frame = drawn(
        "projects/_grid_row.html",
        ("project", bool(unit.department)),
        ("editable", editable),
        ("sums", whole),
        ("total", sheet.sums),
    )
    return frame % {
        "key": unit.key,
        "pk": unit.pk,
        "name": escape(unit.name),
        "version": unit.version,
        "department": unit.department,
        "cells": "".join(cells),
        "total": sheet.write(amount) if sheet.sums else "",
    }


@lru_cache(maxsize=8192)
def _cell(sheet: Sheet, value: int, held: int | None) -> SafeString:
    """A value with what is held of it, or given on; tinted where that is more. A limit is nobody's promise."""
    over = sheet.sums and value != UNLIMITED and held is not None and (held == UNLIMITED or held > value)
    shown = "" if held is None else sheet.write(held)
    return drawn("projects/_grid_cell.html", ("value", sheet.write(value)), ("held", shown), ("over", over))


def _columns(actor: Actor, cluster: Cluster, sheet: Sheet, pools: list[tuple[int, str]]) -> list[Column]:
    """With what the pool has and what departments are promised of it, for who may see all of it."""
    found = [Column(pk, name) for pk, name in pools]
    path = cluster.scope.path
    if not sheet.key.startswith("gpu.deserved") or not actor.allows(Action.DEPARTMENT_VIEW, path):
        return found
    nodes = Node.objects.visible_to(actor).filter(cluster=cluster)
    supply = pool_supply(nodes) if actor.allows(Action.NODE_VIEW, path) else None
    promised = dict(
        Quota.objects.filter(department__cluster=cluster)
        .order_by()
        .values_list("node_pool")
        .annotate(total=Sum(sheet.column))
    )
    for column in found:
        given = promised.get(column.pk, 0)
        column.promised = sheet.write(given)
        if supply is not None:
            total = supply.get((cluster.pk, column.name), {}).get("gpu_allocatable_milli", 0) or 0
            column.total = sheet.write(total)
            column.over = given > total
    return found
