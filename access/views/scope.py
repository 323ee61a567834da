"""The menus of the scope bar: small fragments over what the person may see."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from access.guard import SIGNED_IN, allow
from access.scoping import chosen, options


@allow(SIGNED_IN)
@require_GET
def scope_menu(request: HttpRequest, kind: str) -> HttpResponse:
    """The items of one menu, as links back to the list the person is on."""
    ids = [int(part) for part in chosen(request).path.strip("/").split("/") if part]
    depth = {"cluster": 1, "department": 2, "project": 3}[kind]
    at = urlsplit(request.GET.get("at", "/")).path
    context = {
        "kind": kind,
        "scopes": options(request, kind, request.GET.get("q", "")),
        "current": ids[depth] if len(ids) > depth else None,
        "above": ids[depth - 1] if depth > 1 and len(ids) >= depth else "all",
        "at": at if at.startswith("/") and not at.startswith("//") else "/",
    }
    return render(request, "access/_scope_items.html", context)
