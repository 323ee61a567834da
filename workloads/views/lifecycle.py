"""Suspend, resume, delete: one workload from its page or row, or many from the bulk bar, with the truth per row."""

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from access.guard import allow
from access.lists import run_bulk
from access.roles import Action
from agent.wire.phases import Phase
from runai_cp.lib.errors import DomainError, FieldError, Invalid
from runai_cp.lib.toasts import toast
from workloads.models import DesiredPhase, Workload
from workloads.services import delete_workload, resume_workload, suspend_workload
from workloads.specs.phases import may_resume, may_suspend
from workloads.tables import WORKLOADS_TABLE
from workloads.views.browse import rows_of

ACTS: dict[str, tuple[Callable[..., Workload], str]] = {
    "suspend": (suspend_workload, "stopping"),
    "resume": (resume_workload, "resuming"),
    "delete": (delete_workload, "being deleted"),
}


def one(request: HttpRequest, workload_id: uuid.UUID) -> Workload:
    """The workload, or 404 for one that is not there or not to be seen."""
    found: Workload = get_object_or_404(
        Workload.objects.visible_to(request.actor).with_names(),
        pk=workload_id,  # type: ignore[attr-defined]
    )
    return found


def may(request: HttpRequest, workload: Workload) -> dict[str, bool]:
    """Which acts the person may do now, by permission and by phase."""
    actor, path, phase = request.actor, workload.project.scope.path, Phase(workload.phase)  # type: ignore[attr-defined]
    alive = workload.deleted_at is None
    update = actor.allows(Action.WORKLOAD_UPDATE, path) and alive
    return {
        "suspend": update and may_suspend(phase, workload.desired_phase),
        "resume": update and may_resume(phase, workload.desired_phase),
        "delete": actor.allows(Action.WORKLOAD_DELETE, path)
        and alive
        and workload.desired_phase != DesiredPhase.DELETED,
        "clone": actor.allows(Action.WORKLOAD_CREATE, path),
    }


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_menu(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    """The menu of a row: what may be done with it now."""
    workload = one(request, workload_id)
    return render(request, "workloads/_menu.html", {"workload": workload, "may": may(request, workload)})


@allow(Action.WORKLOAD_UPDATE)
@require_POST
def workload_suspend(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    return _act(request, workload_id, "suspend")


@allow(Action.WORKLOAD_UPDATE)
@require_POST
def workload_resume(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    return _act(request, workload_id, "resume")


@allow(Action.WORKLOAD_DELETE)
@require_POST
def workload_delete(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    return _act(request, workload_id, "delete")


def _act(request: HttpRequest, workload_id: uuid.UUID, verb: str) -> HttpResponse:
    """Do it, say it, and go back to where the person was."""
    workload = one(request, workload_id)
    service, word = ACTS[verb]
    try:
        service(actor=request.actor, workload=workload)  # type: ignore[attr-defined]
        toast(request, f"{workload.name} is {word}", _aftermath(workload, verb))
    except DomainError as error:
        toast(request, f"{workload.name} was left as it is", error.message, "bad")
    if verb == "delete" and not _from_list(request):
        return redirect("workloads:workload_list")
    return HttpResponseRedirect(_back(request))


def _aftermath(workload: Workload, verb: str) -> str:
    gpus = workload.allocated_gpu_milli
    if verb == "resume" or not gpus:
        return ""
    return f"{gpus / 1000:g} GPUs return to {workload.project.name}"


def _back(request: HttpRequest) -> str:
    wanted = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if wanted.startswith("/") and safe else "/workloads/"


def _from_list(request: HttpRequest) -> bool:
    return request.POST.get("back", "").split("?")[0] == "/workloads/"


@allow(Action.WORKLOAD_UPDATE)
@require_POST
def workload_bulk(request: HttpRequest) -> HttpResponse:
    """Stop, resume or delete many; the services decide for each row."""
    verb = request.POST.get("verb", "")
    if verb not in ACTS:
        raise Invalid(FieldError("verb", f"allowed are {', '.join(ACTS)}", verb[:40], list(ACTS)))
    service = ACTS[verb][0]
    label = {"suspend": "Stop workloads", "resume": "Resume workloads", "delete": "Delete workloads"}[verb]
    return run_bulk(
        request,
        WORKLOADS_TABLE,
        rows_of(request, QueryDict(request.POST.get("query", ""))),
        lambda row: service(actor=request.actor, workload=row),  # type: ignore[attr-defined]
        label=label,
        back="/workloads/",
    )
