"""Two at once: the second waits where it must, before it has touched anything."""

import time
from threading import Thread

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from access.models import AccessKey, AccessRule, AuditEntry, IdentityProvider, Webhook
from access.services.access_keys import create_key, renew_key
from access.services.brand import remove_logo, set_logo
from access.services.providers import create_provider, update_mappers
from access.services.roles import create_role
from access.services.rules import RuleChange, create_rule, delete_rule, update_rule
from access.services.scopes import root_scope
from access.services.webhooks import create_webhook, update_webhook
from runai_cp.lib.errors import NotFound
from tests.access.pictures import png, webp

pytestmark = pytest.mark.services


def waits(home, act):
    """What another connection has locked of the tenant's tables while it waits for ours; it is sent away after that,
    so that nothing of it stays."""
    said = []

    def run():
        try:
            with tenant_context(home.tenant):
                act()
        except OperationalError as error:
            said.append(str(error))
        finally:
            connection.close()

    other = Thread(target=run)
    other.start()
    try:
        pid = _blocked()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relation::regclass::text FROM pg_locks WHERE pid = %s AND relation IS NOT NULL "
                "AND mode = 'RowExclusiveLock'",
                [pid],
            )
            touched = {row[0].rpartition(".")[2].strip('"') for row in cursor.fetchall()}
            cursor.execute("SELECT pg_cancel_backend(%s)", [pid])
    finally:
        other.join(30)
    assert "canceling statement" in said[0]
    return touched


def _blocked():
    """The backend that waits for this one."""
    for _ in range(600):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)) LIMIT 1"
            )
            found = cursor.fetchone()
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("nothing waited")


@pytest.mark.parametrize(
    "second", [lambda who: set_logo(actor=who, content=webp()), lambda who: remove_logo(actor=who)]
)
def test_the_second_of_two_logos_waits_before_it_touches_a_picture(acme, alice, second):
    set_logo(actor=alice, content=png())
    assert "access_logo" not in waits(acme, lambda: second(alice))


CHANGES = {
    "update": lambda who, row: update_rule(actor=who, rule=row, change=RuleChange(role="viewer")),
    "delete": lambda who, row: delete_rule(actor=who, rule=row),
}


@pytest.mark.parametrize("act", CHANGES.values(), ids=CHANGES)
def test_all_administrators_are_held_in_one_order_before_one_of_them(acme, alice, act):
    """Two that end two of them would else each hold one and wait for the other's."""
    rule = AccessRule.objects.filter(role="administrator", subject_kind="user").latest("pk")
    with CaptureQueriesContext(connection) as seen:
        act(alice, rule)
    first = next(query["sql"] for query in seen if "FOR UPDATE" in query["sql"] and "access_accessrule" in query["sql"])
    assert ("'administrator'" in first, 'ORDER BY "access_accessrule"."id" ASC' in first) == (True, True)


def test_a_role_stays_while_it_is_given_to_somebody(acme, alice, bob):
    """Who removes it meanwhile waits, and is refused then."""
    role = create_role(actor=alice, values={"name": "Reader", "permissionSets": ["users"]})
    with CaptureQueriesContext(connection) as seen:
        create_rule(actor=alice, subject_kind="user", subject_id=bob.id, role=role.pk, scope=root_scope())
    asked = [query["sql"] for query in seen]
    kept = next(at for at, sql in enumerate(asked) if "access_role" in sql and "FOR NO KEY UPDATE" in sql)
    given = next(at for at, sql in enumerate(asked) if sql.startswith('INSERT INTO "access_accessrule"'))
    assert kept < given


def test_an_old_copy_of_a_key_revives_no_token(acme, bob):
    """Both renewals count on from what is stored: a generation that was read before is not given twice."""
    key, _ = create_key(actor=bob, name="laptop")
    stale = AccessKey.objects.get(pk=key.pk)
    renew_key(actor=bob, key=key)
    renew_key(actor=bob, key=stale)
    assert AccessKey.objects.get(pk=key.pk).token_generation == 2


@pytest.mark.parametrize("act", CHANGES.values(), ids=CHANGES)
def test_a_rule_that_somebody_else_removed_is_told_as_gone(acme, alice, bob, act):
    rule = create_rule(actor=alice, subject_kind="user", subject_id=bob.id, role="researcher", scope=root_scope())
    delete_rule(actor=alice, rule=AccessRule.objects.get(pk=rule.pk))
    with pytest.raises(NotFound, match="no longer exists"):
        act(alice, rule)
    assert AuditEntry.objects.filter(entity_type="access-rule", entity_id=rule.pk, action="delete").count() == 1


def test_a_webhook_that_is_changed_meanwhile_hears_nothing_twice(acme, alice):
    """Its cursor moved after the row was read: the change leaves it where it is."""
    stale, _ = create_webhook(actor=alice, values={"name": "hook", "url": "https://hook.example/"})
    Webhook.objects.filter(pk=stale.pk).update(cursor=stale.cursor + 7)
    changed = update_webhook(actor=alice, webhook=stale, values={"enabled": False})
    assert Webhook.objects.get().cursor == changed.cursor == stale.cursor + 7


def test_a_change_brings_no_removed_webhook_or_provider_back(acme, alice):
    hook, _ = create_webhook(actor=alice, values={"name": "hook", "url": "https://hook.example/"})
    data = {"clientId": "c", "clientSecret": "s", "discoverDocumentUrl": "https://idp.example/.well-known/x"}
    provider = create_provider(actor=alice, values={"type": "oidc", "alias": "idp", "oidcData": data})
    Webhook.objects.all().delete()
    IdentityProvider.objects.all().delete()
    with pytest.raises(NotFound):
        update_webhook(actor=alice, webhook=hook, values={"enabled": False})
    with pytest.raises(NotFound):
        update_mappers(actor=alice, provider=provider, values={"uid": "UID"})
    assert not Webhook.objects.exists()
    assert not IdentityProvider.objects.exists()
