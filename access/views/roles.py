"""Roles, predefined and the tenant's own, and what each may do."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms_administration import RoleForm
from access.grants import Actor
from access.guard import allow
from access.lists import render_list, run_verb
from access.models import Role
from access.models.role import LAST_ID
from access.roles import PERMISSION_SETS, Action
from access.selections import RoleRow, all_roles, rules_by_role
from access.services.roles import create_role, delete_role, update_role
from access.tables import ROLES_DELETE, ROLES_SWITCH, ROLES_TABLE
from access.views.matrix import VERBS, matrix
from runai_cp.lib.errors import Conflict, DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

LIST = "/access/roles/"


@allow(Action.ROLE_VIEW)
@require_GET
def role_list(request: HttpRequest) -> HttpResponseBase:
    actor = request.actor  # type: ignore[attr-defined]
    may = actor.allows_somewhere
    bulk = (ROLES_SWITCH if may(Action.ROLE_UPDATE) else ()) + ((ROLES_DELETE,) if may(Action.ROLE_DELETE) else ())
    return render_list(
        request,
        ROLES_TABLE,
        all_roles(),
        "access/role_list.html",
        bulk=bulk,
        bulk_url=f"{LIST}bulk",
        dress=lambda rows: _dress(actor, rows),
    )


def _dress(actor: Actor, rows: list[RoleRow]) -> None:
    """How many rules that the person may see give each role: one query."""
    given = rules_by_role(actor)
    for row in rows:
        row.given = given.get(row.key, 0)


@allow(Action.ROLE_VIEW)
@require_POST
def role_bulk(request: HttpRequest) -> HttpResponse:
    """Which act it is decides what it needs: the services refuse each row, and roles of the platform stay."""
    actor = request.actor  # type: ignore[attr-defined]
    acts = {
        "enable": ("Enable roles", lambda row: update_role(actor=actor, role=_own(row), values={"enabled": True})),
        "disable": ("Disable roles", lambda row: update_role(actor=actor, role=_own(row), values={"enabled": False})),
        "delete": ("Delete roles", lambda row: delete_role(actor=actor, role=_own(row))),
    }
    return run_verb(request, ROLES_TABLE, all_roles(), acts, back=LIST)


def _own(row: RoleRow) -> Role:
    if row.row is None:
        raise Conflict("A role of the platform is neither changed nor removed.")
    return row.row


@allow(Action.ROLE_VIEW)
@require_GET
def role_detail(request: HttpRequest, role_id: int) -> HttpResponse:
    """What the role may do, thing by thing, and how often it is given."""
    row = next((one for one in all_roles() if one.pk == role_id), None)
    if row is None:
        raise Http404("No role has this number.")
    context: dict[str, Any] = {
        "role": row,
        "sets": [PERMISSION_SETS[key][0] for key in row.sets if key in PERMISSION_SETS],
        "matrix": matrix(row.actions),
        "verbs": VERBS,
        "given": rules_by_role(request.actor).get(row.key, 0),  # type: ignore[attr-defined]
    }
    return render_page(request, "access/role_detail.html", context)


@allow(Action.ROLE_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def role_create(request: HttpRequest) -> HttpResponse:
    form = RoleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = create_role(actor=request.actor, values=form.values())  # type: ignore[attr-defined]
            toast(request, f"The role {row.name} can be given now")
            return redirect("access:role_list")
        except DomainError as error:
            form.refuse(error)
    return _form(request, form, None)


@allow(Action.ROLE_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def role_edit(request: HttpRequest, role_id: int) -> HttpResponse:
    row = get_object_or_404(Role, pk=min(role_id, LAST_ID))
    initial = {
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "sets": row.permission_sets,
        "cluster_role": row.cluster_role,
    }
    form = RoleForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            update_role(actor=request.actor, role=row, values=form.values())  # type: ignore[attr-defined]
            toast(request, f"The role {row.name} was changed", "Who holds it has the new rights at once")
            return redirect("access:role_list")
        except DomainError as error:
            form.refuse(error)
    return _form(request, form, row)


@allow(Action.ROLE_DELETE)
@require_POST
def role_delete(request: HttpRequest, role_id: int) -> HttpResponse:
    row = get_object_or_404(Role, pk=min(role_id, LAST_ID))
    try:
        delete_role(actor=request.actor, role=row)  # type: ignore[attr-defined]
        toast(request, f"The role {row.name} is gone")
    except DomainError as error:
        toast(request, "The role stays", error.message, "bad")
    return redirect("access:role_list")


def _form(request: HttpRequest, form: RoleForm, row: Role | None) -> HttpResponse:
    sets = [
        (key, title, sorted(action.value.replace(".", " ").replace("-", " ") for action in actions))
        for key, (title, actions) in PERMISSION_SETS.items()
    ]
    chosen = form["sets"].value() or []
    context = {"form": form, "row": row, "sets": sets, "chosen": chosen}
    return render_page(request, "access/role_form.html", context, status=422 if form.errors else 200)
