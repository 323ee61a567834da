"""The log tab: a page that opens a stream through the cluster's link and reads it piece by piece."""

import uuid

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from access.guard import allow
from access.roles import Action
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from workloads.models import Pod
from workloads.services import read_workload_log
from workloads.views.detail import head
from workloads.views.lifecycle import one


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_logs(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    """Only real pods have a log: a simulated one runs nothing, and the page says so."""
    workload = one(request, workload_id)
    rows = list(Pod.objects.of(workload.pk)[:200])
    wanted = request.GET.get("pod", "")
    context = head(request, workload, "logs") | {
        "real": [pod for pod in rows if not pod.simulated and pod.node],
        "simulated": [pod for pod in rows if pod.simulated],
        "waiting": [pod for pod in rows if not pod.simulated and not pod.node],
        "wanted": wanted,
    }
    return render_page(request, "workloads/workload_logs.html", context)


@allow(Action.WORKLOAD_VIEW)
@require_POST
def log_open(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    workload = one(request, workload_id)
    try:
        part = read_workload_log(
            actor=request.actor,  # type: ignore[attr-defined]
            workload=workload,
            pod=request.POST.get("pod", "")[:253],
            follow=True,
            tail=2000,
        )
    except DomainError as error:
        return JsonResponse({"error": error.message}, status=error.status)
    if part.stream is None:
        return JsonResponse({"error": part.error or "There is no pod to read from."})
    return JsonResponse({"stream": str(part.stream), "pod": part.pod})


@allow(Action.WORKLOAD_VIEW)
@never_cache
@require_GET
def log_read(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    """``{data, next, ended, error}`` from ``offset`` on. A wrong stream or offset is an error, never another's log."""
    workload = one(request, workload_id)
    try:
        stream, offset = uuid.UUID(request.GET.get("stream", "")), int(request.GET.get("offset", "0"))
        part = read_workload_log(actor=request.actor, workload=workload, stream=stream, offset=offset)  # type: ignore[attr-defined]
    except ValueError:
        return JsonResponse({"error": "stream must be an id and offset a number"}, status=400)
    except DomainError as error:
        return JsonResponse({"error": error.message}, status=error.status)
    return JsonResponse({"data": part.text, "next": part.next_offset, "ended": part.ended, "error": part.error})
