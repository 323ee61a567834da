"""One list for every console page: ``render_list`` draws a ``Table`` over a QuerySet, answers its exports, knows the
person's saved views; ``run_bulk`` does one act on many rows and tells of each, after a page that asks where it must.

Rooms above use it as the lists of this room do: docs/console.md.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connection, transaction
from django.db.models import Model, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    QueryDict,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django_tenants.utils import schema_context

from access.models import SavedView
from access.scoping import chosen
from access.services.audit import record
from runai_cp.lib.errors import DomainError, FieldError, Invalid
from runai_cp.lib.export import csv_lines
from runai_cp.lib.htmx import render_page
from runai_cp.lib.renderers import ENCODER
from runai_cp.lib.tables import Asked, Bulk, Table, as_filter

BULK_MOST = 1000
"""Rows of one bulk act."""
GONE = "no longer exists"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bulk act did to one row; ``error`` is empty where it worked."""

    name: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Impact:
    """What goes with the rows of an act: ``heads`` ("running workloads"), and a number under each for every row."""

    text: str
    heads: tuple[str, ...]
    rows: list[tuple[float, ...]]

    @property
    def sums(self) -> list[tuple[str, str]]:
        return [
            (f"{sum(column):g}", head) for head, column in zip(self.heads, zip(*self.rows, strict=True), strict=True)
        ]


def render_list(
    request: HttpRequest,
    table: Table,
    rows: "QuerySet[Any]",
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    bulk: tuple[Bulk, ...] = (),
    bulk_url: str = "",
    partial: str | None = None,
    dress: Callable[[list[Any]], Any] | None = None,
    summary: Callable[[Any], Mapping[str, Any]] | None = None,
) -> HttpResponseBase:
    """The page, or the file that ``?export=csv|json`` asks for. ``rows`` is already what the actor may see.

    ``template`` includes ``components/list.html``. ``dress`` is given rows at once (those of the page, or of a piece
    of the file), to add to them what would be a query a row. ``summary`` is given all that match and answers more
    context; a ``total`` in it saves the count. ``bulk`` acts are posted to ``bulk_url``; offer only what the actor
    may do; the form carries the scope that the list was drawn in, since another tab may choose another meanwhile.
    """
    kind = request.GET.get("export")
    asked = table.ask(request.GET)
    if kind in ("csv", "json"):
        return _file(request, asked, rows, kind, dress)
    if request.GET.get("by"):
        return HttpResponseRedirect(request.path + _turned_on(asked))
    matching = asked.matching(rows)
    facts = summary(matching) if summary is not None else {}
    found, page = asked.shown(matching, facts.get("total"))
    if dress is not None:
        dress(found)
    values = {
        **facts,
        "list": asked,
        "table": table,
        "rows": [(table.row_id(row), table.row_name(row), table.mark(row), row) for row in found],
        "pages": page,
        "bulk": bulk,
        "bulk_url": f"{bulk_url}?scope={chosen(request).scope_id or 'all'}" if bulk else "",
        "views": _views(request, table),
    }
    return render_page(request, template, {**(context or {}), **values}, partial)


def run_bulk(
    request: HttpRequest,
    table: Table,
    rows: "QuerySet[Any]",
    act: Callable[[Any], object],
    *,
    label: str,
    back: str,
    impact: Callable[[list[Any]], Impact] | None = None,
) -> HttpResponse:
    """Do ``act`` on the ticked rows (``ids``), or on all that match (``every`` with the list's ``query``).

    Each row is an act of its own: what one refuses stops no other, and the page tells of every row. Safe to repeat:
    rows that are gone are counted and told. ``back`` is the list's path. With ``impact`` a page first says what goes
    with the rows, and nothing is done before its phrase ("delete 3 projects") is typed.
    """
    picked = _chosen(request, table, rows)
    if impact is not None and picked:
        phrase = _phrase(request, table, len(picked))
        if request.POST.get("typed", "").strip() != phrase:
            return _ask(request, table, picked, impact(picked), label=label, back=back, phrase=phrase)
    outcomes = [_outcome(table, rows, row, act) for row in picked]
    failed = sum(1 for item in outcomes if item.error)
    query = request.POST.get("query", "")
    context = {
        "outcomes": outcomes,
        "failed": failed,
        "done": len(outcomes) - failed,
        "missing": max(0, len(_ticked(request)) - len(picked)),
        "label": label,
        "noun": table.noun,
        "back": f"{back}?{query}" if query else back,
    }
    return render(request, "components/bulk_results.html", context, status=207 if failed else 200)


def _phrase(request: HttpRequest, table: Table, count: int) -> str:
    one, many = table.noun.split(",")
    return f"{request.POST.get('verb', '')} {count} {one if count == 1 else many}"


def _ask(
    request: HttpRequest, table: Table, picked: list[Any], impact: Impact, *, label: str, back: str, phrase: str
) -> HttpResponse:
    """What goes with each row; the rows are named in the form, so that no other can come in meanwhile."""
    query = request.POST.get("query", "")
    context = {
        "rows": [
            (table.row_name(row), [f"{n:g}" for n in numbers]) for row, numbers in zip(picked, impact.rows, strict=True)
        ],
        "impact": impact,
        "ids": ",".join(table.row_id(row) for row in picked),
        "verb": request.POST.get("verb", ""),
        "query": query,
        "phrase": phrase,
        "wrong": request.POST.get("typed"),
        "label": label,
        "back": f"{back}?{query}" if query else back,
    }
    return render(request, "components/bulk_ask.html", context, status=422 if context["wrong"] else 200)


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


