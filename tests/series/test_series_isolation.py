"""Row-level security: raw SQL in one tenant's schema sees and changes that tenant's rows only."""

from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from agent.wire.samples import Sample, SampleBatch
from series.ingest import write

pytestmark = pytest.mark.services

CLUSTER = UUID("22222222-2222-2222-2222-222222222222")
NOW = datetime.now(UTC)
"""One moment for all tests: their day stays the one that is asked for, should midnight pass meanwhile."""
DAY = f"series_sample_{NOW:%Y%m%d}"
TABLES = ["series_series", "series_sample", DAY]


@pytest.fixture
def filled(conn):
    at = int(NOW.timestamp() * 1000)
    for schema in ("acme", "globex"):
        write(conn, schema, CLUSTER, SampleBatch((Sample("CPU_USAGE_CORES", "node", "n", at, 1.0),)))
    return conn


def enter(conn: psycopg.Connection, schema: str) -> None:
    conn.execute(f"SET search_path = {schema}, public")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("schema", "rows"), [("acme", {"acme"}), ("globex", {"globex"}), ("public", set())])
def test_raw_sql_sees_one_tenant(filled, table, schema, rows):
    enter(filled, schema)
    assert {row[0] for row in filled.execute(f"SELECT schema_name FROM public.{table}").fetchall()} == rows


@pytest.mark.parametrize("table", TABLES)
def test_raw_sql_deletes_nothing_of_others(filled, table):
    enter(filled, "acme")
    filled.execute(f"DELETE FROM public.{table}")
    enter(filled, "globex")
    assert filled.execute(f"SELECT count(*) FROM public.{table}").fetchone() == (1,)


@pytest.mark.parametrize("table", TABLES)
def test_a_row_cannot_be_given_to_another_tenant(filled, table):
    enter(filled, "acme")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        filled.execute(f"UPDATE public.{table} SET schema_name = 'globex'")


def test_a_tenant_cannot_write_for_another(filled):
    enter(filled, "acme")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        filled.execute("INSERT INTO public.series_sample VALUES ('globex', 1, %s, 1)", [NOW])
