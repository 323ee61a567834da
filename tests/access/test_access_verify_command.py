"""``manage.py verify_audit``: whole chains pass, a broken one fails the command."""

import io
import json

import pytest
from django.core.management import call_command
from django.db import connection

from tests.access.test_access_audit_chain import write

pytestmark = pytest.mark.services


def run(schema):
    out = io.StringIO()
    call_command("verify_audit", schema=schema, stdout=out)
    return json.loads(out.getvalue())


def test_a_whole_chain_is_printed_with_its_head(acme):
    write()
    report = run(acme.schema_name)
    assert (report["tenant"], report["whole"], len(report["last_hash"])) == ("acme", True, 64)


def test_a_broken_chain_fails_the_command(acme):
    write()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_auditentry DISABLE TRIGGER USER")
        cursor.execute("UPDATE access_auditentry SET action = 'other' WHERE seq = 1")
        cursor.execute("ALTER TABLE access_auditentry ENABLE TRIGGER USER")
    with pytest.raises(SystemExit) as ended:
        run(acme.schema_name)
    assert ended.value.code == 1
