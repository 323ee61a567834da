"""Schemas as things: spare ones that wait for a tenant, and the end of one, a few tables at a time."""

from django.db import connection, transaction
from psycopg import sql

from tenants.fingerprint import head
from tenants.models import SchemaState, Tenant, TenantSchema, make_schema_name
from tenants.rollout import remember

DROP_BATCH = 10
"""Tables a transaction: dropping thousands at once takes as many locks."""


def take_spare() -> str | None:
    """The name of a spare schema with the code's migrations, now nobody else's; None when there is none.

    Inside the caller's transaction: a roll-back gives it back.
    """
    spare = (
        TenantSchema.objects.select_for_update(skip_locked=True)
        .filter(state=SchemaState.SPARE, fingerprint=head())
        .order_by("updated_at")
        .first()
    )
    if spare is None:
        return None
    spare.state = SchemaState.CURRENT
    spare.save()
    return spare.schema_name


def prepare_spares(count: int) -> int:
    """Make spare schemas until there are ``count``, and drop those of earlier code; returns how many were made."""
    wanted = head()
    for stale in TenantSchema.objects.filter(state=SchemaState.SPARE).exclude(fingerprint=wanted):
        drop_schema(stale.schema_name)
        stale.delete()
    made = 0
    while TenantSchema.objects.filter(state=SchemaState.SPARE).count() < count:
        name = make_schema_name()
        Tenant(name=name, schema_name=name).create_schema(check_if_exists=True, verbosity=0)
        connection.set_schema_to_public()
        remember(name, SchemaState.SPARE)
        made += 1
    return made


def tables_of(schema_name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') ORDER BY c.relname",
            [schema_name],
        )
        return [row[0] for row in cursor.fetchall()]


def drop_schema(schema_name: str) -> int:
    """Drop a schema table by table, then itself; returns the number of tables. Safe to repeat, and to die within."""
    if not schema_name.startswith("t_"):
        raise ValueError(f"{schema_name!r} is no tenant's schema")
    names = tables_of(schema_name)
    for start in range(0, len(names), DROP_BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            for name in names[start : start + DROP_BATCH]:
                cursor.execute(
                    sql.SQL("DROP TABLE IF EXISTS {}.{} CASCADE").format(
                        sql.Identifier(schema_name), sql.Identifier(name)
                    )
                )
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_name)))
    return len(names)
