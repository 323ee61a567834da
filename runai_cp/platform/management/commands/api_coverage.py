"""``manage.py api_coverage``: which operations of the public API are served here: the table of docs/api-coverage.md."""

import gzip
import json
import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import URLPattern, URLResolver, get_resolver

DEFAULT = Path(__file__).resolve().parents[5] / "shared" / "contract" / "paths.json.gz"
LEGACY = "legacy route of releases before 2.18; the current one is served or planned"
DECLINED: dict[str, str] = {
    "Administrator Command Line Interface": "our administration is the API, the console and `manage.py`",
    "Researcher Command Line Interface Deprecated": "deprecated; the command line is a package of its own",
    "Template": "deprecated; replaced by workload templates",
    "Notification State": "answers 501 in the reference too",
    "Notification Types": "answers 501 in the reference too",
    "NotificationChannels": "answers 501 in the reference too; webhooks tell of every change",
    "Subscriptions": "answers 501 in the reference too; webhooks tell of every change",
}
"""Tag → why its operations are not served, and will not be."""
HEAD = """# Coverage of the public API

Made by `python manage.py api_coverage > docs/api-coverage.md` from the public contract and the routes of this program.
Implemented: served, with the contract's shapes and codes. Planned: wanted, not there yet. Declined: unwanted, and why.
What we serve beyond the contract is in our own OpenAPI at `/api/schema`, browsable at `/api/docs`.
"""


class Command(BaseCommand):
    help = "Print the table of operations of the public API: implemented, planned or declined."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--contract", default=str(DEFAULT), help="paths.json.gz of the public contract")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["contract"])
        if not path.exists():
            raise CommandError(f"--contract: {path} is not there")
        with gzip.open(path, "rt") as file:
            rows = json.load(file)
        self.stdout.write(table(rows, served()), ending="")


def table(operations: list[dict[str, Any]], ours: set[tuple[str, str]]) -> str:
    """Pure: the page of a contract's operations and of what is served as (method, path with ``{}``)."""
    states = [(row, *state(row, ours)) for row in operations]
    counts = Counter(word for _, word, _ in states)
    by_tag: dict[str, list[str]] = {}
    for row, word, note in states:
        line = f"| {row['method'].upper()} | `{row['path']}` | {word} | {note} |"
        by_tag.setdefault(row["tag"], []).append(line)
    summary = ", ".join(f"{counts[word]} {word}" for word in ("implemented", "planned", "declined"))
    parts = [HEAD, f"\n{len(operations)} operations: {summary}.\n"]
    for tag in sorted(by_tag):
        parts.append(f"\n## {tag}\n\n| method | path | state | note |\n|---|---|---|---|\n")
        parts.append("\n".join(sorted(by_tag[tag], key=lambda line: line.split("`")[1])) + "\n")
    return "".join(parts)


def state(row: dict[str, Any], ours: set[tuple[str, str]]) -> tuple[str, str]:
    """``implemented``, ``planned`` or ``declined``, and a note."""
    deprecated = "deprecated in the reference" if row["deprecated"] else ""
    if (row["method"].upper(), bare(row["path"])) in ours:
        return "implemented", deprecated
    if row["tag"] in DECLINED:
        return "declined", DECLINED[row["tag"]]
    if row["deprecated"]:
        return "declined", LEGACY if row["path"].startswith(
            "/v1/"
        ) else "deprecated; its successor is served or planned"
    return "planned", ""


def served() -> set[tuple[str, str]]:
    """(method, path with ``{}`` for parameters) of every API route."""
    return {
        (method, bare(f"/{route}"))
        for route, view in _routes(get_resolver("runai_cp.urls").url_patterns)
        for method in _methods(view)
    }


def bare(path: str) -> str:
    """Paths without the names of their parameters; one spelling for both of ``-`` and ``_`` and of case."""
    return re.sub(r"<[^>]+>|\{[^}]+\}", "{}", path).replace("_", "-").lower()


def _methods(view: Any) -> list[str]:
    allow = getattr(getattr(view, "cls", None), "allow", None)
    return list(allow) if isinstance(allow, dict) else []


def _routes(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for item in patterns:
        if isinstance(item, URLResolver):
            yield from _routes(item.url_patterns, prefix + str(item.pattern))
        elif isinstance(item, URLPattern):
            yield prefix + str(item.pattern), item.callback
