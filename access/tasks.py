"""Alarm clocks of the access room."""

from datetime import timedelta

from celery import shared_task
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from access.models import IdempotencyKey, UserSession
from access.services.audit import record
from access.services.bootstrap import system_actor
from link import services as link
from tenants.context import in_tenant, ready_schemas

BATCH = 200


@shared_task(name="access.tasks.ingest_security")
def ingest_security(schema_name: str) -> None:
    """Refused enrolments and cloned agents become audit entries; the rows go in the transaction that writes them."""
    with (
        in_tenant(schema_name),
        transaction.atomic(),
        link.claim_inbox(schema_name=schema_name, topic="security", limit=BATCH) as items,
    ):
        for item in items:
            record(
                actor=system_actor("link"),
                action=str(item.body.get("event", "refused")),
                entity_type="cluster",
                entity_id=item.cluster_id,
                entity_name=str(item.body.get("name", "")),
                after=item.body,
                result="failed",
            )


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
