"""What can X do here, and why: the page that answers "why may she delete that?" and "why may I not?"."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from access.forms import scope_label
from access.guard import allow
from access.models import Scope
from access.roles import Action
from access.scoping import visible_scopes
from access.services.explain import Explanation, explain, named_subject
from access.services.scopes import root_scope
from access.views.matrix import VERBS
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page


@allow(Action.ACCESS_RULE_VIEW)
@require_GET
def explain_page(request: HttpRequest) -> HttpResponse:
    """``subject`` (``user:UUID`` or a name) and ``at``, the id of a scope; the whole tenant without one."""
    actor = request.actor  # type: ignore[attr-defined]
    scopes = [
        row
        for row in visible_scopes(actor).select_related("parent").order_by("path")
        if actor.allows(Action.ACCESS_RULE_VIEW, row.path)
    ]
    wanted, at = request.GET.get("subject", "")[:300], request.GET.get("at", "")
    scope = _scope(scopes, at)
    context = {
        "scopes": [(row.pk, scope_label(row)) for row in scopes],
        "at": scope.pk,
        "asked": wanted,
        "problem": "",
        "found": None,
        "verbs": VERBS,
        "tab": "explain",
    }
    if wanted:
        try:
            found = explain(actor=actor, subject=named_subject(wanted), scope=scope)
            context |= {"found": found, "table": _table(found), "asked": found.subject.name}
        except DomainError as error:
            context["problem"] = error.message
    status = 422 if context["problem"] else 200
    return render_page(request, "access/explain.html", context, status=status)


def _scope(scopes: list[Scope], at: str) -> Scope:
    if at:
        return get_object_or_404(
            Scope, pk=int(at) if at.isdigit() and len(at) < 10 else 0, pk__in=[s.pk for s in scopes]
        )
    return scopes[0] if scopes else root_scope()


def _table(found: Explanation) -> list[tuple[str, list[tuple[str, bool, list[str]]]]]:
    """(thing, [(verb, whether the thing knows it, by which rules it is allowed)])."""
    known = {action.value: action for action in Action}
    rows = []
    for thing in dict.fromkeys(action.value.split(".")[0] for action in Action):
        cells = []
        for verb in VERBS:
            action = known.get(f"{thing}.{verb}")
            why = [f"{one.role} in {one.scope.name}" for one in found.by(action)] if action else []
            cells.append((verb, action is not None, why))
        rows.append((thing.replace("-", " "), cells))
    return rows
