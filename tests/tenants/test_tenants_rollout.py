"""Migrations of many schemas: nothing to do costs one query, one that fails stops no other, a second run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection

from tenants import rollout
from tenants.fingerprint import fingerprint, head
from tenants.models import Tenant, TenantSchema, TenantState, make_schema_name
from tenants.rollout import Script, Summary, behind, migrate_one, render, roll_out, run_script
from tenants.services import begin_deletion, finish_deletion

pytestmark = pytest.mark.services
OLD = frozenset({("toy", "0001")})
SCRIPT = Script(OLD, (("toy", "0002"),), ("ALTER TABLE toy ADD COLUMN colour text NOT NULL DEFAULT ''",))


class Fleet:
    """Committed tenants with one toy table each: the runner's own connections must see them."""

    def __init__(self, conn: psycopg.Connection[Any], count: int, applied: str) -> None:
        self.conn = conn
        self.schemas = [make_schema_name() for _ in range(count)]
        for number, name in enumerate(self.schemas):
            conn.execute(
                "INSERT INTO tenants_tenant (schema_name, name, state, created_at) VALUES (%s, %s, 'ready', now())",
                (name, f"fleet-{name[2:8]}-{number}"),
            )
            conn.execute(
                "INSERT INTO tenants_tenantschema (schema_name, fingerprint, state, error, attempts, updated_at) "
                "VALUES (%s, %s, 'current', '', 0, now())",
                (name, applied),
            )

    def with_tables(self) -> Fleet:
        for name in self.schemas:
            self.conn.execute(f'CREATE SCHEMA "{name}"')
            self.conn.execute(f'CREATE TABLE "{name}".toy (id int)')
            self.conn.execute(f'CREATE TABLE "{name}".django_migrations (app text, name text, applied timestamptz)')
            self.conn.execute(f"INSERT INTO \"{name}\".django_migrations VALUES ('toy', '0001', now())")
        return self

    def columns(self, name: str) -> list[str]:
        rows = self.conn.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 'toy' "
            "ORDER BY 1",
            (name,),
        )
        return [row[0] for row in rows]

    def remove(self) -> None:
        for name in self.schemas:
            self.conn.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
        self.conn.execute("DELETE FROM tenants_tenantschema WHERE schema_name = ANY(%s)", (self.schemas,))
        self.conn.execute("DELETE FROM tenants_tenant WHERE schema_name = ANY(%s)", (self.schemas,))


@pytest.fixture
def fleet(db: None) -> Iterator[Any]:
    connection.set_schema_to_public()
    made: list[Fleet] = []
    with psycopg.connect(rollout.conninfo(), autocommit=True) as conn:

        def make(count: int, applied: str = "old") -> Fleet:
            made.append(Fleet(conn, count, applied))
            return made[-1]

        try:
            yield make
        finally:
            for item in made:
                item.remove()


def test_nothing_to_do_for_200_tenants_is_one_query(fleet: Any, django_assert_num_queries: Any) -> None:
    fleet(200, applied=head())
    assert Tenant.objects.count() >= 200  # and the search path is set
    with django_assert_num_queries(1):
        assert roll_out().total == 0


def test_who_has_another_fingerprint_is_behind(fleet: Any) -> None:
    late, current = fleet(2), fleet(2, applied=head())
    found = behind(head())
    assert set(late.schemas) <= set(found) and not set(current.schemas) & set(found)


def test_a_script_runs_in_every_schema_and_one_that_fails_stops_no_other(fleet: Any) -> None:
    some = fleet(12).with_tables()
    broken = some.schemas[5]
    some.conn.execute(f'ALTER TABLE "{broken}".toy ADD COLUMN colour int')
    heard: list[int] = []
    summary = Summary(total=12)
    run_script(SCRIPT, some.schemas, summary, parallel=3, say=lambda seen: heard.append(seen.done))
    assert (summary.done, list(summary.failed), len(heard)) == (11, [broken], 12)
    assert all(some.columns(name) == ["colour", "id"] for name in some.schemas)
    row = TenantSchema.objects.get(schema_name=broken)
    assert (row.state, row.attempts, "colour" in row.error) == ("failed", 1, True)
    assert TenantSchema.objects.get(schema_name=some.schemas[0]).fingerprint == fingerprint([*OLD, ("toy", "0002")])


