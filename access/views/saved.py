"""Views of lists that a person keeps under a name: their own, and nobody else's."""

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from access.guard import SIGNED_IN, allow
from access.lists import back_to
from access.models import SavedView
from access.services.saved_views import save_view
from runai_cp.lib.errors import DomainError
from runai_cp.lib.toasts import toast


@allow(SIGNED_IN)
@require_POST
def view_save(request: HttpRequest) -> HttpResponse:
    """``page``, ``name`` and the list's ``query``; a name that exists is overwritten."""
    try:
        row = save_view(
            actor=request.actor,  # type: ignore[attr-defined]
            page=request.POST.get("page", ""),
            name=request.POST.get("name", ""),
            query=request.POST.get("query", ""),
        )
        toast(request, f"The view {row.name} is kept")
    except DomainError as error:
        toast(request, "The view was not kept", error.message, "bad")
    return HttpResponseRedirect(back_to(request, "/"))


@allow(SIGNED_IN)
@require_POST
def view_delete(request: HttpRequest, view_id: uuid.UUID) -> HttpResponse:
    row = get_object_or_404(SavedView, pk=view_id, owner_id=request.actor.id)  # type: ignore[attr-defined]
    row.delete()
    toast(request, f"The view {row.name} is gone")
    return HttpResponseRedirect(back_to(request, "/"))
