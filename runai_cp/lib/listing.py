"""Filter, sort, search, page and count a QuerySet in the words of the public API (runai-api.md section c).

A list declares its fields once; the API, the console and exports read the same declaration.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime

from runai_cp.lib.cursor import after, make
from runai_cp.lib.errors import FieldError, Invalid

OPERATORS = ("==", "!=", "<=", ">=", "=@", "!@", "=^", "=$")
_LOOKUP = {
    "==": "exact",
    "!=": "exact",
    "<=": "lte",
    ">=": "gte",
    "=@": "icontains",
    "!@": "icontains",
    "=^": "istartswith",
    "=$": "iendswith",
}
_TEXT_ONLY = {"=@", "!@", "=^", "=$"}
_STRAY = re.compile(r",\s*([A-Za-z_]\w{0,60})(?:==|!=|<=|>=|=@|!@|=\^|=\$)")
"""Inside a value this is a filter on a field that the list does not have."""
DEFAULT_LIMIT = 50
MAX_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Field:
    """One filterable field: ``path`` is the ORM lookup, ``kind`` the type values are read as."""

    path: str
    kind: type = str
    sortable: bool = True
    filterable: bool = True


@dataclass(frozen=True, slots=True)
class Filter:
    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What one request asks of a list."""

    filters: tuple[Filter, ...] = ()
    search: str = ""
    sort_by: str = ""
    descending: bool = False
    offset: int = 0
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    """Set when the caller pages by cursor; empty on the first page."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    offset: int
    next: int | None
    """Offset of the next page; None on the last."""
    cursor: str | None = None
    """Cursor of the next page for who pages by cursor; None on the last."""

    def envelope(self, key: str, shown: Sequence[Any]) -> dict[str, Any]:
        """``{key: shown}`` with ``next`` or ``nextCursor`` where another page follows."""
        more = {"next": self.next, "nextCursor": self.cursor}
        return {key: shown} | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Listing:
    """The declaration of a list. ``default_sort`` is an ORM ordering; the primary key is added as a tie-break."""

    fields: Mapping[str, Field]
    search_paths: tuple[str, ...] = ()
    default_sort: tuple[str, ...] = ("-created_at",)
    max_limit: int = MAX_LIMIT
    default_limit: int = DEFAULT_LIMIT
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (re.escape(name) for name, item in self.fields.items() if item.filterable)
        names = "|".join(sorted(known, key=len, reverse=True)) or "(?!)"
        operators = "|".join(re.escape(item) for item in OPERATORS)
        object.__setattr__(self, "_pattern", re.compile(rf"(?:^|,)({names})({operators})"))

    def parse(self, params: Mapping[str, Any]) -> ListQuery:
        """Read ``filterBy``, ``search``, ``sortBy``, ``sortOrder``, ``offset`` and ``limit``. Raises ``Invalid``."""
        raw = params.getlist("filterBy") if hasattr(params, "getlist") else params.get("filterBy", [])
        errors: list[FieldError] = _nulls(params)
        filters = tuple(item for text in raw if text for item in self._filters(text, errors))
        query = ListQuery(
            filters=filters,
            search=str(params.get("search", "")).strip(),
            sort_by=self._sort_by(str(params.get("sortBy", "")), errors),
            descending=self._descending(str(params.get("sortOrder", "") or "asc"), errors),
            offset=_integer(params, "offset", 0, 0, None, errors),
            limit=_integer(params, "limit", self.default_limit, 1, self.max_limit, errors),
            cursor=str(params["cursor"]) if "cursor" in params else None,
        )
        if query.cursor is not None and query.offset:
            errors.append(FieldError("offset", "cannot be used together with cursor", query.offset))
        if errors:
            raise Invalid(*errors)
        return query

    def _filters(self, text: str, errors: list[FieldError]) -> list[Filter]:
        if "\x00" in text:
            errors.append(FieldError("filterBy", "must not hold a NUL character"))
            return []
        # A comma inside a value looks like the separator: split only where a known field and an operator follow.
        hits = list(self._pattern.finditer(text))
        if not hits or hits[0].start() != 0:
            allowed = [name for name, item in self.fields.items() if item.filterable]
            message = f"expected FIELD OPERATOR VALUE with a field of {allowed} and an operator of {list(OPERATORS)}"
            errors.append(FieldError("filterBy", message, text, allowed))
            return []
        ends = [hit.start() for hit in hits[1:]] + [len(text)]
        found = [Filter(hit[1], hit[2], text[hit.end() : end]) for hit, end in zip(hits, ends, strict=True)]
        for item in found:
            if stray := _STRAY.search(item.value):
                allowed = [name for name, known in self.fields.items() if known.filterable]
                errors.append(FieldError("filterBy", f"unknown field; allowed are {allowed}", stray[1], allowed))
        return found

    def _sort_by(self, name: str, errors: list[FieldError]) -> str:
        # Some clients on Python 3.11 send the enum's full name ("ProjectFilterSortFields.NAME"): runai-api.md c.10.
        short = name.rsplit(".", 1)[-1]
        match = next((key for key in self.fields if key.lower() == short.replace("_", "").lower()), "")
        allowed = [key for key, item in self.fields.items() if item.sortable]
        if name and match not in allowed:
            errors.append(FieldError("sortBy", f"unknown field; allowed are {allowed}", name, allowed))
        return match if name else ""

    def _descending(self, order: str, errors: list[FieldError]) -> bool:
        if order.lower() not in {"asc", "desc"}:
            errors.append(FieldError("sortOrder", "allowed are asc and desc", order, ["asc", "desc"]))
        return order.lower() == "desc"

    def filtered(self, rows: "QuerySet[Any]", query: ListQuery) -> "QuerySet[Any]":
        """Rows that match every filter and the search text. Raises ``Invalid`` for a value of the wrong type."""
        for item in query.filters:
            rows = rows.filter(self._condition(item))
        if query.search:
            anywhere = Q()
            for path in self.search_paths:
                anywhere |= Q(**{f"{path}__icontains": query.search})
            rows = rows.filter(anywhere)
        return rows

    def _condition(self, item: Filter) -> Q:
        declared = self.fields[item.field]
        if item.operator in _TEXT_ONLY and declared.kind is not str:
            raise Invalid(FieldError("filterBy", f"{item.field} is no text: use ==, !=, <= or >=", item.value))
        value = item.value if item.operator in _TEXT_ONLY else _value(declared.kind, item)
        condition = Q(**{f"{declared.path}__{_LOOKUP[item.operator]}": value})
        return ~condition if item.operator.startswith("!") else condition

    def order(self, query: ListQuery) -> tuple[str, ...]:
        """The ORM ordering, with the primary key as a tie-break."""
        order = self.default_sort
        if query.sort_by:
            order = (("-" if query.descending else "") + self.fields[query.sort_by].path,)
        return order if order[-1].lstrip("-") in ("pk", "id") else (*order, "pk")

    def ordered(self, rows: "QuerySet[Any]", query: ListQuery) -> "QuerySet[Any]":
        return rows.order_by(*self.order(query))

    def page(self, rows: "QuerySet[Any]", query: ListQuery) -> Page:
        """One page; asks for one row more than the page to know whether another follows (no count query)."""
        rows = self.ordered(self.filtered(rows, query), query)
        if query.cursor is not None:
            return self._page_by_cursor(rows, query, query.cursor)
        found = list(rows[query.offset : query.offset + query.limit + 1])
        more = len(found) > query.limit
        return Page(found[: query.limit], query.offset, query.offset + query.limit if more else None)

    def _page_by_cursor(self, rows: "QuerySet[Any]", query: ListQuery, cursor: str) -> Page:
        order = self.order(query)
        try:
            found = list((rows.filter(after(cursor, order)) if cursor else rows)[: query.limit + 1])
        except (ValueError, TypeError, ValidationError) as error:
            raise Invalid(FieldError("cursor", "is not one that this list gave for this order", cursor[:80])) from error
        more = len(found) > query.limit
        shown = found[: query.limit]
        return Page(shown, 0, None, make(shown[-1], order) if more else None)

    def count(self, rows: "QuerySet[Any]", query: ListQuery) -> int:
        return self.filtered(rows, query).count()

    def with_limit(self, query: ListQuery, limit: int) -> ListQuery:
        return replace(query, limit=limit)


def _nulls(params: Mapping[str, Any]) -> list[FieldError]:
    """PostgreSQL has no NUL in text: one anywhere in the question is a wrong question."""
    bad = [name for name in params if "\x00" in name or "\x00" in str(params.get(name))]
    return [FieldError(name.replace("\x00", "")[:40], "must not hold a NUL character") for name in bad]


def _integer(
    params: Mapping[str, Any], name: str, default: int, low: int, high: int | None, errors: list[FieldError]
) -> int:
    text = str(params.get(name, "") or default)
    number = int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else None
    if number is None or number < low or (high is not None and number > high):
        allowed = f"{low} to {high}" if high is not None else f"at least {low}"
        errors.append(FieldError(name, f"must be a whole number, {allowed}", text, allowed))
        return default
    return number


def _value(kind: type, item: Filter) -> object:
    try:
        if kind is datetime:
            moment = parse_datetime(item.value)
            if moment is None:
                raise ValueError("not a date")
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if kind is bool:
            return {"true": True, "false": False}[item.value.lower()]
        return UUID(item.value) if kind is UUID else kind(item.value)
    except (ValueError, KeyError) as error:
        message = f"{item.field} needs a value of type {kind.__name__.lower()}"
        raise Invalid(FieldError("filterBy", message, item.value, kind.__name__.lower())) from error


def model_name(rows: "QuerySet[Model]") -> str:
    return str(rows.model._meta.verbose_name)
