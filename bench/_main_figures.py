"""Figures of ``bench main``: percentiles, and one line a figure with its target beside it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Line = dict[str, Any]


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least ``share`` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float], shares: Sequence[float] = (0.5, 0.95, 0.99)) -> Line:
    """``{"count", "p50", "p95", "p99", "max"}``, rounded to a tenth; only the count where there is nothing."""
    if not values:
        return {"count": 0}
    found: Line = {f"p{round(share * 100)}": round(percentile(values, share), 1) for share in shares}
    return {"count": len(values), **found, "max": round(max(values), 1)}


def line(name: str, figures: Mapping[str, Any], targets: Mapping[str, float] | None = None, **facts: Any) -> Line:
    """One line of output. ``targets`` by the name of their figure: at most so much. ``met`` says whether all are."""
    made: Line = {"benchmark": name, **facts, **figures}
    if targets:
        made["targets"] = dict(targets)
        made["met"] = all(figures.get(key) is not None and figures[key] <= most for key, most in targets.items())
    return made


def text(made: Line) -> str:
    """A line for people: name, then the figures, each with its target in brackets."""
    targets = made.get("targets", {})
    hidden = ("benchmark", "targets", "met")
    words = [
        f"{key}={value}" + (f" (at most {targets[key]:g})" if key in targets else "")
        for key, value in made.items()
        if key not in hidden
    ]
    verdict = {True: "  ok", False: "  MISSED"}.get(made.get("met"), "")  # type: ignore[call-overload]
    return f"{made['benchmark']:<22} {'  '.join(words)}{verdict}"
