"""What goes with a project, one or many, before its end: here, because only this room knows the workloads."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_POST

from access.guard import allow
from access.lists import Impact, run_bulk
from access.roles import Action
from projects.models import Project
from projects.services import delete_project
from projects.tables import PROJECTS_TABLE
from projects.views import units
from runai_cp.lib.htmx import render_page
from workloads.models import Workload

ENDED = frozenset({"Completed", "Failed", "Stopped"})


def _split(counts: Mapping[str, int]) -> tuple[int, int, int]:
    """Running, waiting and ended ones of the numbers by phase."""
    waiting = sum(n for phase, n in counts.items() if phase not in ENDED | {"Running"})
    return counts.get("Running", 0), waiting, sum(n for phase, n in counts.items() if phase in ENDED)


@allow(Action.PROJECT_DELETE)
@require_GET
def project_impact(request: HttpRequest, project_id: int) -> HttpResponse:
    rows = Project.objects.visible_to(request.actor, Action.PROJECT_DELETE).with_names().with_sums()  # type: ignore[attr-defined]
    project = get_object_or_404(rows, pk=project_id)
    running, waiting, ended = _split(Workload.objects.filter(project=project).impact())
    context = {"project": project, "running": running, "waiting": waiting, "ended": ended}
    return render_page(request, "workloads/project_impact.html", context)


@allow(Action.PROJECT_DELETE)
@require_POST
def project_bulk(request: HttpRequest) -> HttpResponse:
    """Delete many of those that the actor may delete, after a page that says what goes with each."""
    actor = request.actor  # type: ignore[attr-defined]
    return run_bulk(
        request,
        PROJECTS_TABLE,
        units.listed(request, units.PROJECT).visible_to(actor, Action.PROJECT_DELETE),
        lambda row: delete_project(actor=actor, project=row),
        label="Delete projects",
        back="/projects/",
        impact=_impact,
    )


def _impact(rows: list[Any]) -> Impact:
    counts = Workload.objects.filter(project__in=rows).by_project()
    parts = [_split(counts.get(row.pk, {})) for row in rows]
    return Impact(
        "Their workloads end first, then their namespaces are removed with everything in them. This cannot be undone.",
        ("running workloads", "waiting workloads", "ended records", "GPUs released"),
        [(*part, row.gpu_allocated_milli / 1000) for part, row in zip(parts, rows, strict=True)],
    )
