"""Bring the schemas of all tenants to the code's migrations: rendered once as SQL, run in each schema, several at once.

Who is behind is one query over fingerprints. Each schema is one transaction: its tables, its ``django_migrations`` and
its fingerprint change together, so that a run that dies anywhere is taken up by the next. One that fails is rolled
back and remembered, and stops no other. Migrations with Python in them go through Django, one schema after another.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.special import SeparateDatabaseAndState
from django_tenants.utils import schema_context
from psycopg import sql

from tenants.fingerprint import Key, fingerprint, head

log = logging.getLogger(__name__)

LOCK_TIMEOUT = "2s"
STATEMENT_TIMEOUT = "60s"
MAX_FAILURES = 10
"""Tenants that may fail before a run stops: past that it is the migration, not the tenant."""
DONE, FAILED, BUSY, GONE = "done", "failed", "busy", "gone"


@dataclass(frozen=True, slots=True)
class Script:
    """What takes schemas from one set of migrations to the head. ``statements`` None: only Django can run it."""

    applied: frozenset[Key]
    pending: tuple[Key, ...]
    statements: tuple[str, ...] | None

    @property
    def fingerprint(self) -> str:
        return fingerprint({*self.applied, *self.pending})


@dataclass(slots=True)
class Summary:
    total: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Schema → the error."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Schema → busy (somebody holds it) or gone (being deleted)."""
    stopped: bool = False


def behind(wanted: str) -> list[str]:
    """Schemas of tenants, oldest first, whose fingerprint is another. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.schema_name FROM public.tenants_tenant t "
            "LEFT JOIN public.tenants_tenantschema s ON s.schema_name = t.schema_name "
            "WHERE t.schema_name <> 'public' AND t.state IN ('ready', 'suspended') "
            "AND s.fingerprint IS DISTINCT FROM %s ORDER BY t.id",
            [wanted],
        )
        return [row[0] for row in cursor.fetchall()]


def roll_out(
    *,
    only: Iterable[str] | None = None,
    parallel: int = 4,
    max_failures: int = MAX_FAILURES,
    say: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Migrate every schema that is behind (of ``only``, if given). ``say`` hears of each one that has ended."""
    wanted = set(only) if only is not None else None
    schemas = [name for name in behind(head()) if wanted is None or name in wanted]
    summary = Summary(total=len(schemas))
    if not schemas:
        return summary
    groups: dict[frozenset[Key], list[str]] = {}
    for name in schemas:
        groups.setdefault(applied_in(name), []).append(name)
    for applied, members in groups.items():
        script = render(members[0], applied)
        if script.statements is None:
            _run_with_django(script, members, summary, max_failures, say)
        else:
            run_script(script, members, summary, parallel=parallel, max_failures=max_failures, say=say)
        if summary.stopped:
            break
    return summary


