"""What a console list shows: columns, filters and bulk acts declared once; the address says what somebody wants of it.

Knows no model. ``Listing`` does the filtering and sorting; this reads the address (``q``, ``f``, ``sort``, ``order``,
``columns``, ``page``) and says what to draw. ``access.lists`` adds saved views and writes exports into the audit.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import QueryDict

from runai_cp.lib.errors import Invalid
from runai_cp.lib.listing import OPERATORS, Filter, Listing, ListQuery
from runai_cp.lib.paging import SIZE, Pages, pages

EXPORT_MOST = 100_000
"""Rows of one file; filter to get others."""
CHUNK = 1000
LONGEST = 2000
"""Characters of a query string that is kept as a view."""


@dataclass(frozen=True, slots=True)
class Column:
    """``value`` reads the cell from a row, for the file and, without ``template``, for the page.

    ``template`` draws the cell with ``row`` and ``value``. ``sort`` is a field of the listing. ``hidden`` columns are
    offered by the chooser; a ``fixed`` one cannot be left out; a ``page_only`` one (a menu, a link) is in no file.
    """

    key: str
    label: str
    value: Callable[[Any], Any]
    template: str = ""
    sort: str = ""
    start: str = "asc"
    extra: str = ""
    hidden: bool = False
    fixed: bool = False
    page_only: bool = False


@dataclass(frozen=True, slots=True)
class FilterOn:
    """A filter that the menu offers: fixed ``choices`` as (value, label), or text to contain."""

    field: str
    label: str
    choices: tuple[tuple[str, str], ...] = ()
    operator: str = "=="


@dataclass(frozen=True, slots=True)
class Short:
    """``?param=value`` stands for a filter on ``field``: short addresses that other pages and bookmarks use.

    With ``values`` only those are taken, each for the value it stands for; any other is ignored, so that an old
    bookmark shows more rows and never an error.
    """

    param: str
    field: str
    operator: str = "=="
    values: Mapping[str, str] | None = None

    def filter(self, given: str) -> str:
        """The filter as ``f`` holds it; "" for a value that is none."""
        value = given if self.values is None else self.values.get(given, "")
        return f"{self.field}{self.operator}{value}" if value else ""


@dataclass(frozen=True, slots=True)
class Bulk:
    """An act on the ticked rows: posted as ``verb``. ``warning`` is what its dialog says before it.

    One that ``asks`` leads to a page first, which says what goes with the rows and wants a phrase typed
    (``access.lists.run_bulk`` with an ``impact``).
    """

    verb: str
    label: str
    icon: str
    warning: str = ""
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The declaration of a console list. ``noun`` is "user,users"; ``key`` names it in saved views and files.

    ``mark`` is what a row shows of itself that changes: on a live page the row flashes when it does. ``window`` reads
    one page (rows, offset, size) where a list is long enough to need its own way.
    """

    key: str
    noun: str
    listing: Listing
    columns: tuple[Column, ...]
    filters: tuple[FilterOn, ...] = ()
    placeholder: str = "Name contains"
    row_id: Callable[[Any], str] = field(default=lambda row: str(row.pk))
    row_name: Callable[[Any], str] = field(default=str)
    shorts: tuple[Short, ...] = ()
    mark: Callable[[Any], object] = field(default=lambda row: "")
    window: Callable[[Any, int, int], list[Any]] | None = None

    def ask(self, params: QueryDict) -> "Asked":
        """Read the address. What it says wrongly is said on the page, and left out."""
        params = self._spelled_out(params)
        known = {item.key for item in self.columns}
        chosen = [key for key in params.get("columns", "").split(",") if key in known]
        shown = tuple(
            item for item in self.columns if item.fixed or (item.key in chosen if chosen else not item.hidden)
        )
        asked = {
            "filterBy": [text for text in params.getlist("f") if text][:20],
            "search": params.get("q", "").strip()[:200],
            "sortBy": params.get("sort", ""),
            "sortOrder": params.get("order", ""),
        }
        problem = ""
        try:
            query = self.listing.parse(asked)
        except Invalid as error:
            query, problem = ListQuery(search=asked["search"].replace("\x00", "")), error.message
        return Asked(self, query, shown, problem, params.get("page"), params)

    def _spelled_out(self, params: QueryDict) -> QueryDict:
        """The address with every short form as a filter; it takes the place of others on its field."""
        found = [(item, item.filter(params[item.param].strip()[:254])) for item in self.shorts if item.param in params]
        if not found:
            return params
        params = params.copy()
        for item, text in found:
            params.pop(item.param, None)
            if text:
                others = [one for one in params.getlist("f") if not one.startswith(item.field + item.operator)]
                params.setlist("f", [*others, text])
        return params


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on, and the address without it."""

    label: str
    word: str
    value: str
    raw: str
    without: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of a menu: where it leads, and whether it is on."""

    label: str
    href: str
    on: bool = False