def test_a_second_run_goes_on_where_the_first_failed(fleet: Any) -> None:
    some = fleet(1).with_tables()
    some.conn.execute(f'ALTER TABLE "{some.schemas[0]}".toy ADD COLUMN colour int')
    assert migrate_one(some.conn, some.schemas[0], SCRIPT)[0] == rollout.FAILED
    some.conn.execute(f'ALTER TABLE "{some.schemas[0]}".toy DROP COLUMN colour')
    assert migrate_one(some.conn, some.schemas[0], SCRIPT) == (rollout.DONE, "")
    row = TenantSchema.objects.get(schema_name=some.schemas[0])
    assert (row.state, row.error, row.attempts) == ("current", "", 0)


def test_too_many_failures_stop_the_run(fleet: Any) -> None:
    some = fleet(6).with_tables()
    wrong = Script(OLD, (("toy", "0002"),), ("ALTER TABLE nothing ADD COLUMN x int",))
    summary = Summary(total=6)
    run_script(wrong, some.schemas, summary, parallel=1, max_failures=2)
    assert (len(summary.failed), summary.stopped) == (2, True)


def test_a_tenant_that_is_being_deleted_is_passed_over(fleet: Any) -> None:
    some = fleet(1).with_tables()
    some.conn.execute("UPDATE tenants_tenant SET state = 'deleting' WHERE schema_name = %s", (some.schemas[0],))
    assert migrate_one(some.conn, some.schemas[0], SCRIPT) == (rollout.GONE, "")
    assert some.columns(some.schemas[0]) == ["id"]


def test_a_schema_that_somebody_holds_is_passed_over(fleet: Any) -> None:
    some = fleet(1).with_tables()
    with psycopg.connect(rollout.conninfo(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtext(%s))", (some.schemas[0],))
        assert migrate_one(some.conn, some.schemas[0], SCRIPT) == (rollout.BUSY, "")


def test_a_deletion_that_is_asked_during_a_migration_comes_after_it_whole(fleet: Any) -> None:
    some = fleet(1).with_tables()
    name, order = some.schemas[0], []
    slow = Script(OLD, SCRIPT.pending, (*(SCRIPT.statements or ()), "SELECT pg_sleep(0.5)"))
    with psycopg.connect(rollout.conninfo(), autocommit=True) as other, ThreadPoolExecutor(2) as pool:
        migration = pool.submit(migrate_one, other, name, slow)
        migration.add_done_callback(lambda _: order.append("migrated"))
        while not _held(some.conn, name):
            assert not migration.done()
        deletion = pool.submit(_delete, name)
        deletion.add_done_callback(lambda _: order.append("deleted"))
        assert (migration.result(), deletion.result()) == ((rollout.DONE, ""), 2)
    assert order == ["migrated", "deleted"]
    assert some.columns(name) == []
    assert some.conn.execute("SELECT state FROM tenants_tenant WHERE schema_name = %s", (name,)).fetchone() == (
        "deleted",
    )
    assert migrate_one(some.conn, name, SCRIPT) == (rollout.GONE, "")


def _held(conn: psycopg.Connection[Any], name: str) -> bool:
    """Whether somebody holds the schema's lock; without taking it, which a migration would pass over as busy."""
    row = conn.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND objid::bigint = (hashtext(%s)::bigint & 4294967295)",
        (name,),
    ).fetchone()
    return bool(row and row[0])


def _delete(name: str) -> int:
    """On a connection of its own, committed as the worker's."""
    try:
        tenant = Tenant.objects.get(schema_name=name)
        begin_deletion(tenant)
        return finish_deletion(tenant)
    finally:
        connection.close()


def test_pending_migrations_are_rendered_as_sql(acme: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'projects' AND name = '0002_rules_and_versions'")
    script = render(acme.schema_name, rollout.applied_in(acme.schema_name))
    assert script.pending == (("projects", "0002_rules_and_versions"),)
    assert any('ALTER TABLE "projects_project" ADD COLUMN "version"' in line for line in script.statements or ())
    assert script.fingerprint == head()


def test_new_tenants_are_known_to_be_current(acme: Any) -> None:
    assert TenantSchema.objects.get(schema_name=acme.schema_name).fingerprint == head()
    assert Tenant.objects.get(schema_name=acme.schema_name).state == TenantState.READY