def applied_in(schema_name: str) -> frozenset[Key]:
    """The migrations that a schema records; none for one without tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f'"{schema_name}".django_migrations'])
        if cursor.fetchone()[0] is None:
            return frozenset()
        cursor.execute(sql.SQL("SELECT app, name FROM {}.django_migrations").format(sql.Identifier(schema_name)))
        return frozenset((row[0], row[1]) for row in cursor.fetchall())


def render(schema_name: str, applied: frozenset[Key]) -> Script:
    """The SQL of everything that is pending, as ``sqlmigrate`` writes it, seen from one of the schemas."""
    with schema_context(schema_name):
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        pending = tuple((migration.app_label, migration.name) for migration, _ in plan)
        if not all(migration.atomic and _is_sql(migration.operations) for migration, _ in plan):
            return Script(applied, pending, None)
        try:
            collected = [line for step in plan for line in executor.loader.collect_sql([step])]
        except (ValueError, LookupError) as error:  # an operation that has to look at tables that are not there yet
            log.info("migrations of %s cannot be rendered: %s", schema_name, error)
            return Script(applied, pending, None)
    statements = tuple(line for line in collected if line.strip() and not line.lstrip().startswith("--"))
    return Script(applied, pending, statements)


def _is_sql(operations: Sequence[Any]) -> bool:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            if not _is_sql(operation.database_operations):
                return False
        elif not operation.reduces_to_sql:
            return False
    return True


def run_script(
    script: Script,
    schemas: Sequence[str],
    summary: Summary,
    *,
    parallel: int = 4,
    max_failures: int = MAX_FAILURES,
    say: Callable[[Summary], None] = lambda summary: None,
) -> None:
    """Run one script in many schemas: the first alone, then up to ``parallel`` at a time, each with one connection."""
    info = conninfo()
    lock = threading.Lock()
    waiting = iter(schemas)

    def work(limit: int | None = None) -> None:
        with psycopg.connect(info, autocommit=True) as conn:
            done = 0
            while limit is None or done < limit:
                with lock:
                    name = None if summary.stopped else next(waiting, None)
                if name is None:
                    return
                outcome, error = migrate_one(conn, name, script)
                done += 1
                with lock:
                    _note(summary, name, outcome, error, max_failures)
                    say(summary)

    work(limit=1)
    with ThreadPoolExecutor(max(1, min(parallel, len(schemas)))) as pool:
        for job in [pool.submit(work) for _ in range(max(1, min(parallel, len(schemas))))]:
            job.result()


def _note(summary: Summary, name: str, outcome: str, error: str, max_failures: int) -> None:
    if outcome == DONE:
        summary.done += 1
    elif outcome == FAILED:
        summary.failed[name] = error
        summary.stopped = len(summary.failed) >= max_failures
    else:
        summary.skipped[name] = outcome


def migrate_one(conn: "psycopg.Connection[Any]", schema_name: str, script: Script) -> tuple[str, str]:
    """One schema in one transaction: (outcome, error). A failure is rolled back and written down."""
    try:
        with conn.transaction():
            if not conn.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", (schema_name,)).fetchone()[0]:  # type: ignore[index]
                return BUSY, ""
            held = conn.execute(
                "SELECT state FROM public.tenants_tenant WHERE schema_name = %s FOR SHARE", (schema_name,)
            ).fetchone()
            if held is None or held[0] in ("deleting", "deleted"):
                return GONE, ""
            conn.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            conn.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
            conn.execute("SELECT set_config('search_path', %s, true)", (f'"{schema_name}", public',))
            for statement in script.statements or ():
                conn.execute(statement)  # type: ignore[call-overload]
            with conn.cursor() as cursor:
                cursor.executemany(
                    sql.SQL("INSERT INTO {}.django_migrations (app, name, applied) VALUES (%s, %s, now())").format(
                        sql.Identifier(schema_name)
                    ),
                    script.pending,
                )
            conn.execute(_STATE, (schema_name, script.fingerprint, "current", "", 0))
    except psycopg.Error as error:
        text = " ".join(str(error).split())[:1000] or type(error).__name__
        log.warning("migration of %s failed: %s", schema_name, text)
        conn.execute(_FAILED, (schema_name, text, text))
        return FAILED, text
    return DONE, ""


_STATE = (
    "INSERT INTO public.tenants_tenantschema (schema_name, fingerprint, state, error, attempts, updated_at) "
    "VALUES (%s, %s, %s, %s, %s, now()) ON CONFLICT (schema_name) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, "
    "state = EXCLUDED.state, error = EXCLUDED.error, attempts = EXCLUDED.attempts, updated_at = now()"
)
_FAILED = (
    "INSERT INTO public.tenants_tenantschema (schema_name, fingerprint, state, error, attempts, updated_at) "
    "VALUES (%s, '', 'failed', %s, 1, now()) ON CONFLICT (schema_name) DO UPDATE SET state = 'failed', error = %s, "
    "attempts = public.tenants_tenantschema.attempts + 1, updated_at = now()"
)


def _run_with_django(
    script: Script, schemas: Sequence[str], summary: Summary, max_failures: int, say: Callable[[Summary], None]
) -> None:
    for name in schemas:
        try:
            call_command("migrate_schemas", schema_name=name, interactive=False, verbosity=0)
            remember(name)
            outcome, text = DONE, ""
        except Exception as error:  # whatever a migration's Python raises concerns this tenant alone
            outcome, text = FAILED, " ".join(str(error).split())[:1000] or type(error).__name__
            log.warning("migration of %s failed: %s", name, text)
            with connection.cursor() as cursor:
                cursor.execute(_FAILED, (name, text, text))
        _note(summary, name, outcome, text, max_failures)
        say(summary)
        if summary.stopped:
            return


def remember(schema_name: str, state: str = "current") -> None:
    """Write down which migrations a schema has now."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, (schema_name, fingerprint(applied_in(schema_name)), state, "", 0))


def conninfo() -> str:
    """Of Django's database, for connections of our own."""
    database = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        dbname=database["NAME"],
        user=database["USER"] or None,
        password=database["PASSWORD"] or None,
        host=database["HOST"] or None,
        port=database["PORT"] or None,
        application_name="runai-tenants",
    )
