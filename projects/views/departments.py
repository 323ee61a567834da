"""Departments: list, one, a new one, change, delete."""

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.guard import allow
from access.roles import Action
from access.scoping import narrow
from projects.forms import DepartmentForm, edit_form
from projects.models import Department, Project
from projects.services import create_department, delete_department, update_department
from projects.views import units
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.paging import pages
from runai_cp.lib.toasts import toast


@allow(Action.DEPARTMENT_VIEW)
@require_GET
def department_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip()
    rows = narrow(request, Department.objects.visible_to(request.actor)).with_names()  # type: ignore[attr-defined]
    rows = rows.filter(scope__name__icontains=words)
    page = pages(rows.count(), request.GET.get("page"))
    found = list(rows.with_quota().order_by("scope__name", "pk")[page.offset : page.offset + page.size])
    projects = Project.objects.visible_to(request.actor).filter(department__in=found).order_by()  # type: ignore[attr-defined]
    counts = dict(projects.values_list("department").annotate(n=Count("id")))
    context = {"departments": [(row, counts.get(row.pk, 0)) for row in found], "pages": page, "words": words}
    return render_page(request, "projects/department_list.html", context)


def _one(request: HttpRequest, department_id: int) -> Department:
    rows = Department.objects.visible_to(request.actor).with_names().with_quota()  # type: ignore[attr-defined]
    found: Department = get_object_or_404(rows, pk=department_id)
    return found


@allow(Action.DEPARTMENT_VIEW)
@require_GET
def department_detail(request: HttpRequest, department_id: int) -> HttpResponse:
    department = _one(request, department_id)
    actor, path = request.actor, department.scope.path  # type: ignore[attr-defined]
    projects = Project.objects.visible_to(actor).filter(department=department).with_names().with_quota()
    context = {
        "department": department,
        "projects": projects.order_by("scope__name")[:200],
        "rows": units.pool_rows(department),
        "may_edit": actor.allows(Action.DEPARTMENT_UPDATE, path),
        "may_delete": actor.allows(Action.DEPARTMENT_DELETE, path),
    }
    return render_page(request, "projects/department_detail.html", context)


@allow(Action.DEPARTMENT_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def department_create(request: HttpRequest) -> HttpResponse:
    cluster = units.cluster_of(request)
    form = DepartmentForm(request.POST or None, pools=units.pools_of(cluster))
    if cluster and request.method == "POST" and form.is_valid():
        try:
            wanted = form.to_request(cluster)
            made = units.create_once(
                request,
                form,
                "department",
                lambda: create_department(actor=request.actor, request=wanted),  # type: ignore[attr-defined]
            )
            toast(request, f"Department {wanted.name} was created")
            return redirect("projects:department_detail", made)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "cluster": cluster, "clusters": units.clusters_to_choose(request), "kind": "department"}
    return render_page(request, "projects/unit_form.html", context, status=422 if form.errors else 200)


@allow(Action.DEPARTMENT_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def department_edit(request: HttpRequest, department_id: int) -> HttpResponse:
    department = _one(request, department_id)
    form = edit_form(department, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            update_department(actor=request.actor, department=department, request=form.to_update())  # type: ignore[attr-defined]
            toast(request, f"{department.name} was changed", "The quota takes effect in the next scheduling cycle.")
            return redirect("projects:department_detail", department_id)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "unit": department, "cluster": department.cluster, "kind": "department"}
    return render_page(request, "projects/unit_form.html", context, status=422 if form.errors else 200)


@allow(Action.DEPARTMENT_DELETE)
@require_POST
def department_delete(request: HttpRequest, department_id: int) -> HttpResponse:
    department = _one(request, department_id)
    name = department.name
    if request.POST.get("typed", "").strip() != name:
        toast(request, f"{name} stays", "The typed name was not the department's.", "bad")
        return redirect("projects:department_detail", department_id)
    try:
        delete_department(actor=request.actor, department=department)  # type: ignore[attr-defined]
    except DomainError as error:
        toast(request, f"{name} stays", error.message, "bad")
        return redirect("projects:department_detail", department_id)
    toast(request, f"{name} was deleted")
    return redirect("projects:department_list")
