"""Alarm clocks of the access room."""

import logging
import time
from datetime import timedelta
from ipaddress import ip_address

from celery import shared_task
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from access.models import (
    Authorization,
    DeliveryState,
    IdempotencyKey,
    RefreshToken,
    SsoRequest,
    UserSession,
    Webhook,
    WebhookDelivery,
)
from access.services import webhooks
from access.services.audit import record, source_ip
from access.services.bootstrap import system_actor
from access.services.chain import drop_before
from access.services.issuer_keys import rotate_keys
from access.services.rules import expire_rules
from access.services.settings import setting
from link import services as link
from tenants.context import in_tenant, ready_schemas

log = logging.getLogger(__name__)
BATCH = 200
DROP = 5000
LONGEST_S = 20
"""Seconds of sending in one sweep and tenant: the next one goes on."""
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


@shared_task(name="access.tasks.sweep")
def sweep() -> None:
    """Every few seconds: end rules whose time is over, and take in and send what webhooks are owed. Safe to repeat."""
    for schema_name in ready_schemas():
        try:
            with in_tenant(schema_name):
                _sweep()
        except Exception:  # one tenant's trouble must not hold up the others
            log.exception("sweep of %s failed", schema_name)
    connection.set_schema_to_public()


def _sweep() -> None:
    now = timezone.now()
    expire_rules(actor=system_actor("expiry"), now=now)
    for webhook_id in Webhook.objects.filter(enabled=True).values_list("pk", flat=True):
        while webhooks.take_in(webhook_id, now) == webhooks.BATCH:
            pass
    started = time.monotonic()
    for delivery_id in webhooks.due(now):
        webhooks.deliver(delivery_id, timezone.now())
        if time.monotonic() - started > LONGEST_S:
            break


@shared_task(name="access.tasks.prune")
def prune() -> None:
    """Drop answers older than a day and sessions that are over, and renew old keys. Doing it twice is harmless."""
    for schema_name in ready_schemas():
        with in_tenant(schema_name):
            IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
            Session.objects.filter(expire_date__lt=timezone.now()).delete()
            live = Session.objects.values("session_key")
            UserSession.objects.exclude(session_key__in=live).delete()
            RefreshToken.objects.filter(expires_at__lt=timezone.now()).delete()
            SsoRequest.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
            Authorization.objects.filter(expires_at__lt=timezone.now() - timedelta(hours=1)).delete()
            rotate_keys(actor=system_actor("rotation"), now=timezone.now())
            old = timezone.now() - timedelta(days=30)
            WebhookDelivery.objects.filter(created_at__lt=old).exclude(state=DeliveryState.WAITING).delete()
            while drop_before(timezone.now() - timedelta(days=setting("auditRetentionDays")), limit=DROP) == DROP:
                pass
    connection.set_schema_to_public()
