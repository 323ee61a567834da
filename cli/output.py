"""Tables for people, JSON and YAML for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import yaml

FORMATS = ("table", "json", "yaml")


def show(rows: Iterable[dict[str, Any]], columns: Sequence[tuple[str, str]], output: str, headers: bool = True) -> None:
    """Print rows. ``columns`` are (head, key) pairs; a key may be dotted. JSON and YAML print the rows whole."""
    if output == "table":
        _table([[cell(lookup(row, key)) for _, key in columns] for row in rows], [head for head, _ in columns], headers)
    else:
        dump(list(rows), output)


def dump(value: Any, output: str) -> None:
    if output == "yaml":
        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def lookup(row: dict[str, Any], key: str) -> Any:
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(cell, value)) or "-"
    return str(value)


def age(moment: str | None) -> str:
    """``2026-11-24T06:22:00Z`` → ``14 min``, in the words of the console."""
    if not moment:
        return "-"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    if seconds < 60:
        return f"{max(seconds, 0)} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d"


def _table(rows: list[list[str]], heads: list[str], headers: bool) -> None:
    shown = [heads, *rows] if headers else rows
    if not rows and sys.stdout.isatty():
        click.echo("nothing found")
        return
    widths = [max((len(row[index]) for row in shown), default=0) for index in range(len(heads))]
    for row in shown:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
