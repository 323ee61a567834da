"""REST of the audit log: a list with the reference's own paging words, and a file."""

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.api.rules import moment
from access.filters import AUDIT
from access.grants import Actor
from access.models import AuditEntry
from access.roles import Action
from access.selections import visible_entries
from access.services.audit import record
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.export import csv_lines
from tenants.context import current_tenant

COLUMNS = (
    "timestamp",
    "subject",
    "subject_type",
    "source_ip",
    "action",
    "result",
    "http_method",
    "url",
    "http_status_code",
    "entity_type",
    "entity_name",
    "entity_id",
    "request_id",
)


def asked(request: Request, actor: Actor) -> tuple[QuerySet[AuditEntry], Any]:
    """Rows and list query. ``numberOfSamples`` is the reference's word for ``limit``."""
    params = request.query_params.copy()
    if "numberOfSamples" in params:
        params["limit"] = params["numberOfSamples"]
    rows = visible_entries(actor)
    for name, lookup in (("start", "at__gte"), ("end", "at__lte")):
        if text := params.get(name):
            rows = rows.filter(**{lookup: moment(name, text)})
    if "sortBy" not in params and params.get("sortOrder", "").lower() == "asc":
        params["sortBy"] = "timestamp"
    return rows, AUDIT.parse(params)


class AuditLogView(ApiView):
    """``start`` and ``end`` bound the time; newest first."""

    allow = {"GET": Action.AUDIT_VIEW}
    listing = AUDIT

    def get(self, request: Request) -> Response:
        rows, query = asked(request, self.actor)
        page = AUDIT.page(rows, query)
        tenant_id = current_tenant().pk
        envelope = page.envelope("audit_logs", [shapes.audit_entry(row, tenant_id) for row in page.rows])
        return Response(envelope | {"total": AUDIT.count(rows, query)})


class AuditLogCountView(ApiView):
    allow = {"GET": Action.AUDIT_VIEW}
    listing = AUDIT

    def get(self, request: Request) -> Response:
        rows, query = asked(request, self.actor)
        return Response({"count": AUDIT.count(rows, query)})


class AuditLogFileView(ApiView):
    """All matches as CSV or JSON, streamed. Who took the trail away is written into it."""

    allow = {"GET": Action.AUDIT_VIEW}
    listing = AUDIT

    def get(self, request: Request) -> StreamingHttpResponse:
        kind = request.query_params.get("file_type", "CSV").upper()
        if kind not in ("CSV", "JSON"):
            raise Invalid(FieldError("file_type", "allowed are CSV and JSON", kind[:40], ["CSV", "JSON"]))
        rows, query = asked(request, self.actor)
        rows = AUDIT.ordered(AUDIT.filtered(rows, query), query)
        if "numberOfSamples" in request.query_params:
            rows = rows[: query.limit]
        record(actor=self.actor, action="export", entity_type="audit", entity_name=kind)
        tenant_id = current_tenant().pk
        # The rows are read before the answer begins: the schema is only this request's while it is in hand.
        found = [shapes.audit_entry(row, tenant_id) for row in rows[:MOST]]
        name = f"audit-{timezone.now():%Y%m%dT%H%M%SZ}.{kind.lower()}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        lines = csv_lines(COLUMNS, found) if kind == "CSV" else _json(found)
        return StreamingHttpResponse(lines, content_type="application/octet-stream", headers=headers)


MOST = 100_000
"""Entries of one file; bound the time to get others."""


def _json(rows: list[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for index, row in enumerate(rows):
        yield (b",\n" if index else b"\n") + json.dumps(row, default=str).encode()
    yield b"\n]\n"
