"""The scope bar: which part of the tree a person looks at. In the URL, remembered in the session, never a permission.

``?scope=ID`` chooses; ``?scope=all`` forgets. What may be seen is still ``visible_to``'s work alone.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from access.grants import Actor, ancestors
from access.models import Scope, ScopeKind

KINDS = (ScopeKind.CLUSTER, ScopeKind.DEPARTMENT, ScopeKind.PROJECT)
MENU_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen subtree; ``path`` is empty for everything. ``names`` by kind, for the bar."""

    path: str = ""
    scope_id: int | None = None
    kind: str = ""
    names: tuple[tuple[str, str], ...] = ()

    def name(self, kind: str) -> str:
        return dict(self.names).get(kind, "")


def chosen(request: HttpRequest) -> Chosen:
    """Read once per request; a scope that is gone or foreign counts as everything."""
    known = getattr(request, "_chosen_scope", None)
    if known is None:
        known = _read(request)
        request._chosen_scope = known  # type: ignore[attr-defined]
    return known


def _read(request: HttpRequest) -> Chosen:
    wanted = request.GET.get("scope")
    if wanted == "all":
        if "scope" in request.session:
            del request.session["scope"]
        return Chosen()
    if wanted and wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        row = visible_scopes(request.actor).filter(pk=int(wanted), kind__in=KINDS).first()  # type: ignore[attr-defined]
        path = row.path if row else ""
        if path and request.session.get("scope") != path:
            request.session["scope"] = path
    else:
        path = request.session.get("scope", "")
    return _chain(request.actor, path) if path else Chosen()  # type: ignore[attr-defined]


def _chain(actor: Actor, path: str) -> Chosen:
    rows = {row.path: row for row in visible_scopes(actor).filter(path__in=[*ancestors(path), path])}
    if path not in rows:
        return Chosen()
    own = rows[path]
    return Chosen(path, own.pk, own.kind, tuple((row.kind, row.name) for row in rows.values()))


def visible_scopes(actor: Actor) -> QuerySet[Scope]:
    """Scopes the actor holds any role on, and those above and below them."""
    condition = Q(pk=None)
    for path in {grant.path for grant in actor.grants}:
        condition |= Q(path__startswith=path) | Q(path__in=ancestors(path))
    return Scope.objects.filter(condition)


def narrow(request: HttpRequest, rows: Any, lookup: str | None = None) -> Any:
    """The rows of a list inside the chosen scope. ``lookup`` defaults to the QuerySet's own ``SCOPE_PATH``.

    Models above the chosen scope (the cluster of a chosen project) stay visible.
    """
    path = chosen(request).path
    if not path:
        return rows
    lookup = lookup or rows.SCOPE_PATH
    condition = Q(**{f"{lookup}__startswith": path})
    if getattr(rows, "VISIBLE_FROM_BELOW", False):
        condition |= Q(**{f"{lookup}__in": ancestors(path)})
    return rows.filter(condition)


def cluster_path(request: HttpRequest) -> str:
    """Path of the chosen cluster, whatever was chosen below it: supply (nodes, pools) is narrowed by cluster only."""
    parts = chosen(request).path.strip("/").split("/")
    return f"/{parts[0]}/{parts[1]}/" if len(parts) > 1 else ""


def options(request: HttpRequest, kind: str, words: str = "") -> list[Scope]:
    """What one menu of the bar offers: scopes of that kind, inside what is chosen above it."""
    rows = visible_scopes(request.actor).filter(kind=kind).order_by("name", "pk")  # type: ignore[attr-defined]
    depth = {"cluster": 1, "department": 2, "project": 3}[kind]
    parts = chosen(request).path.strip("/").split("/")[:depth]
    if chosen(request).path and len(parts) == depth:
        rows = rows.filter(path__startswith="/" + "/".join(parts) + "/")
    if words:
        rows = rows.filter(name__icontains=words)
    return list(rows.select_related("parent")[:MENU_LIMIT])
