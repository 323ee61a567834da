"""Which migrations a schema should have and has, as one hash each."""

from collections.abc import Iterable
from hashlib import sha256

from django.db.migrations.loader import MigrationLoader

Key = tuple[str, str]
"""App label and name of a migration."""


def head() -> str:
    """Fingerprint of the code: of every migration there is. Reads files only."""
    return fingerprint(MigrationLoader(None, ignore_no_migrations=True).graph.nodes)


def fingerprint(applied: Iterable[Key]) -> str:
    return sha256("\n".join(sorted(f"{app}.{name}" for app, name in applied)).encode()).hexdigest()