@dataclass(frozen=True)
class Asked:
    """What one request wants of a table. Without slots: what a page reads several times is made once."""

    table: Table
    query: ListQuery
    columns: tuple[Column, ...]
    problem: str
    page: str | None
    params: QueryDict

    def matching(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        """All rows that match, in order. A value of the wrong type matches nothing (``problem`` cannot know it)."""
        try:
            return self.table.listing.ordered(self.table.listing.filtered(rows, self.query), self.query)
        except Invalid:
            return rows.none()

    def shown(self, found: "QuerySet[Any]", total: int | None = None, size: int = SIZE) -> tuple[list[Any], Pages]:
        """One page of ``matching`` rows: two queries, one where the caller has counted them (``total``)."""
        page = pages(found.order_by().count() if total is None else total, self.page, size)
        if self.table.window is not None:
            return self.table.window(found, page.offset, page.size), page
        return list(found[page.offset : page.offset + page.size]), page

    def chunks(self, rows: "QuerySet[Any]") -> Iterator[list[Any]]:
        """All matches by the thousand, by keyset: what is written meanwhile neither repeats nor skips a row.

        A value of the wrong type matches nothing, as on the page: the file has begun when the rows are read.
        """
        listing, cursor, sent = self.table.listing, "", 0
        try:
            listing.filtered(rows, self.query)
        except Invalid:
            return
        while sent < EXPORT_MOST:
            query = ListQuery(
                filters=self.query.filters,
                search=self.query.search,
                sort_by=self.query.sort_by,
                descending=self.query.descending,
                limit=CHUNK,
                cursor=cursor,
            )
            page = listing.page(rows, query)
            yield list(page.rows)
            sent += len(page.rows)
            if not page.cursor:
                return
            cursor = page.cursor

    def record(self, row: Any) -> dict[str, Any]:
        """A row of a file: every column, by its key; the page's choice of columns is for the eye."""
        return {column.key: column.value(row) for column in self.table.columns if not column.page_only}

    @cached_property
    def chips(self) -> list[Chip]:
        filters = {item.field: item for item in self.table.filters}
        made = []
        for one in self.query.filters:
            raw = f"{one.field}{one.operator}{one.value}"
            known = filters.get(one.field)
            words = dict(known.choices) if known else {}
            label = known.label if known else one.field
            made.append(Chip(label, _WORDS[one.operator], words.get(one.value, one.value), raw, self.without(raw)))
        return made

    @cached_property
    def menu(self) -> list[tuple[FilterOn, list[Choice]]]:
        """Filters with fixed choices, each with the address that turns it on."""
        on = {(one.field, one.value) for one in self.query.filters}
        return [
            (
                item,
                [Choice(label, self.adding(item, value), (item.field, value) in on) for value, label in item.choices],
            )
            for item in self.table.filters
            if item.choices
        ]

    @cached_property
    def texts(self) -> list[FilterOn]:
        return [item for item in self.table.filters if not item.choices]

    @cached_property
    def chooser(self) -> list[Choice]:
        """Columns, each with the address that turns it on or off."""
        shown = [item.key for item in self.columns]
        made = []
        for item in self.table.columns:
            if item.fixed or item.page_only:
                continue
            keys = [key for key in self._keys() if (key in shown) != (key == item.key)]
            made.append(Choice(item.label, self.address(columns=",".join(keys)), item.key in shown))
        return made

    @property
    def narrowed(self) -> bool:
        return bool(self.query.filters or self.query.search)

    @cached_property
    def kept(self) -> str:
        """The query string without the page, as far as a view saves it."""
        return self.matching_query[:LONGEST]

    @property
    def matching_query(self) -> str:
        """The query string without the page, whole: what "all that match" means. Cut, it would match more rows."""
        return self.address(page=None)[1:]

    @property
    def carried(self) -> list[tuple[str, str]]:
        """What a form of a filter must send along, beside the filters."""
        return [(key, self.params[key]) for key in ("q", "sort", "order", "columns") if self.params.get(key)]

    @property
    def kept_with_csv(self) -> str:
        return self.address(page=None, export="csv")

    @property
    def kept_with_json(self) -> str:
        return self.address(page=None, export="json")

    def adding(self, item: FilterOn, value: str) -> str:
        """One value a field: another one of the same field gives way."""
        others = [one for one in self.query.filters if one.field != item.field]
        texts = [f"{one.field}{one.operator}{one.value}" for one in others]
        return self.address(f=[*texts, f"{item.field}{item.operator}{value}"], page=None)

    def without(self, raw: str) -> str:
        texts = [f"{one.field}{one.operator}{one.value}" for one in self.query.filters]
        return self.address(f=[text for text in texts if text != raw], page=None)

    def address(self, **changes: Any) -> str:
        """The present query string with some parameters changed; None or an empty one is dropped."""
        values: dict[str, Any] = {key: self.params.getlist(key) for key in ADDRESS if key in self.params}
        values |= changes
        return "?" + urlencode({key: value for key, value in values.items() if value not in (None, "", [])}, doseq=True)

    def _keys(self) -> list[str]:
        return [item.key for item in self.table.columns if not item.fixed]


ADDRESS = ("q", "f", "sort", "order", "columns", "page")
_WORDS: Mapping[str, str] = {
    "==": "",
    "!=": "not ",
    "<=": "at most ",
    ">=": "at least ",
    "=@": "contains ",
    "!@": "without ",
    "=^": "begins ",
    "=$": "ends ",
}
assert set(_WORDS) == set(OPERATORS)


def as_filter(table: Table, name: str, value: str) -> str:
    """``f`` for a text filter that a form sends as two fields; "" for one that the table does not offer."""
    known = next((item for item in table.filters if item.field == name), None)
    return f"{name}{known.operator}{value}" if known and value else ""


__all__ = ["Asked", "Bulk", "Chip", "Choice", "Column", "Filter", "FilterOn", "Short", "Table", "as_filter"]
