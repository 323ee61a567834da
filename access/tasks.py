"""Alarm clocks of the access room."""

from datetime import timedelta
from ipaddress import ip_address

from celery import shared_task
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from access.models import IdempotencyKey, UserSession
from access.services.audit import record, source_ip
from access.services.bootstrap import system_actor
from link import services as link
from tenants.context import in_tenant, ready_schemas

BATCH = 200
GOOD_NEWS = frozenset({"enrolled"})
"""Security events that are no refusal."""


@shared_task(name="access.tasks.ingest_security")
def ingest_security(schema_name: str) -> None:
    """Enrolments, refused ones and cloned agents become audit entries, in the transaction that takes the rows."""
    with (
        in_tenant(schema_name),
        transaction.atomic(),
        link.claim_inbox(schema_name=schema_name, topic="security", limit=BATCH) as items,
    ):
        for item in items:
            _record_security(item)


def _record_security(item: link.InboxItem) -> None:
    """The address is the agent's, as the link saw it."""
    event = str(item.body.get("event", "refused"))
    token = source_ip.set(_address(str(item.body.get("client", ""))))
    try:
        record(
            actor=system_actor("link"),
            action=event,
            entity_type="cluster",
            entity_id=item.cluster_id,
            entity_name=str(item.body.get("cluster", "")),
            after=item.body,
            result="success" if event in GOOD_NEWS else "failed",
        )
    finally:
        source_ip.reset(token)


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


@shared_task(name="access.tasks.prune")
def prune() -> None:
    """Drop answers older than a day and sessions that are over. Deleting twice is harmless."""
    for schema_name in ready_schemas():
        with in_tenant(schema_name):
            IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
            Session.objects.filter(expire_date__lt=timezone.now()).delete()
            live = Session.objects.values("session_key")
            UserSession.objects.exclude(session_key__in=live).delete()
    connection.set_schema_to_public()
