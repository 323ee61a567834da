"""Departments: list, one, a new one, change, delete one or many."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.grants import Actor
from access.guard import allow
from access.lists import Impact, render_list, run_bulk
from access.roles import Action
from projects.forms import DepartmentForm
from projects.models import Project
from projects.querysets import with_listed_quotas
from projects.services import delete_department
from projects.tables import DEPARTMENTS_DELETE, DEPARTMENTS_TABLE
from projects.views import units
from projects.views.units import DEPARTMENT
from runai_cp.lib.errors import DomainError
from runai_cp.lib.templatetags.ui import drawn
from runai_cp.lib.toasts import toast

LIST = "/departments/"
SHOWN = 200
"""Projects that the page of a department lists."""


@allow(Action.DEPARTMENT_VIEW)
@require_GET
def department_list(request: HttpRequest) -> HttpResponseBase:
    actor = request.actor  # type: ignore[attr-defined]
    return render_list(
        request,
        DEPARTMENTS_TABLE,
        with_listed_quotas(units.listed(request, DEPARTMENT)),
        "projects/department_list.html",
        bulk=(DEPARTMENTS_DELETE,) if actor.allows_somewhere(Action.DEPARTMENT_DELETE) else (),
        bulk_url=f"{LIST}bulk",
        partial="live",
        dress=lambda rows: _dress(actor, rows),
        summary=lambda found: units.promised(DEPARTMENT, found),
    )


def _dress(actor: Actor, rows: list[Any]) -> None:
    """``_counted``, and ``by_pool`` as it is drawn: departments with equal quotas share it."""
    _counted(actor, rows)
    for row in rows:
        pools = tuple((quota.node_pool.name, quota.gpu_deserved_milli) for quota in row.listed_quotas)
        row.by_pool = drawn("projects/_by_pool.html", ("pools", pools))


def _counted(actor: Actor, rows: list[Any]) -> None:
    """Give each row ``over`` and ``project_count``, of those that the person may see: one query."""
    units.over(rows)
    projects = Project.objects.visible_to(actor).filter(department__in=rows).order_by()
    counts = dict(projects.values_list("department").annotate(n=Count("id")))
    for row in rows:
        row.project_count = counts.get(row.pk, 0)


@allow(Action.DEPARTMENT_DELETE)
@require_POST
def department_bulk(request: HttpRequest) -> HttpResponse:
    """Delete many, after a page that says what each still holds: one with projects stays."""
    actor = request.actor  # type: ignore[attr-defined]
    return run_bulk(
        request,
        DEPARTMENTS_TABLE,
        units.listed(request, DEPARTMENT),
        lambda row: delete_department(actor=actor, department=row),
        label="Delete departments",
        back=LIST,
        impact=lambda rows: _impact(actor, rows),
    )


def _impact(actor: Actor, rows: list[Any]) -> Impact:
    _counted(actor, rows)
    return Impact(
        "Their queues go from the cluster. One that has projects stays: those must be gone first. "
        "This cannot be undone.",
        ("projects", "GPUs promised", "GPUs allocated"),
        [(row.project_count, row.gpu_quota_milli / 1000, row.gpu_allocated_milli / 1000) for row in rows],
    )


@allow(Action.DEPARTMENT_VIEW)
@require_GET
def department_detail(request: HttpRequest, department_id: int) -> HttpResponse:
    department = units.one(request, DEPARTMENT, department_id)
    projects = Project.objects.visible_to(request.actor).filter(department=department)  # type: ignore[attr-defined]
    count = projects.count()
    impact = [
        {"n": count, "what": "projects"},
        {"n": f"{department.gpu_projects_milli / 1000:g}", "what": "GPUs given to them"},
        {"n": f"{department.gpu_allocated_milli / 1000:g}", "what": "GPUs allocated"},
    ]
    shown = projects.with_names().with_sums().order_by("scope__name")[:SHOWN]
    return units.show(
        request, DEPARTMENT, department, projects=shown, count=count, more=max(0, count - SHOWN), impact=impact
    )


@allow(Action.DEPARTMENT_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def department_create(request: HttpRequest) -> HttpResponse:
    return units.create(request, DEPARTMENT, lambda data, cluster, pools: DepartmentForm(data, pools=pools))


@allow(Action.DEPARTMENT_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def department_edit(request: HttpRequest, department_id: int) -> HttpResponse:
    return units.edit(request, DEPARTMENT, units.one(request, DEPARTMENT, department_id))


@allow(Action.DEPARTMENT_DELETE)
@require_POST
def department_delete(request: HttpRequest, department_id: int) -> HttpResponse:
    department = units.one(request, DEPARTMENT, department_id)
    name = department.name
    if request.POST.get("typed", "").strip() != name:
        return units.stays(request, DEPARTMENT, department, "The typed name was not the department's.")
    try:
        delete_department(actor=request.actor, department=department)  # type: ignore[attr-defined]
    except DomainError as error:
        return units.stays(request, DEPARTMENT, department, error.message)
    toast(request, f"{name} was deleted")
    return redirect("projects:department_list")
