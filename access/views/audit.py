"""Who did what: the audit trail, and one entry with what it changed."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from access.guard import allow
from access.lists import render_list
from access.roles import Action
from access.selections import visible_entries
from access.services.settings import setting
from access.tables import AUDIT_TABLE
from runai_cp.lib.htmx import render_page


@allow(Action.AUDIT_VIEW)
@require_GET
def audit_list(request: HttpRequest) -> HttpResponseBase:
    """Entries whose scope the person may audit; those without a scope are the tenant's own."""
    rows = visible_entries(request.actor)  # type: ignore[attr-defined]
    context = {"days": setting("auditRetentionDays")}
    return render_list(request, AUDIT_TABLE, rows, "access/audit_list.html", context)


@allow(Action.AUDIT_VIEW)
@require_GET
def audit_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Every fact of an entry, before beside after, and its place in the chain."""
    entry = get_object_or_404(visible_entries(request.actor), pk=entry_id)  # type: ignore[attr-defined]
    return render_page(
        request, "access/audit_entry.html", {"entry": entry, "changes": changes(entry.before, entry.after)}
    )


def changes(before: Any, after: Any) -> list[tuple[str, str, str, bool]]:
    """(field, before, after, whether they differ), fields that differ first. Nested ones are dotted."""
    old, new = _flat(before), _flat(after)
    rows = [(key, old.get(key, ""), new.get(key, ""), old.get(key) != new.get(key)) for key in {**old, **new}]
    return sorted(rows, key=lambda row: (not row[3], row[0]))


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, item in value.items():
            found |= _flat(item, f"{name}.{key}" if name else str(key))
        return found
    if value is None and not name:
        return {}
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return {name or "value": text}
