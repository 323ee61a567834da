"""The audit trail: chained by the database, append-only, and honest about what the retention dropped."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from access.models import AuditAnchor, AuditEntry
from access.services.audit import record
from access.services.bootstrap import system_actor
from access.services.chain import drop_before, verify_chain

pytestmark = pytest.mark.services


def write(count=3):
    for number in range(count):
        record(actor=system_actor(), action="create", entity_type="thing", entity_id=number)
    seal()


def seal():
    """As a commit does."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@pytest.fixture
def unguarded(acme):
    """What somebody with the database's own rights could do."""

    def run(sql, values=()):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE access_auditentry DISABLE TRIGGER USER")
            cursor.execute(sql, values)
            cursor.execute("ALTER TABLE access_auditentry ENABLE TRIGGER USER")

    return run


def test_numbers_have_no_gaps_and_each_hash_names_the_one_before(acme):
    write()
    rows = list(AuditEntry.objects.exclude(seq=None).order_by("seq"))
    assert [row.seq for row in rows] == list(range(rows[0].seq, rows[0].seq + len(rows)))
    assert [row.prev_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert verify_chain().whole


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE access_auditentry SET actor_name = 'x'",
        "UPDATE access_auditentry SET hash = ''",
        "DELETE FROM access_auditentry",
        "TRUNCATE access_auditentry",
    ],
)
def test_the_database_refuses_to_change_the_past(acme, sql):
    write()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE access_auditentry SET actor_name = 'x' WHERE seq = %s",
        "UPDATE access_auditentry SET after = '{\"a\": 1}' WHERE seq = %s",
        "UPDATE access_auditentry SET at = now() + interval '1 s' WHERE seq = %s",
        "DELETE FROM access_auditentry WHERE seq = %s",
    ],
)
def test_a_change_behind_the_guard_shows(acme, unguarded, sql):
    write()
    number = verify_chain().last_seq - 1
    unguarded(sql, [number])
    assert verify_chain().broken_at in (number, number + 1)


def test_numbers_and_hashes_are_the_databases_to_give(acme):
    row = AuditEntry.objects.create(actor_kind="user", actor_id="1", actor_name="x", action="y", seq=99, hash="mine")
    row.refresh_from_db()
    assert (row.seq, row.hash) == (None, "")


def test_the_retention_drops_the_oldest_and_anchors_the_rest(acme, unguarded):
    write(4)
    old = AuditEntry.objects.order_by("seq").first()
    assert drop_before(timezone.now() - timedelta(days=90)) == 0
    dropped = drop_before(timezone.now() + timedelta(days=1), limit=2)
    assert dropped == 2
    assert not AuditEntry.objects.filter(pk=old.pk).exists()
    assert AuditAnchor.objects.latest("seq").seq == old.seq + 1
    assert verify_chain().whole
    write(1)
    assert verify_chain().whole


def test_a_cut_off_beginning_shows(acme, unguarded):
    write()
    unguarded("DELETE FROM access_auditentry WHERE seq <= %s", [verify_chain().first_seq])
    assert not verify_chain().whole