Act = Callable[[Any], object]


def run_verb(
    request: HttpRequest, table: Table, rows: "QuerySet[Any]", acts: Mapping[str, tuple[str, Act]], *, back: str
) -> HttpResponse:
    """``run_bulk`` of the act that the form names: ``acts`` is verb → (label, act). Raises ``Invalid`` for others."""
    verb = request.POST.get("verb", "")
    if verb not in acts:
        raise Invalid(FieldError("verb", f"allowed are {', '.join(acts)}", verb[:40], list(acts)))
    label, act = acts[verb]
    return run_bulk(request, table, rows, act, label=label, back=back)


def back_to(request: HttpRequest, fallback: str) -> str:
    """Where a form came from (``back``), if that is an address of this console."""
    wanted = request.POST.get("back", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else fallback


def _chosen(request: HttpRequest, table: Table, rows: "QuerySet[Any]") -> list[Any]:
    """Raises ``Invalid`` where "all that match" would be more rows than the list showed: a scope that is gone, or a
    filter that cannot be read, leaves out nothing."""
    if request.POST.get("every") == "yes":
        scope = request.GET.get("scope", "all")
        if scope != "all" and scope != str(chosen(request).scope_id):
            raise Invalid(message="The cluster, department or project that was looked at is gone. Nothing was done.")
        asked = table.ask(QueryDict(request.POST.get("query", "")))
        if asked.problem:
            raise Invalid(message=asked.problem)
        return list(asked.matching(rows)[:BULK_MOST])
    field = rows.model._meta.pk
    good = [value for text in _ticked(request) if (value := _as_key(field, text)) is not None]
    return list(table.listing.ordered(rows.filter(pk__in=good), table.ask(QueryDict("")).query))


def _ticked(request: HttpRequest) -> list[str]:
    """The ids that the form names, each once; none where it means all that match."""
    if request.POST.get("every") == "yes":
        return []
    return list(dict.fromkeys(text for text in request.POST.get("ids", "").split(",") if text))[:BULK_MOST]


def _as_key(field: Any, text: str) -> Any:
    try:
        return field.to_python(text)
    except Exception:  # whatever a field says of text that is no key of its kind
        return None


def _outcome(table: Table, rows: "QuerySet[Any]", row: Any, act: Callable[[Any], object]) -> Outcome:
    """One act, all of it or nothing. The rows were read before the first act began: one that somebody else removed
    meanwhile is told as gone, whatever the act stumbled over, and a fault of another kind is a fault still."""
    name = table.row_name(row)
    if not _there(rows, row):
        return Outcome(name, GONE)
    try:
        with transaction.atomic():
            act(row)
    except (DomainError, ObjectDoesNotExist, Http404, DatabaseError) as error:
        if not _there(rows, row):
            return Outcome(name, GONE)
        if not isinstance(error, DomainError):
            raise
        return Outcome(name, error.message)
    return Outcome(name)


def _there(rows: "QuerySet[Any]", row: Any) -> bool:
    """Whether the row still is. One that only left the list (another phase, another scope) is: its act decides."""
    return rows.filter(pk=row.pk).exists() or (
        isinstance(row, Model) and type(row)._default_manager.filter(pk=row.pk).exists()
    )


def _turned_on(asked: Asked) -> str:
    """A text filter comes as two fields of a form: ``by`` and ``value``."""
    made = as_filter(asked.table, asked.params.get("by", ""), asked.params.get("value", "").strip()[:200])
    return asked.address(f=[*asked.params.getlist("f"), made] if made else asked.params.getlist("f"), page=None)


def _views(request: HttpRequest, table: Table) -> list[SavedView]:
    actor = request.actor  # type: ignore[attr-defined]
    return list(SavedView.objects.filter(owner_id=actor.id, page=table.key).order_by("name"))


def _file(
    request: HttpRequest, asked: Asked, rows: "QuerySet[Any]", kind: str, dress: Callable[[list[Any]], Any] | None
) -> StreamingHttpResponse:
    """All matches, streamed; who took them away is written down first."""
    actor, key, schema = request.actor, asked.table.key, connection.schema_name  # type: ignore[attr-defined]
    record(actor=actor, action="export", entity_type="list", entity_name=key, after={"query": asked.kept, "as": kind})
    found = _records(asked, rows, schema, dress)
    lines = (
        csv_lines([item.key for item in asked.table.columns if not item.page_only], found)
        if kind == "csv"
        else _json(found)
    )
    name = f"{key}-{timezone.now():%Y%m%dT%H%M%SZ}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    media = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
    return StreamingHttpResponse(lines, content_type=media, headers=headers)


def _records(
    asked: Asked, rows: "QuerySet[Any]", schema_name: str, dress: Callable[[list[Any]], Any] | None
) -> Iterator[dict[str, Any]]:
    """The answer is read after the request has left the tenant: each chunk enters its schema again."""
    chunks = asked.chunks(rows)
    while True:
        with schema_context(schema_name):
            chunk = next(chunks, None)
            if chunk and dress is not None:
                dress(chunk)
            records = None if chunk is None else [asked.record(row) for row in chunk]
        if records is None:
            return
        yield from records


def _json(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for index, row in enumerate(rows):
        yield (b",\n" if index else b"\n") + ENCODER.encode(row)
    yield b"\n]\n"
