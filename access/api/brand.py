"""REST of the tenant's look: the logo in the public contract's shape (base64), name and colour in ours."""

import base64
import binascii
from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.guard import SIGNED_IN
from access.roles import Action
from access.services.brand import LARGEST, TooLarge, brand_of, change_brand, logo_now, remove_logo, set_logo
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.openapi_parts import TEXT
from tenants.context import current_tenant


class LogoView(ApiView):
    """204 where there is none. ``DELETE`` is not in the reference."""

    allow = {"GET": SIGNED_IN, "POST": Action.SETTINGS_UPDATE, "DELETE": Action.SETTINGS_UPDATE}
    accepts = {"POST": {"logo*": TEXT}}

    def get(self, request: Request) -> Response:
        row = logo_now()
        return Response({"logo": base64.b64encode(row.content).decode()}) if row else Response(status=204)

    def post(self, request: Request) -> Response:
        """Base64, with or without the head of a ``data:`` address."""
        given = body(request).get("logo")
        if not isinstance(given, str) or not given:
            raise Invalid(FieldError("logo", "must be the picture in base64", given))
        if len(given) > 2 * LARGEST:
            raise TooLarge(FieldError("logo", f"must have at most {LARGEST // 1024} KiB", f"{len(given)} characters"))
        try:
            content = base64.b64decode(given.partition(";base64,")[2] or given, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Invalid(FieldError("logo", "is no base64", given[:40])) from error
        set_logo(actor=self.actor, content=content)
        return Response({})

    def delete(self, request: Request) -> Response:
        remove_logo(actor=self.actor)
        return Response(status=204)


class BrandingView(ApiView):
    """Name and colour; ``logo`` is the picture's digest. Not in the reference."""

    allow = {"GET": SIGNED_IN, "PUT": Action.SETTINGS_UPDATE}
    accepts = {"PUT": {"name": TEXT, "colour": TEXT}}

    def get(self, request: Request) -> Response:
        return Response(asdict(brand_of(current_tenant())))

    def put(self, request: Request) -> Response:
        data = body(request)
        brand = change_brand(actor=self.actor, name=data.get("name") or "", colour=data.get("colour") or "")
        return Response(asdict(brand))
