"""Who did what: the audit trail, newest first."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from access.guard import allow
from access.models import AuditEntry
from access.roles import Action
from runai_cp.lib.htmx import render_page
from runai_cp.lib.paging import pages


@allow(Action.AUDIT_VIEW)
@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """Entries whose scope the person may audit; those without a scope are the tenant's own."""
    words = request.GET.get("q", "").strip()
    paths = request.actor.paths(Action.AUDIT_VIEW)  # type: ignore[attr-defined]
    reach = Q(pk=None)
    for path in paths:
        reach |= Q(scope_path__startswith=path)
    if any(path.count("/") == 2 for path in paths):
        reach |= Q(scope_path="")
    rows = AuditEntry.objects.filter(reach).order_by("-at", "-id")
    if words:
        rows = rows.filter(
            Q(actor_name__icontains=words) | Q(entity_name__icontains=words) | Q(action__icontains=words)
        )
    page = pages(rows.count(), request.GET.get("page"))
    context = {"entries": rows[page.offset : page.offset + page.size], "pages": page, "words": words}
    return render_page(request, "access/audit_list.html", context)
