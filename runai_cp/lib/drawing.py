"""Pure geometry of the console's drawings: meters, GPU cells and line charts as numbers for SVG templates.

Lengths are percents or view-box units already rounded, so that templates only print them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ORDER = ("in", "over", "idle", "free", "off")
WIDTH, HEIGHT = 1000.0, 100.0
MAX_TABLE_ROWS = 60
TINY = 1e-12
"""Below this an axis shows 0 to 1: nothing that is measured here is smaller."""


def _share(part: float, total: float) -> float:
    return round(max(0.0, min(100.0, 100 * part / total)), 2) if total > 0 else 0.0


def meter(total: float, used: float, quota: float | None = None, off: bool = False) -> dict[str, Any]:
    """Segments of one bar. The scale is the largest of total, used and quota, so that nothing runs out of the bar."""
    scale = max(total, used, quota or 0)
    limit = used if quota is None or quota < 0 else min(used, quota)
    segments = [{"kind": "off" if off else "in", "x": 0.0, "width": _share(limit, scale)}] if limit > 0 else []
    if used > limit:
        segments.append({"kind": "over", "x": _share(limit, scale), "width": _share(used - limit, scale)})
    tick = _share(quota, scale) if quota is not None and quota > 0 and quota < scale else None
    return {"segments": segments, "tick": tick, "gaps": []}


def pool_bar(total: float, parts: Mapping[str, float]) -> dict[str, Any]:
    """Segments by ``ORDER``; free is the empty track. Hairlines stand between neighbours."""
    at, segments, gaps = 0.0, [], []
    for kind in ORDER:
        width = _share(parts.get(kind, 0), total)
        if width and kind != "free":
            segments.append({"kind": kind, "x": round(at, 2), "width": width})
        at += width
        if width and at < 99.9:
            gaps.append(round(at, 2))
    return {"segments": segments, "tick": None, "gaps": gaps}


def ask_bar(total: float, used: float, asked: float, quota: float | None) -> dict[str, Any]:
    scale = max(total, used + asked, quota or 0)
    segments = [{"kind": "in", "x": 0.0, "width": _share(used, scale)}] if used > 0 else []
    if asked > 0:
        segments.append({"kind": "ask", "x": _share(used, scale), "width": _share(asked, scale)})
    tick = _share(quota, scale) if quota is not None and 0 < quota < scale else None
    return {"segments": segments, "tick": tick, "gaps": []}


def gpus(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Positions of one square per device, 16 wide every 19; a shared device is filled from below by its part."""
    drawn = []
    for index, cell in enumerate(cells):
        left = 19 * index
        part = min(1.0, cell.get("milli", 0) / 1000)
        state = cell["state"]
        fill = round(15 * part, 2) if state == "in" and 0 < part < 1 else 0
        drawn.append(
            {
                "state": "part" if fill else state,
                "x": left,
                "inner": left + 0.5,
                "centre": left + 8,
                "fill_y": round(15.5 - fill, 2),
                "fill_height": fill,
                "cross": f"M{left + 5} 5l6 6m0-6-6 6",
            }
        )
    return {"cells": drawn, "width": max(16, 19 * len(cells) - 3), "wide": len(cells) > 4}


def spark(values: Sequence[float | None], ceiling: float = 100.0) -> dict[str, Any]:
    """A line 100 × 100 without axes, and its last value; ``now`` is None without one. Gaps break the line."""
    width = max(1, len(values) - 1)
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        runs[-1].append(f"{100 * index / width:.4g} {HEIGHT * (1 - max(0.0, min(1.0, value / ceiling))):.4g}")
    whole = [run if len(run) > 1 else run * 2 for run in runs if run]
    return {
        "path": "".join("M" + " ".join(run) for run in whole),
        "area": "".join(f"M{' '.join(run)}V100H{run[0].split()[0]}Z" for run in whole),
        "now": next((value for value in reversed(values) if value is not None), None),
    }


