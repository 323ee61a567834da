"""What the cells of a quota grid would do to running and waiting workloads: the part of its review dialog."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from access.grants import Actor
from access.guard import allow
from access.roles import Action
from projects.services.grid import merged
from projects.views.grid import read_changes, refusal
from runai_cp.lib.errors import DomainError
from workloads.services.effect import preview

SHARES = 8
NAMED = 5
"""Fair shares, and workloads of each kind, that the dialog names; the counts are of all."""


@allow(Action.PROJECT_UPDATE)
@require_POST
def quota_preview(request: HttpRequest) -> HttpResponse:
    """Reads, writes nothing. What cannot be read or seen is answered as a save would."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    try:
        cluster, changes = read_changes(actor, request)
        found = preview(actor=actor, cluster=cluster, changes=merged(changes))
    except DomainError as error:
        return refusal(request, error)
    kinds = [
        ("makes room", "make room", "st-terminating", "warn", found.reclaimed),
        ("starts", "start", "st-running", "ok", found.starting),
        ("waits longer", "wait longer", "st-pending", "wait", found.delayed),
    ]
    context = {
        "found": found,
        "kinds": [(*kind[:4], kind[4], kind[4].workloads[:NAMED]) for kind in kinds],
        "quiet": not (found.reclaimed.total or found.starting.total or found.delayed.total),
        "shares": found.shares[:SHARES],
        "more_shares": max(0, len(found.shares) - SHARES),
    }
    return render(request, "workloads/quota_preview.html", context)
