"""Lists as files. A spreadsheet runs a cell that begins like a formula: such a cell is quoted with an apostrophe."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def cell(value: object) -> str:
    """A value as the text of a CSV cell that no spreadsheet takes for a formula. Numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return str(value)
    text = str(value)
    stripped = text.lstrip(" \u00a0\ufeff")
    return f"'{text}" if stripped.startswith(_FORMULA) or text.startswith(_FORMULA) else text


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, every: int = 500) -> Iterator[bytes]:
    """A CSV file in pieces of ``every`` rows: a heading of ``columns``, then their values of each row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for index, row in enumerate(rows):
        writer.writerow([cell(row.get(name)) for name in columns])
        if index % every == every - 1:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
