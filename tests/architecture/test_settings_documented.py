"""Every environment variable that a program reads has a row in README's settings table."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READERS = re.compile(r'env\.(secret_bytes|secret|text|flag|integer|words|database)\(\s*"(RUNAI_[A-Z_]+)"')
PLAIN = re.compile(r'(?:environ(?:\.get)?[\[(]|getenv\()\s*"(RUNAI_[A-Z_]+)"')
FOLDERS = ("runai_cp", "link", "access", "series", "tenants", "agent", "cli", "local")


def variables() -> set[str]:
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            found |= {f"{name}_FILE" if kind.startswith("secret") else name for kind, name in READERS.findall(text)}
            found |= set(PLAIN.findall(text))
    return found


def test_every_variable_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert sorted(name for name in variables() if f"`{name}`" not in readme) == []
