"""Pages that do not slip while rows come and go: a cursor is the sort values of the last row that was shown.

The next page is what sorts after them, so a row that is written or removed meanwhile is neither repeated nor skips
another. A cursor is opaque to clients and bound to the order it was made for; it opens nothing: filters and
permissions apply to every page anew.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q

from runai_cp.lib.errors import FieldError, Invalid

_READERS: dict[str, Callable[[Any], Any]] = {"d": datetime.fromisoformat, "u": UUID, "n": Decimal}
LONGEST = 4096


def make(row: Any, order: Sequence[str]) -> str:
    """The cursor after ``row`` in an ORM ordering such as ``("-created_at", "pk")``."""
    values = [_pack(_value_of(row, path.lstrip("-"))) for path in order]
    text = json.dumps([list(order), values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after(cursor: str, order: Sequence[str]) -> Q:
    """The condition for rows behind the cursor. Raises ``Invalid`` for a cursor that is broken or of another order."""
    conditions, equal = Q(pk__in=()), Q()
    for path, value in zip(order, _read(cursor, order), strict=True):
        conditions |= equal & _beyond(path, value)
        bare = path.lstrip("-")
        equal &= Q(**{f"{bare}__isnull": True}) if value is None else Q(**{bare: value})
    return conditions


def _beyond(path: str, value: Any) -> Q:
    """What follows a value: PostgreSQL puts nulls last going up and first going down."""
    bare = path.lstrip("-")
    null = Q(**{f"{bare}__isnull": True})
    if path.startswith("-"):
        return ~null if value is None else Q(**{f"{bare}__lt": value})
    return Q(pk__in=()) if value is None else Q(**{f"{bare}__gt": value}) | null


def _read(cursor: str, order: Sequence[str]) -> list[Any]:
    wrong = Invalid(FieldError("cursor", "is not one that this list gave for this order", cursor[:80]))
    if len(cursor) > LONGEST:
        raise wrong
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        unpacked = [_unpack(item) for item in values]
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, binascii.Error) as error:
        raise wrong from error
    if made_for != list(order) or len(unpacked) != len(order):
        raise wrong
    return unpacked


def _value_of(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = None if row is None else row[int(step)] if step.isdigit() else getattr(row, step)
    return row


def _pack(value: Any) -> list[Any]:
    if isinstance(value, datetime):
        return ["d", value.isoformat()]
    if isinstance(value, UUID):
        return ["u", str(value)]
    if isinstance(value, Decimal):
        return ["n", str(value)]
    return ["", value]


def _unpack(item: Any) -> Any:
    kind, value = item
    if kind:
        return _READERS[kind](value)
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("a character that the database does not know")
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise TypeError("no plain value")
    return value
