"""The coverage table of the documentation tells the truth: what it calls implemented is served."""

import re
from collections import Counter
from pathlib import Path

from runai_cp.platform.management.commands.api_coverage import bare, served, state, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api-coverage.md"
ROW = re.compile(r"^\| (\w+) \| `([^`]+)` \| (\w+) \|", re.MULTILINE)


def test_what_the_page_calls_implemented_is_served():
    ours = served()
    rows = ROW.findall(PAGE.read_text())
    assert len(rows) == 391
    wrong = [(m, p) for m, p, word in rows if word == "implemented" and (m, bare(p)) not in ours]
    assert wrong == []


def test_what_is_served_is_called_implemented():
    """So a page that is older than the routes fails: make it anew."""
    ours = served()
    late = [(m, p) for m, p, word in ROW.findall(PAGE.read_text()) if word != "implemented" and (m, bare(p)) in ours]
    assert late == []


def test_the_counts_of_the_page_are_those_of_its_rows():
    text = PAGE.read_text()
    words = Counter(word for _, _, word in ROW.findall(text))
    summary = ", ".join(f"{words[word]} {word}" for word in ("implemented", "planned", "declined"))
    assert f"{words.total()} operations: {summary}." in text


def test_every_declined_operation_has_a_reason():
    lines = [line for line in PAGE.read_text().splitlines() if "| declined |" in line]
    assert [line for line in lines if line.split("|")[4].strip() == ""] == []


def test_a_row_is_implemented_planned_or_declined():
    row = {"method": "get", "path": "/api/v1/x/{id}", "tag": "X", "deprecated": False}
    assert state(row, {("GET", "/api/v1/x/{}")})[0] == "implemented"
    assert state(row, set())[0] == "planned"
    assert state({**row, "deprecated": True}, set())[0] == "declined"
    assert "1 operations: 1 implemented" in table([row], {("GET", "/api/v1/x/{}")})
