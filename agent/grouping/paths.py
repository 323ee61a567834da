"""Values inside an object by a path such as ``spec.replicaSpecs.*.replicas``: names, ``*`` for each value or item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 10**6


def values(obj: Any, path: str) -> list[Any]:
    """Everything at the path, in order; empty where nothing is. A leading dot means nothing."""
    found = [obj]
    for name in path.strip(".").split("."):
        step: list[Any] = []
        for one in found:
            if name == "*":
                step += list(one.values()) if isinstance(one, Mapping) else list(one) if _is_list(one) else []
            elif isinstance(one, Mapping) and one.get(name) is not None:
                step.append(one[name])
        found = step
    return found


def total(obj: Any, path: str) -> int | None:
    """The sum of the whole numbers at the path; an object above a last name that it lacks counts 1, as replicas do.

    None where there is nothing to count.
    """
    above, _, name = path.strip(".").rpartition(".")
    if not above or "*" not in above.split("."):
        numbers = values(obj, path)
    else:
        numbers = [one.get(name, 1) for one in values(obj, above) if isinstance(one, Mapping)]
    counts = [number for number in numbers if isinstance(number, int) and 0 <= number <= MOST]
    return sum(counts) if counts else None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
