"""The least that a number of a spec may be, and the sentence for one that is less."""

from __future__ import annotations

from collections.abc import Iterable

Bound = tuple[str, int | None, int]
"""Name of a field, its value (None: not given) and the least that is allowed."""


def too_small(where: str, bounds: Iterable[Bound]) -> list[str]:
    """A sentence for each value below its bound: field below ``where``, what was given, what is allowed."""
    return [
        f"{where}.{name}: {value} given, must be at least {least}"
        for name, value, least in bounds
        if value is not None and value < least
    ]
