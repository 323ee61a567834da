"""Projects: list, one, a new one, change, and the request to delete. What goes with them the workloads room knows."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.guard import allow
from access.lists import render_list
from access.roles import Action
from projects.forms import ProjectForm
from projects.models import Department
from projects.services import delete_project
from projects.tables import PROJECTS_DELETE, PROJECTS_TABLE, WORDS
from projects.views import units
from projects.views.units import PROJECT
from runai_cp.lib.toasts import toast


@allow(Action.PROJECT_VIEW)
@require_GET
def project_list(request: HttpRequest) -> HttpResponseBase:
    may_delete = request.actor.allows_somewhere(Action.PROJECT_DELETE)  # type: ignore[attr-defined]
    return render_list(
        request,
        PROJECTS_TABLE,
        units.listed(request, PROJECT),
        "projects/project_list.html",
        bulk=(PROJECTS_DELETE,) if may_delete else (),
        bulk_url="/projects/bulk",
        partial="live",
        dress=units.over,
        summary=_summary,
    )


def _summary(found: Any) -> dict[str, int]:
    departments = found.order_by().values("department_id").distinct().count()
    return units.promised(PROJECT, found) | {"departments": departments}


@allow(Action.PROJECT_VIEW)
@require_GET
def project_detail(request: HttpRequest, project_id: int) -> HttpResponse:
    project = units.one(request, PROJECT, project_id)
    may_submit = request.actor.allows(Action.WORKLOAD_CREATE, project.scope.path)  # type: ignore[attr-defined]
    return units.show(request, PROJECT, project, word=WORDS[project.phase], may_submit=may_submit)


@allow(Action.PROJECT_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def project_create(request: HttpRequest) -> HttpResponse:
    visible = Department.objects.visible_to(request.actor).with_names()  # type: ignore[attr-defined]
    return units.create(
        request,
        PROJECT,
        lambda data, cluster, pools: ProjectForm(data, pools=pools, departments=visible.filter(cluster=cluster)),
    )


@allow(Action.PROJECT_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def project_edit(request: HttpRequest, project_id: int) -> HttpResponse:
    return units.edit(request, PROJECT, units.one(request, PROJECT, project_id))


@allow(Action.PROJECT_DELETE)
@require_POST
def project_delete(request: HttpRequest, project_id: int) -> HttpResponse:
    """Needs the typed name. The page that asks for it, with what is lost, is of the workloads room."""
    project = units.one(request, PROJECT, project_id)
    if request.POST.get("typed", "").strip() != project.name:
        return units.stays(request, PROJECT, project, "The typed name was not the project's.")
    delete_project(actor=request.actor, project=project)  # type: ignore[attr-defined]
    toast(request, f"{project.name} is being deleted", "Its workloads end first, then its namespace is removed.")
    return redirect("projects:project_list")
