"""REST of webhooks and of what was delivered to them. The reference has none."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api import shapes
from access.api.base import ApiView
from access.filters import DELIVERIES, WEBHOOKS
from access.models import Webhook
from access.roles import Action
from access.services import webhooks
from runai_cp.lib.api import body
from runai_cp.lib.errors import NotFound
from runai_cp.lib.openapi_parts import FLAG, TEXT, listed


def webhook_or_404(webhook_id: UUID) -> Webhook:
    row = Webhook.objects.filter(pk=webhook_id).first()
    if row is None:
        raise NotFound("No webhook has this id.")
    return row


class WebhooksView(ApiView):
    """The key of the signatures is in the answer to the POST and never again."""

    allow = {"GET": Action.WEBHOOK_VIEW, "POST": Action.WEBHOOK_CREATE}
    accepts = {"POST": {"name*": TEXT, "url*": TEXT, "events": listed(TEXT), "enabled": FLAG}}
    listing = WEBHOOKS

    def get(self, request: Request) -> Response:
        page = WEBHOOKS.page(Webhook.objects.all(), WEBHOOKS.parse(request.query_params))
        return Response(page.envelope("webhooks", [shapes.webhook(row) for row in page.rows]))

    def post(self, request: Request) -> Response:
        row, secret = webhooks.create_webhook(actor=self.actor, values=body(request))
        return Response(shapes.webhook(row) | {"secret": secret}, status=201)


class WebhooksCountView(ApiView):
    allow = {"GET": Action.WEBHOOK_VIEW}
    listing = WEBHOOKS

    def get(self, request: Request) -> Response:
        return Response({"count": WEBHOOKS.count(Webhook.objects.all(), WEBHOOKS.parse(request.query_params))})


class WebhookView(ApiView):
    allow = {"GET": Action.WEBHOOK_VIEW, "PUT": Action.WEBHOOK_UPDATE, "DELETE": Action.WEBHOOK_DELETE}
    accepts = {"PUT": {"name": TEXT, "url": TEXT, "events": listed(TEXT), "enabled": FLAG}}

    def get(self, request: Request, webhook_id: UUID) -> Response:
        return Response(shapes.webhook(webhook_or_404(webhook_id)))

    def put(self, request: Request, webhook_id: UUID) -> Response:
        row = webhook_or_404(webhook_id)
        return Response(shapes.webhook(webhooks.update_webhook(actor=self.actor, webhook=row, values=body(request))))

    def delete(self, request: Request, webhook_id: UUID) -> Response:
        webhooks.delete_webhook(actor=self.actor, webhook=webhook_or_404(webhook_id))
        return Response(status=204)


class WebhookSecretView(ApiView):
    allow = {"POST": Action.WEBHOOK_UPDATE}

    def post(self, request: Request, webhook_id: UUID) -> Response:
        return Response({"secret": webhooks.renew_secret(actor=self.actor, webhook=webhook_or_404(webhook_id))})


class WebhookDeliveriesView(ApiView):
    allow = {"GET": Action.WEBHOOK_VIEW}
    listing = DELIVERIES

    def get(self, request: Request, webhook_id: UUID) -> Response:
        rows: Any = webhook_or_404(webhook_id).deliveries.all()
        page = DELIVERIES.page(rows, DELIVERIES.parse(request.query_params))
        return Response(page.envelope("deliveries", [shapes.delivery(row) for row in page.rows]))
