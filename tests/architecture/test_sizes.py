"""No file over 400 lines, no function over 50: the tail is what makes a house hard to live in."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE, MAX_FUNCTION = 400, 50
SUFFIXES = {".py", ".html", ".css", ".js"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    return [ROOT / name for name in listed if name and "/migrations/" not in name and (ROOT / name).is_file()]


def test_no_file_is_over_400_lines():
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked() if path.suffix in SUFFIXES
    }
    assert {name: size for name, size in sizes.items() if size > MAX_FILE} == {}


def test_no_function_is_over_50_lines():
    long = {}
    for path in (path for path in tracked() if path.suffix == ".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = size
    assert long == {}


@pytest.mark.parametrize(
    "folder", ["agent", "access", "clusters", "link", "projects", "series", "tenants", "workloads"]
)
def test_every_module_says_what_it_is_for(folder):
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] == folder and path.read_text().strip()
        if ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_nothing_of_a_machine_or_a_registry_is_committed():
    pattern = r"https?://[a-z.]*(npmjs|pythonhosted|pypi|proxy\.golang|deb\.debian|crates)[a-z]*\.|(^|[^a-zA-Z0-9_.])/(work|root|home/[a-z]+)/"
    found = subprocess.run(
        ["git", "grep", "-nIE", pattern, "--", ".", ":!tests/architecture"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.stdout == ""
