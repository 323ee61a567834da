"""Rows that no table of the database holds alone (roles of the platform beside the tenant's own), with as much of a
QuerySet as lists ask for: conditions, order, pieces, a count. ``Listing`` and ``Table`` take either.

Conditions mean what PostgreSQL makes of them: nothing compares with null, and nulls come last going up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from django.db.models import Model, Q

_MORE = ("in", "isnull")
"""Operators that look at null too; those of ``_OPERATORS`` never meet it."""


class Shelf:
    """``read`` brings the rows; it is asked anew by every list that is made of this one, as a QuerySet asks its
    database. ``model`` is the one whose key the rows' ``pk`` are."""

    def __init__(self, model: type[Model], read: Callable[[], Iterable[Any]], order: tuple[str, ...] = ()) -> None:
        self.model, self._read, self._order = model, read, order

    def filter(self, *conditions: Q, **lookups: Any) -> Self:
        wanted = Q(*conditions, **lookups)
        return self._with(lambda: (row for row in self._read() if _holds(wanted, row)), self._order)

    def order_by(self, *order: str) -> Self:
        return self._with(self._read, order)

    def none(self) -> Self:
        return self._with(tuple, self._order)

    def count(self) -> int:
        return sum(1 for _ in self._read())

    def exists(self) -> bool:
        return any(True for _ in self._read())

    def __iter__(self) -> Iterator[Any]:
        rows = list(self._read())
        for path in reversed(self._order):
            rows.sort(key=lambda row, path=path: _rank(_at(row, path.lstrip("-"))), reverse=path.startswith("-"))
        return iter(rows)

    def __getitem__(self, piece: slice) -> list[Any]:
        return list(self)[piece]

    def _with(self, read: Callable[[], Iterable[Any]], order: tuple[str, ...]) -> Self:
        return type(self)(self.model, read, order)


def _holds(condition: Q, row: Any) -> bool:
    parts = [_holds(part, row) if isinstance(part, Q) else _compares(row, *part) for part in condition.children]
    met = all(parts) if condition.connector == Q.AND or not parts else any(parts)
    return met != condition.negated


def _compares(row: Any, lookup: str, wanted: Any) -> bool:
    path, _, operator = lookup.rpartition("__")
    if operator not in _MORE and operator not in _OPERATORS:
        path, operator = lookup, "exact"
    value = _at(row, path)
    if operator == "isnull" or wanted is None:
        return (value is None) == (wanted is None or wanted)
    if operator == "in":
        return value in wanted
    return value is not None and _OPERATORS[operator](value, wanted)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "exact": lambda value, wanted: value == wanted,
    "icontains": lambda value, wanted: wanted.upper() in value.upper(),
    "istartswith": lambda value, wanted: value.upper().startswith(wanted.upper()),
    "iendswith": lambda value, wanted: value.upper().endswith(wanted.upper()),
    "gt": lambda value, wanted: _rank(value) > _rank(wanted),
    "gte": lambda value, wanted: _rank(value) >= _rank(wanted),
    "lt": lambda value, wanted: _rank(value) < _rank(wanted),
    "lte": lambda value, wanted: _rank(value) <= _rank(wanted),
}


def _rank(value: Any) -> tuple[bool, Any, Any]:
    """What rows sort by: text first without its case, as people look for it."""
    if value is None:
        return True, 0, 0
    return (False, value.casefold(), value) if isinstance(value, str) else (False, value, 0)


def _at(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = None if row is None else getattr(row, step)
    return row