@dataclass(frozen=True, slots=True)
class Line:
    """One series: values by the figure's times; None where no data arrived."""

    label: str
    values: Sequence[float | None]
    area: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A line chart. ``times`` are Unix seconds, ascending; ``limit`` draws a dashed line; ``unit`` is in the title."""

    key: str
    title: str
    times: Sequence[float]
    lines: Sequence[Line]
    unit: str = ""
    limit: float | None = None
    limit_label: str = ""
    ceiling: float | None = None
    """Fixed top of the axis (100 for percents); otherwise the next round number."""
    tall: bool = False
    note: str = ""
    digits: int = 0
    empty: str = "No data arrived in this time."
    extra: Mapping[str, Any] = field(default_factory=dict)


def nice_top(value: float) -> float:
    """The smallest of 1, 2, 4, 5, 8, 10 × 10^n that is not below ``value``; divides by four without ugly steps."""
    if value < TINY or not math.isfinite(value):
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * 0.999)


def draw(figure: Figure) -> dict[str, Any]:
    """Everything the template prints: axis labels, paths, gaps, end labels and table rows. ``empty`` without data."""
    known = [value for line in figure.lines for value in line.values if value is not None]
    if not known or len(figure.times) < 2:
        return {"empty": True}
    top = figure.ceiling or nice_top(max([*known, figure.limit or 0]) * 1.04)
    first, last = figure.times[0], figure.times[-1]
    spread = max(1.0, last - first)
    xs = [round(WIDTH * (t - first) / spread, 2) for t in figure.times]
    lines = [_line(index, line, xs, top, figure) for index, line in enumerate(figure.lines)]
    return {
        "empty": False,
        "ticks": [_number(top * step / 4, 0 if top >= 8 else 2) for step in (4, 3, 2, 1, 0)],
        "lines": lines,
        "gaps": _gaps(figure, xs),
        "limit_y": _y(figure.limit, top) if figure.limit is not None else None,
        "hours": _hours(first, last),
        "rows": _rows(figure),
        "summary": "; ".join(f"{line['label']}: now {line['now']}, highest {line['peak']}" for line in lines),
        "labelled": len(lines) == 2,
    }


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - max(0.0, min(1.0, value / top))), 2)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _line(index: int, line: Line, xs: Sequence[float], top: float, figure: Figure) -> dict[str, Any]:
    runs: list[list[str]] = []
    ends: list[tuple[str, str]] = []
    open_run = False
    for x, value in zip(xs, line.values, strict=True):
        if value is None:
            open_run = False
            continue
        point = f"{x:g} {_y(value, top):g}"
        if not open_run:
            runs.append([])
            ends.append((f"{x:g}", ""))
        runs[-1].append(point)
        ends[-1] = (ends[-1][0], f"{x:g}")
        open_run = True
    known = [value for value in line.values if value is not None]
    path = " ".join("M" + " ".join(run if len(run) > 1 else run * 2) for run in runs)
    area = "".join(f"M{' '.join(run)}V100H{start}Z" for run, (start, _) in zip(runs, ends, strict=True))
    return {
        "label": line.label,
        "hue": index % 6 + 1,
        "dash": f"d{index + 1}" if len(figure.lines) > 2 and 0 < index < 4 else "",
        "path": path,
        "area": area if line.area or len(figure.lines) == 1 else "",
        "now": _number(known[-1] if known else None, figure.digits),
        "peak": _number(max(known) if known else None, figure.digits),
        "end_y": _y(known[-1], top) if known else HEIGHT,
    }


def _gaps(figure: Figure, xs: Sequence[float]) -> list[dict[str, float]]:
    """Stretches where no series has a value, between two that have; percents of the width."""
    present = [any(line.values[i] is not None for line in figure.lines) for i in range(len(xs))]
    found, last = [], None
    for index, here in enumerate(present):
        if here:
            if last is not None and index - last > 1:
                found.append({"x": round(xs[last] / 10, 2), "width": round((xs[index] - xs[last]) / 10, 2)})
            last = index
    return found


def _hours(first: float, last: float) -> list[str]:
    form = "%H:%M" if last - first <= 86400 * 1.5 else "%m-%d"
    return [datetime.fromtimestamp(first + (last - first) * i / 4, UTC).strftime(form) for i in range(5)]


def _rows(figure: Figure) -> list[dict[str, Any]]:
    step = max(1, math.ceil(len(figure.times) / MAX_TABLE_ROWS))
    picked = [i for i in range(len(figure.times)) if i % step == 0 or i == len(figure.times) - 1]
    form = "%H:%M:%S" if figure.times[-1] - figure.times[0] < 3600 else "%H:%M"
    return [
        {
            "t": round(figure.times[i]),
            "time": datetime.fromtimestamp(figure.times[i], UTC).strftime(form),
            "values": [_number(line.values[i], max(figure.digits, 1)) for line in figure.lines],
        }
        for i in picked
    ]
