"""The Prometheus text format, as exporters serve it: one reading per line. Lines that cannot be read are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
MAX_LINES = 200_000


@dataclass(frozen=True, slots=True)
class Reading:
    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Exposition:
    readings: tuple[Reading, ...]
    unreadable: int = 0


def parse(text: str) -> Exposition:
    """Readings in order. NaN and infinite values are left out: they are no measurement."""
    readings, unreadable = [], 0
    for line in text.splitlines()[:MAX_LINES]:
        if not line.strip() or line.startswith("#"):
            continue
        try:
            reading = _read(line)
        except ValueError:
            unreadable += 1
            continue
        if abs(reading.value) < float("inf"):
            readings.append(reading)
    return Exposition(tuple(readings), unreadable)


def _read(line: str) -> Reading:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(line)
    name, labels, value = match.groups()
    return Reading(name, _labels(labels or ""), float(value))


def _labels(text: str) -> dict[str, str]:
    found, position = {}, 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError(text)
        found[match[1]] = re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), match[2])
        position = match.end()
    return found
