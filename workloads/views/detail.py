"""One workload: the sentence first, then tabs. Every tab is its own address and refreshes its own part."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from access.guard import allow
from access.models import AuditEntry
from access.roles import Action
from runai_cp.lib.htmx import render_page
from runai_cp.lib.paging import pages
from workloads.models import Event, Pod, Workload
from workloads.services import delivery, history, workload_yaml
from workloads.views.lifecycle import may, one
from workloads.views.why import why

PAGE = 100


def head(request: HttpRequest, workload: Workload, tab: str) -> dict[str, Any]:
    """What every tab shows above itself; the usage room's metrics tab too."""
    return {
        "workload": workload,
        "tab": tab,
        "may": may(request, workload),
        "delivery": delivery(workload),
        "pods": Pod.objects.of(workload.pk).present().count(),
        "events": Event.objects.of(workload.pk).count(),
        "done": workload.is_final,
        "facts": _facts(workload),
    }


def _facts(workload: Workload) -> list[tuple[str, str]]:
    waited = (workload.started_at - workload.created_at).total_seconds() if workload.started_at else None
    return [
        ("waited", "" if waited is None else str(waited)),
        ("pools", ", ".join(workload.requested_node_pools) or "the project's own order"),
        (
            "source",
            {"Other": "with kubectl", "CLI": "from the command line"}.get(workload.source, "from console or API"),
        ),
    ]


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_detail(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    workload = one(request, workload_id)
    pods = list(Pod.objects.of(workload.pk).present()[:20])
    context = head(request, workload, "overview") | {
        "why": why(workload) if workload.phase == "Pending" and workload.deleted_at is None else None,
        "own_pods": pods,
        "recent": history(workload, offset=0, limit=8),
        "compute": workload.spec.get("compute") or {},
        "simulated": any(pod.simulated for pod in pods),
    }
    return render_page(request, "workloads/workload_detail.html", context, "live")


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_pods(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    workload = one(request, workload_id)
    rows = Pod.objects.of(workload.pk)
    page = pages(rows.count(), request.GET.get("page"), PAGE)
    context = head(request, workload, "pods") | {"own_pods": rows[page.offset : page.offset + PAGE], "pages": page}
    return render_page(request, "workloads/workload_pods.html", context, "live")


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_events(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    workload = one(request, workload_id)
    context = head(request, workload, "events")
    page = pages(context["events"], request.GET.get("page"), PAGE)
    rows = Event.objects.of(workload.pk)[page.offset : page.offset + PAGE]
    return render_page(request, "workloads/workload_events.html", context | {"rows": rows, "pages": page}, "live")


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_manifest(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    workload = one(request, workload_id)
    context = head(request, workload, "yaml") | {"yaml": workload_yaml(workload)}
    return render_page(request, "workloads/workload_manifest.html", context, "live")


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_history(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    """Every change of phase with its sentence, the events between them, and who did what."""
    workload = one(request, workload_id)
    acts = AuditEntry.objects.filter(entity_type="workload", entity_id=str(workload.pk)).order_by("-at")[:PAGE]
    context = head(request, workload, "history") | {
        "records": history(workload, offset=0, limit=PAGE),
        "acts": acts if request.actor.allows_somewhere(Action.AUDIT_VIEW) else None,  # type: ignore[attr-defined]
    }
    return render_page(request, "workloads/workload_history.html", context, "live")
