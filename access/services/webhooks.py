"""Tell other programs what changed: the audit chain is the outbox, a table is the queue, a sweeper does the work.

Taking in: in one transaction a webhook's cursor moves over new chain numbers and deliveries are written, so nothing is
lost or queued twice. Sending: a delivery is locked, sent, and marked; a worker that dies in between sends it again,
with the same id. Tries go on for about a day with growing pauses.
"""

import fnmatch
import hmac
import json
import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from access.grants import Actor
from access.models import AuditEntry, DeliveryState, Webhook, WebhookDelivery
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.scopes import root_scope
from access.setting_keys import web_address
from runai_cp.lib import egress
from runai_cp.lib.crypto import seal, unseal
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.models import held, remove
from runai_cp.lib.names import display_name
from runai_cp.lib.renderers import timestamp

PATTERN = re.compile(r"[a-z*-]{1,40}\.[a-z*-]{1,40}")
TRIES = 12
BATCH = 100
MOST = 50
"""Webhooks a tenant may have."""


@transaction.atomic
def create_webhook(*, actor: Actor, values: dict[str, Any]) -> tuple[Webhook, str]:
    """The webhook and the key of its signatures, shown once. It hears what happens from now on."""
    require(actor, Action.WEBHOOK_CREATE, root_scope())
    if Webhook.objects.count() >= MOST:
        raise Conflict(f"There are {MOST} webhooks, as many as are allowed.")
    secret = secrets.token_urlsafe(32)
    last = AuditEntry.objects.aggregate(last=Max("seq"))["last"] or 0
    row = Webhook(created_by=actor.name[:200], cursor=last)
    _fill(row, {"events": ["*.*"], "enabled": True, **values}, creating=True)
    row.secret = seal(secret.encode(), _place(row))
    _save(row)
    _remember(actor, "create", row, after=snapshot(row))
    return row, secret


@transaction.atomic
def update_webhook(*, actor: Actor, webhook: Webhook, values: dict[str, Any]) -> Webhook:
    """Only what is given changes, and of the row as it is by now. Raises ``NotFound`` where it is gone."""
    require(actor, Action.WEBHOOK_UPDATE, root_scope())
    webhook = held(webhook, "webhook")
    before = snapshot(webhook)
    _fill(webhook, values, creating=False)
    _save(webhook)
    _remember(actor, "update", webhook, before=before, after=snapshot(webhook))
    return webhook


@transaction.atomic
def renew_secret(*, actor: Actor, webhook: Webhook) -> str:
    require(actor, Action.WEBHOOK_UPDATE, root_scope())
    webhook = held(webhook, "webhook")
    secret = secrets.token_urlsafe(32)
    webhook.secret = seal(secret.encode(), _place(webhook))
    webhook.save(update_fields=["secret", "updated_at"])
    _remember(actor, "regenerate-secret", webhook)
    return secret


@transaction.atomic
def delete_webhook(*, actor: Actor, webhook: Webhook) -> None:
    require(actor, Action.WEBHOOK_DELETE, root_scope())
    _remember(actor, "delete", webhook, before=snapshot(webhook))
    remove(webhook, "webhook")


@transaction.atomic
def take_in(webhook_id: object, now: datetime) -> int:
    """Turn new audit entries into deliveries of one webhook. Returns how many entries were looked at."""
    rows = Webhook.objects.select_for_update(skip_locked=True).filter(pk=webhook_id, enabled=True)
    webhook = rows.first()
    if webhook is None:
        return 0
    entries = list(AuditEntry.objects.filter(seq__gt=webhook.cursor).order_by("seq")[:BATCH])
    wanted = [entry for entry in entries if matches(webhook.events, event_name(entry))]
    WebhookDelivery.objects.bulk_create(
        [
            WebhookDelivery(
                webhook=webhook, event=event_name(entry), audit_seq=entry.seq or 0, body=_body(entry), next_at=now
            )
            for entry in wanted
        ],
        ignore_conflicts=True,
    )
    if entries:
        webhook.cursor = entries[-1].seq or webhook.cursor
        webhook.save(update_fields=["cursor"])
    return len(entries)


