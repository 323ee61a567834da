"""The quota grid: one sheet of all departments and projects of a cluster, and what a save of its cells answers."""

import json
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from access.grants import Actor
from access.guard import allow
from access.roles import Action
from clusters.models import Cluster, NodePool
from projects.grid import DEFAULT_SHEET, SHEETS
from projects.models import Department, Project
from projects.services.grid import Cell, GridChanged, UnitCells, cell_key, save_grid
from projects.views import units
from projects.views.grid_table import table
from runai_cp.lib.errors import DomainError, FieldError, Invalid, NotFound
from runai_cp.lib.htmx import render_page

MAX_CELLS = 30_000
MAX_BYTES = 4 << 20
MAX_KEY = 11
"""Characters of a row key: a letter, and a number that the database can hold."""
RESOURCES = (("gpu", "GPU"), ("cpu", "CPU"), ("memory", "Memory"))
PARTS = (("deserved", "Quota"), ("limit", "Limit"), ("weight", "Over-quota weight"))


@allow(Action.PROJECT_VIEW)
@require_GET
def quota_grid(request: HttpRequest) -> HttpResponse:
    cluster = units.cluster_of(request)
    sheet = SHEETS.get(request.GET.get("sheet", ""), SHEETS[DEFAULT_SHEET])
    resource, _, part = sheet.key.partition(".")
    context: dict[str, Any] = {
        "cluster": cluster,
        "clusters": units.clusters_to_choose(request),
        "sheet": sheet,
        "resource": resource if part else "gpu",
        "part": part or "deserved",
        "resources": RESOURCES,
        "parts": PARTS,
        "words": request.GET.get("q", "").strip(),
    }
    if cluster is not None:
        context["table"] = found = table(request, cluster, sheet)
        context["pages"] = found.pages
    return render_page(request, "projects/quota_grid.html", context)


@allow(Action.PROJECT_UPDATE)
@require_POST
def quota_grid_save(request: HttpRequest) -> HttpResponse:
    """JSON of cells in, the rows' new versions out; what was refused comes as a part of the page with its status."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    try:
        cluster, changes = read_changes(actor, request)
        return JsonResponse({"versions": save_grid(actor=actor, cluster=cluster, changes=changes)})
    except DomainError as error:
        return refusal(request, error)


def refusal(request: HttpRequest, error: DomainError) -> HttpResponse:
    """What a save or a preview could not do, for the dialog: cells with what is wrong, or with both values."""
    context: dict[str, Any] = {"message": error.message, "problems": (), "differences": ()}
    if isinstance(error, GridChanged):
        context |= {"differences": [(cell_key(row.unit), row) for row in error.differences], "versions": error.versions}
        context["who"] = " and ".join(error.who)
    elif isinstance(error, Invalid):
        context["problems"] = [(*split_field(item.field), item) for item in error.fields]
    status = 422 if error.status == 400 else error.status
    return render(request, "projects/_grid_refused.html", context, status=status)


def split_field(field: str) -> tuple[str, str]:
    """``p12.a100.gpu.deserved`` → ``p12|a100|gpu.deserved`` and ``GPU quota in a100``, where it is one of a cell."""
    unit, _, rest = field.partition(".")
    for key, sheet in SHEETS.items():
        if rest.endswith(f".{key}"):
            pool = rest.removesuffix(f".{key}")
            return f"{unit}|{pool}|{key}", f"{sheet.label} in {pool}"
    return "", field


def read_changes(actor: Actor, request: HttpRequest) -> tuple[Cluster, tuple[UnitCells, ...]]:
    """The cells of a request: ``{cluster, units: [{unit, version, cells: [{pool, sheet, value, was}]}]}``.

    Raises ``Invalid`` for what cannot be read, ``NotFound`` for a cluster or a row that the actor does not see.
    """
    data = _body(request)
    cluster = _cluster(actor, data.get("cluster"))
    items = data.get("units")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise Invalid(FieldError("units", "must be a list of rows with changed cells", None))
    if sum(len(cells) for item in items if isinstance(cells := item.get("cells"), list)) > MAX_CELLS:
        raise Invalid(FieldError("units", f"at most {MAX_CELLS} cells at once", None))
    rows = _rows(actor, cluster, [_text(item.get("unit")) for item in items])
    pools = {pool.pk: pool for pool in NodePool.objects.filter(cluster=cluster).present()}
    found: dict[str, UnitCells] = {}
    for item in items:
        key = _text(item.get("unit"))
        if key not in rows:
            raise NotFound(f"The row {key} is not there any more; reload the grid.")
        found[key] = UnitCells(rows[key], _version(item.get("version")), tuple(_cells(item.get("cells"), pools)))
    return cluster, tuple(found.values())


def _body(request: HttpRequest) -> dict[str, Any]:
    if len(request.body) > MAX_BYTES:
        raise Invalid(FieldError("units", f"at most {MAX_BYTES} bytes", None))
    try:
        data = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Invalid(FieldError("body", "must be JSON", None)) from error
    if not isinstance(data, dict):
        raise Invalid(FieldError("body", "must be an object", None))
    return data


def _cluster(actor: Actor, value: object) -> Cluster:
    try:
        found = Cluster.objects.visible_to(actor).with_name().filter(pk=uuid.UUID(_text(value))).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound("The cluster is not there any more; reload the grid.")
    return found  # type: ignore[no-any-return]


def _rows(actor: Actor, cluster: Cluster, keys: list[str]) -> dict[str, Department | Project]:
    found: dict[str, Department | Project] = {}
    for model, letter in ((Department, "d"), (Project, "p")):
        numbers = [key[1:] for key in keys if key[:1] == letter and len(key) <= MAX_KEY]
        ids = [int(number) for number in numbers if number.isascii() and number.isdigit()]
        rows = model.objects.visible_to(actor).filter(cluster=cluster, pk__in=[n for n in ids if n < 2**31])
        for row in rows.with_names():
            found[f"{letter}{row.pk}"] = row
    return found


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(FieldError("version", "must be the version of the row that was read", None))
    return value


def _cells(value: object, pools: dict[int, NodePool]) -> list[Cell]:
    if not isinstance(value, list):
        raise Invalid(FieldError("cells", "must be a list", None))
    found: dict[tuple[int, str], Cell] = {}
    for item in value:
        number = item.get("pool") if isinstance(item, dict) else None
        pool = pools.get(number) if isinstance(number, int) else None
        sheet = SHEETS.get(_text(item.get("sheet"))) if isinstance(item, dict) else None
        if pool is None or sheet is None:
            raise Invalid(FieldError("cells", "a node pool that is not there any more; reload the grid", None))
        found[pool.pk, sheet.key] = Cell(pool, sheet, _text(item.get("value")), _text(item.get("was")))
    return list(found.values())


def _text(value: object) -> str:
    """What a cell or a name says; of a list or an object ``?``, which nothing allows: an empty cell would mean its
    default. A lone surrogate could not be shown again.
    """
    if isinstance(value, (list, dict)):
        return "?"
    return str(value)[:64].encode(errors="replace").decode()
