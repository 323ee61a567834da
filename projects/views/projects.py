"""Projects: list, one, a new one, change, and the request to delete."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.guard import allow
from access.roles import Action
from access.scoping import narrow
from projects.forms import ProjectForm, edit_form
from projects.models import Department, Project
from projects.services import create_project, delete_project, update_project
from projects.views import units
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.listing import Field, Listing, ListQuery
from runai_cp.lib.paging import pages
from runai_cp.lib.toasts import toast

PROJECTS = Listing(
    fields={
        "name": Field("scope__name"),
        "department": Field("department__scope__name"),
        "quota": Field("gpu_quota_milli", int),
        "allocated": Field("gpu_allocated_milli", int),
        "phase": Field("phase"),
    },
    search_paths=("scope__name",),
    default_sort=("department__scope__name", "scope__name"),
)
WORDS = {"Ready": "Ready", "Creating": "Creating", "NotReady": "Not ready", "Deleting": "Deleting"}


@allow(Action.PROJECT_VIEW)
@require_GET
def project_list(request: HttpRequest) -> HttpResponse:
    rows = narrow(request, Project.objects.visible_to(request.actor)).with_names().with_quota()  # type: ignore[attr-defined]
    words, sort = request.GET.get("q", "").strip(), request.GET.get("sort", "")
    sort = sort if sort in PROJECTS.fields else ""
    query = ListQuery(search=words, sort_by=sort, descending=request.GET.get("order") == "desc")
    page = pages(PROJECTS.count(rows, query), request.GET.get("page"))
    found = list(PROJECTS.ordered(PROJECTS.filtered(rows, query), query)[page.offset : page.offset + page.size])
    context = {
        "projects": [(row, WORDS[row.phase], max(0, row.gpu_allocated_milli - row.gpu_quota_milli)) for row in found],
        "quota": sum(row.gpu_quota_milli for row in found),
        "allocated": sum(row.gpu_allocated_milli for row in found),
        "departments": len({row.department_id for row in found}),
        "pages": page,
        "words": words,
    }
    return render_page(request, "projects/project_list.html", context, "live")


def _one(request: HttpRequest, project_id: int) -> Project:
    rows = Project.objects.visible_to(request.actor).with_names().with_quota()  # type: ignore[attr-defined]
    found: Project = get_object_or_404(rows, pk=project_id)
    return found


@allow(Action.PROJECT_VIEW)
@require_GET
def project_detail(request: HttpRequest, project_id: int) -> HttpResponse:
    project = _one(request, project_id)
    actor, path = request.actor, project.scope.path  # type: ignore[attr-defined]
    context = {
        "project": project,
        "word": WORDS[project.phase],
        "rows": units.pool_rows(project),
        "may_edit": actor.allows(Action.PROJECT_UPDATE, path),
        "may_delete": actor.allows(Action.PROJECT_DELETE, path),
        "may_submit": actor.allows(Action.WORKLOAD_CREATE, path),
    }
    return render_page(request, "projects/project_detail.html", context, "live")


@allow(Action.PROJECT_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def project_create(request: HttpRequest) -> HttpResponse:
    cluster = units.cluster_of(request)
    departments = Department.objects.visible_to(request.actor).filter(cluster=cluster).with_names()  # type: ignore[attr-defined]
    form = ProjectForm(request.POST or None, pools=units.pools_of(cluster), departments=departments)
    if cluster and request.method == "POST" and form.is_valid():
        try:
            wanted = form.to_request(cluster)
            made = units.create_once(
                request,
                form,
                "project",
                lambda: create_project(actor=request.actor, request=wanted),  # type: ignore[attr-defined]
            )
            toast(request, f"Project {wanted.name} was created", "Its namespace and queues appear in the cluster now.")
            return redirect("projects:project_detail", made)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "cluster": cluster, "clusters": units.clusters_to_choose(request), "kind": "project"}
    return render_page(request, "projects/unit_form.html", context, status=422 if form.errors else 200)


@allow(Action.PROJECT_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def project_edit(request: HttpRequest, project_id: int) -> HttpResponse:
    project = _one(request, project_id)
    form = edit_form(project, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            update_project(actor=request.actor, project=project, request=form.to_update())  # type: ignore[attr-defined]
            toast(request, f"{project.name} was changed", "The quota takes effect in the next scheduling cycle.")
            return redirect("projects:project_detail", project_id)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "unit": project, "cluster": project.cluster, "kind": "project"}
    return render_page(request, "projects/unit_form.html", context, status=422 if form.errors else 200)


@allow(Action.PROJECT_DELETE)
@require_POST
def project_delete(request: HttpRequest, project_id: int) -> HttpResponse:
    """Needs the typed name. The page that asks for it, with what is lost, is of the workloads room."""
    project = _one(request, project_id)
    if request.POST.get("typed", "").strip() != project.name:
        toast(request, f"{project.name} stays", "The typed name was not the project's.", "bad")
        return redirect("projects:project_detail", project_id)
    delete_project(actor=request.actor, project=project)  # type: ignore[attr-defined]
    toast(request, f"{project.name} is being deleted", "Its workloads end first, then its namespace is removed.")
    return redirect("projects:project_list")