def due(now: datetime) -> list[Any]:
    rows = WebhookDelivery.objects.filter(state=DeliveryState.WAITING, next_at__lte=now, webhook__enabled=True)
    return list(rows.order_by("next_at").values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def deliver(delivery_id: object, now: datetime) -> bool:
    """Send one delivery. True when it was taken with a 2xx. Another worker's delivery is left alone."""
    rows = WebhookDelivery.objects.select_for_update(skip_locked=True, of=("self",)).select_related("webhook")
    row = rows.filter(pk=delivery_id, state=DeliveryState.WAITING).first()
    if row is None:
        return False
    row.attempts += 1
    row.status_code, row.error = _send(row, int(now.timestamp()))
    if row.status_code is not None and 200 <= row.status_code < 300:
        row.state, row.delivered_at = DeliveryState.DELIVERED, now
    elif row.attempts >= TRIES:
        row.state = DeliveryState.GIVEN_UP
    else:
        row.next_at = now + pause(row.attempts)
    row.save()
    return row.state == DeliveryState.DELIVERED


def pause(attempts: int) -> timedelta:
    """After the first try half a minute, doubling, at most six hours: about a day in all."""
    return timedelta(seconds=min(30 * 2 ** (attempts - 1), 6 * 3600))


def signature(secret: bytes, at: int, body: bytes) -> str:
    """``t=…,v1=…``: HMAC-SHA256 in hex over ``<t>.<body>``."""
    digest = hmac.new(secret, f"{at}.".encode() + body, sha256).hexdigest()
    return f"t={at},v1={digest}"


def matches(patterns: list[str], event: str) -> bool:
    return any(fnmatch.fnmatchcase(event, pattern) for pattern in patterns)


def event_name(entry: AuditEntry) -> str:
    return f"{entry.entity_type}.{entry.action}"


def snapshot(row: Webhook) -> dict[str, Any]:
    return {"name": row.name, "url": row.url, "events": row.events, "enabled": row.enabled}


def _send(row: WebhookDelivery, at: int) -> tuple[int | None, str]:
    content = json.dumps({"id": str(row.pk), **row.body}, separators=(",", ":"), ensure_ascii=False).encode()
    secret = unseal(bytes(row.webhook.secret), _place(row.webhook))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "runai-webhook",
        "X-Runai-Event": row.event,
        "X-Runai-Delivery": str(row.pk),
        "X-Runai-Signature": signature(secret, at, content),
    }
    try:
        answer = egress.post(row.webhook.url, content=content, headers=headers)
    except egress.EgressRefused as error:
        return None, error.message[:300]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return None, f"{type(error).__name__}: {error}"[:300]
    return answer.status_code, "" if answer.status_code < 300 else f"answered {answer.status_code}"


def _body(entry: AuditEntry) -> dict[str, Any]:
    return {
        "event": event_name(entry),
        "at": timestamp(entry.at),
        "actor": {"kind": entry.actor_kind, "name": entry.actor_name},
        "entity": {"type": entry.entity_type, "id": entry.entity_id, "name": entry.entity_name},
        "result": entry.result,
        "before": entry.before,
        "after": entry.after,
        "sequence": entry.seq,
    }


def _fill(row: Webhook, values: dict[str, Any], *, creating: bool) -> None:
    if creating or "name" in values:
        row.name = display_name(values.get("name"))
    if creating or "url" in values:
        row.url = web_address(values.get("url"), "url", schemes=("https",))
    if "events" in values:
        row.events = _events(values["events"])
    if "enabled" in values:
        if not isinstance(values["enabled"], bool):
            raise Invalid(FieldError("enabled", "must be true or false", values["enabled"]))
        row.enabled = values["enabled"]


def _events(given: object) -> list[str]:
    if not isinstance(given, list) or not 1 <= len(given) <= 50:
        raise Invalid(FieldError("events", "must be a list of 1 to 50 patterns as project.* or *.delete"))
    for item in given:
        if not isinstance(item, str) or not PATTERN.fullmatch(item):
            raise Invalid(FieldError("events", "a pattern is THING.VERB, each a word or *", str(item)[:80]))
    return sorted(set(given))


def _save(row: Webhook) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Conflict(f"A webhook named {row.name!r} exists already.") from error


def _place(row: Webhook) -> str:
    return f"{connection.schema_name}/access_webhook/secret/{row.pk}"


def _remember(actor: Actor, verb: str, row: Webhook, *, before: object = None, after: object = None) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="webhook",
        entity_id=row.pk,
        entity_name=row.name,
        before=before,
        after=after,
    )
