"""Roles, predefined and the tenant's own, and what each may do."""

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms_administration import RoleForm
from access.guard import allow
from access.models import Role
from access.roles import CLUSTER_ROLES, PERMISSION_SETS, PREDEFINED, ROLES, Action, actions_of
from access.services.roles import create_role, delete_role, update_role
from access.views.matrix import VERBS, matrix
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast


@allow(Action.ROLE_VIEW)
@require_GET
def role_list(request: HttpRequest) -> HttpResponse:
    """Each role with its permission sets; the tables of things and verbs unfold."""
    held = Count("rules", filter=Q(rules__deleted_at=None))
    custom = [
        {
            "row": row,
            "title": row.name,
            "description": row.description,
            "sets": [PERMISSION_SETS[key][0] for key in row.permission_sets if key in PERMISSION_SETS],
            "cluster_role": row.cluster_role,
            "matrix": matrix(actions_of(tuple(row.permission_sets))),
            "held": row.held,
        }
        for row in Role.objects.annotate(held=held).order_by("name")
    ]
    ours = [
        {
            "row": None,
            "title": role.title,
            "description": role.description,
            "sets": [PERMISSION_SETS[name][0] for name in role.sets],
            "cluster_role": CLUSTER_ROLES[key],
            "matrix": matrix(ROLES[key]),
        }
        for key, role in PREDEFINED.items()
    ]
    context = {"custom": custom, "predefined": ours, "verbs": VERBS, "tab": "roles"}
    return render_page(request, "access/role_list.html", context)


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
    row = get_object_or_404(Role, pk=role_id)
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
    row = get_object_or_404(Role, pk=role_id)
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
