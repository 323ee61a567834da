"""A tenant's data as files: one of JSON lines for each table, from one moment, and a manifest with their hashes.

Columns that hold secrets or their hashes are left out, and named in the manifest; so are sessions.
"""

import gzip
import json
import os
import re
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql

from runai_cp.lib.errors import Conflict
from tenants.models import Tenant
from tenants.rollout import conninfo
from tenants.schemas import tables_of

SECRET = re.compile(r"password|secret|token|otp|sealed|recovery|private|session_key|code_hash")
MANIFEST, PIECE = "manifest.json", 1 << 16
LEFT_OUT_TABLES = frozenset({"django_session"})


def export_tenant(tenant: Tenant, directory: Path) -> dict[str, Any]:
    """Write the files into a new directory (mode 0700) and return the manifest. Raises ``Conflict`` if it is there."""
    try:
        directory.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise Conflict(f"{directory} exists already.") from error
    tables: dict[str, Any] = {}
    for name, found in _tables(tenant, directory):
        tables[name] = found
    return _manifest(tenant, tables, directory)


def export_archive(tenant: Tenant) -> Iterator[bytes]:
    """The same files as a tar archive, piece by piece; the manifest comes last, and says that it is whole.

    No more than one table lies on this machine's disk at a time.
    """
    tables: dict[str, Any] = {}
    with TemporaryDirectory(prefix="runai-export-") as folder:
        directory = Path(folder)
        for name, found in _tables(tenant, directory):
            tables[name] = found
            yield from _member(directory / found["file"])
            (directory / found["file"]).unlink()
        _manifest(tenant, tables, directory)
        yield from _member(directory / MANIFEST)
    yield tarfile.NUL * tarfile.BLOCKSIZE * 2


def _tables(tenant: Tenant, directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each table once its file is written; all from one moment."""
    with psycopg.connect(conninfo()) as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for name in tables_of(tenant.schema_name):
            if name not in LEFT_OUT_TABLES:
                yield name, _table(conn, tenant.schema_name, name, directory / f"{name}.jsonl.gz")


def _manifest(tenant: Tenant, tables: dict[str, Any], directory: Path) -> dict[str, Any]:
    manifest = {
        "tenant": tenant.name,
        "id": tenant.pk,
        "schema": tenant.schema_name,
        "tables": tables,
        "leftOutTables": sorted(LEFT_OUT_TABLES),
    }
    _private(directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def _member(path: Path) -> Iterator[bytes]:
    """A file as tar has it: its head, its bytes, and zeros up to the next block."""
    head = tarfile.TarInfo(path.name)
    head.size, head.mode = path.stat().st_size, 0o600
    yield head.tobuf()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
    yield tarfile.NUL * (-head.size % tarfile.BLOCKSIZE)


def _table(conn: "psycopg.Connection[Any]", schema_name: str, name: str, path: Path) -> dict[str, Any]:
    columns = conn.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "ORDER BY ordinal_position",
        (schema_name, name),
    ).fetchall()
    names = [row[0] for row in columns]
    kept = [column for column in names if not SECRET.search(column)]
    query = sql.SQL("COPY (SELECT row_to_json(r) FROM (SELECT {} FROM {}.{}) r) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, kept)), sql.Identifier(schema_name), sql.Identifier(name)
    )
    rows, digest = 0, sha256()
    with gzip.open(_private(path), "wb") as file, conn.cursor() as cursor, cursor.copy(query) as copy:
        for (text,) in copy.rows():
            line = (text or "").encode() + b"\n"
            file.write(line)
            digest.update(line)
            rows += 1
    found: dict[str, Any] = {"file": path.name, "rows": rows, "sha256": digest.hexdigest()}
    left_out = sorted(set(names) - set(kept))
    return found | ({"leftOutColumns": left_out} if left_out else {})


def _private(path: Path) -> Path:
    """An empty file that only its owner reads."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    return path
