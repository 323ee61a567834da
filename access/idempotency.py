"""Do a thing once for one ``Idempotency-Key``: same request, the first answer again; another request, a conflict."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, connection, transaction

from access.models import IdempotencyKey
from runai_cp.lib.crypto import seal, unseal
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.renderers import ENCODER

MAX_KEY = 255
Answer = tuple[int, Any]


def once(*, actor_id: str, key: str, request: bytes, run: Callable[[], Answer]) -> Answer:
    """Run ``run`` and remember its (status, JSON-ready body).

    Safe against a death at any line: key, effect and answer commit together. A second caller with the key waits on the
    first one's row, and then reads its answer; if the first one failed, nothing was kept and the second one runs.
    Raises ``Conflict`` for a used key with another request, ``Invalid`` for a key that is too long.
    """
    if not 1 <= len(key) <= MAX_KEY:
        raise Invalid(FieldError("Idempotency-Key", f"must have 1 to {MAX_KEY} characters", key[:40]))
    fingerprint = hashlib.sha256(request).hexdigest()
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = IdempotencyKey.objects.create(actor_id=actor_id, key=key, request_hash=fingerprint)
        except IntegrityError:
            return _stored(actor_id, key, fingerprint)
        status, body = run()
        row.status = status
        row.answer = seal(ENCODER.encode(body), _place(row))
        row.save(update_fields=["status", "answer"])
        return status, body


def _stored(actor_id: str, key: str, fingerprint: str) -> Answer:
    row = IdempotencyKey.objects.get(actor_id=actor_id, key=key)
    if row.request_hash != fingerprint:
        raise Conflict("This Idempotency-Key was used with another request.")
    return row.status or 200, json.loads(unseal(bytes(row.answer or b""), _place(row)))


def _place(row: IdempotencyKey) -> str:
    return f"{connection.schema_name}/access_idempotencykey/answer/{row.pk}"
