"""``TelemetryResponse`` of the public API: one type, values now, grouped by at most two keys."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.renderers import timestamp

MAX_GROUPS = 2


def choice(request: Request, name: str, allowed: Iterable[str], declined: Mapping[str, str] = {}) -> str:
    """A query parameter that must be one of some words. Raises ``Invalid``; with the reason for words that the public
    API has and we do not answer (``declined``).
    """
    known = list(allowed)
    value = request.query_params.get(name, "")
    if value in declined:
        raise Invalid(FieldError(name, f"is not served: {declined[value]}", value, known))
    if value not in known:
        raise Invalid(FieldError(name, f"must be one of {', '.join(known)}", value or None, known))
    return str(value)


def groups_of(request: Request, allowed: Iterable[str]) -> list[str]:
    """``groupBy``, comma-separated. Raises ``Invalid`` for an unknown key and for more than two."""
    known = list(allowed)
    keys = [key for text in request.query_params.getlist("groupBy") for key in text.split(",") if key]
    if len(keys) > MAX_GROUPS or len(set(keys)) != len(keys) or not set(keys) <= set(known):
        raise Invalid(FieldError("groupBy", f"must be at most two of {', '.join(known)}", keys, known))
    return keys


def grouped(
    rows: Iterable[Mapping[str, Any]], keys: Mapping[str, str], value: Callable[[Any], float]
) -> list[tuple[list[tuple[str, str]], float]]:
    """Sums of ``value`` over the rows by the columns of ``keys`` (name → column); one sum where there are none."""
    sums: dict[tuple[str, ...], float] = {} if keys else {(): 0.0}
    for row in rows:
        group = tuple(str(row[column]) for column in keys.values())
        sums[group] = sums.get(group, 0.0) + float(value(row))
    return [(list(zip(keys, group, strict=True)), amount) for group, amount in sorted(sums.items())]


def answer(kind: str, values: Iterable[tuple[list[tuple[str, str]], float]], names: Mapping[str, str] = {}) -> Response:
    """``names``: what people call a group's value, where it is an id."""
    shown = [
        {
            "value": f"{amount:.6f}".rstrip("0").rstrip("."),
            "groups": [
                {"key": key, "value": group} | ({"name": names[group]} if group in names else {})
                for key, group in groups
            ],
        }
        for groups, amount in values
    ]
    return Response({"type": kind, "timestamp": timestamp(datetime.now(UTC)), "values": shown})
