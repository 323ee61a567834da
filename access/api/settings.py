"""REST of the tenant itself: who it is, its settings, and its identity providers."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.guard import SIGNED_IN
from access.models import IdentityProvider, ProviderKind
from access.roles import Action
from access.services import providers
from access.services.settings import read_settings, write_setting
from access.setting_keys import KEYS, SECURITY
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.openapi_parts import OBJECT, TEXT, one_of
from runai_cp.lib.renderers import timestamp
from tenants.context import current_tenant

PROVIDER = {
    "type*": one_of(*ProviderKind.values),
    "name": TEXT,
    "alias": TEXT,
    "oidcData": OBJECT,
    "samlData": OBJECT,
    "ocpData": OBJECT,
    "mappers": OBJECT,
}


class MyTenantView(ApiView):
    """The tenant of the caller. Not in the reference."""

    allow = {"GET": SIGNED_IN}

    def get(self, request: Request) -> Response:
        tenant = current_tenant()
        domains = list(tenant.domains.order_by("domain").values_list("domain", flat=True))
        return Response(
            {
                "id": tenant.pk,
                "name": tenant.name,
                "status": tenant.state,
                "createdAt": timestamp(tenant.created_at),
                "domains": domains,
            }
        )


class SecuritySettingsView(ApiView):
    allow = {"GET": Action.SETTINGS_VIEW}

    def get(self, request: Request) -> Response:
        return Response(read_settings(list(SECURITY)))


class SecuritySettingView(ApiView):
    allow = {"GET": Action.SETTINGS_VIEW, "PUT": Action.SETTINGS_UPDATE}
    accepts = {"PUT": OBJECT}

    def get(self, request: Request, key: str) -> Response:
        known = _known(key)
        return Response(read_settings([known])[known])

    def put(self, request: Request, key: str) -> Response:
        return Response(write_setting(actor=self.actor, key=_known(key), value=body(request)))


class TenantSettingsView(ApiView):
    """All settings as key and value: ``GET`` lists them, ``PUT`` changes one."""

    allow = {"GET": Action.SETTINGS_VIEW, "PUT": Action.SETTINGS_UPDATE}
    accepts = {"PUT": {"key*": one_of(*KEYS), "value*": {}}}

    def get(self, request: Request) -> Response:
        values = read_settings()
        return Response([_setting(key, values[key]) for key in KEYS])

    def put(self, request: Request) -> Response:
        data = body(request)
        if "value" not in data:
            raise Invalid(FieldError("value", "is missing"))
        write_setting(actor=self.actor, key=str(data.get("key", ""))[:100], value=data["value"])
        return Response({"msg": "The setting was updated."})


class TenantSettingView(ApiView):
    allow = {"GET": Action.SETTINGS_VIEW}

    def get(self, request: Request, key: str) -> Response:
        if key not in KEYS:
            raise NotFound(f"No setting has this key; there are {sorted(KEYS)}.")
        return Response(read_settings([key])[key])


class ProvidersView(ApiView):
    allow = {"GET": Action.SETTINGS_VIEW, "POST": Action.SETTINGS_UPDATE}
    accepts = {"POST": PROVIDER}

    def get(self, request: Request) -> Response:
        return Response([_provider(request, row) for row in IdentityProvider.objects.order_by("alias")])

    def post(self, request: Request) -> Response:
        row = providers.create_provider(actor=self.actor, values=body(request))
        return Response(_provider(request, row), status=201)


class ProviderView(ApiView):
    allow = {"GET": Action.SETTINGS_VIEW, "PUT": Action.SETTINGS_UPDATE, "DELETE": Action.SETTINGS_UPDATE}
    accepts = {"PUT": PROVIDER}

    def get(self, request: Request, alias: str) -> Response:
        return Response(_provider(request, providers.provider_of(alias)))

    def put(self, request: Request, alias: str) -> Response:
        row = providers.update_provider(actor=self.actor, provider=providers.provider_of(alias), values=body(request))
        return Response(_provider(request, row))

    def delete(self, request: Request, alias: str) -> Response:
        providers.delete_provider(actor=self.actor, provider=providers.provider_of(alias))
        return Response({"code": 200, "message": "The identity provider was removed."})


class ProviderMappersView(ApiView):
    allow = {"GET": Action.SETTINGS_VIEW, "PUT": Action.SETTINGS_UPDATE}

    def get(self, request: Request, alias: str) -> Response:
        return Response(providers.provider_of(alias).mappers)

    def put(self, request: Request, alias: str) -> Response:
        row = providers.provider_of(alias)
        changed = providers.update_mappers(actor=self.actor, provider=row, values=body(request))
        return Response(changed.mappers, status=202)


def _provider(request: Request, row: IdentityProvider) -> dict[str, Any]:
    base = request.build_absolute_uri("/").rstrip("/")
    return providers.shape(row) | {"redirectUri": f"{base}/sso/{row.alias}/callback"}


def _known(key: str) -> str:
    """Some clients on Python 3.11 send an enum's full name, as they do in ``sortBy``."""
    wanted = key.rsplit(".", 1)[-1].replace("-", "").lower()
    key = next((name for name in SECURITY if name.lower() == wanted), "")
    if not key:
        raise NotFound(f"No security setting has this key; there are {sorted(SECURITY)}.")
    return key


def _setting(key: str, value: Any) -> dict[str, Any]:
    known = KEYS[key]
    kind = "boolean" if isinstance(known.default, bool) else "number" if isinstance(known.default, int) else "object"
    return {
        "key": key,
        "value": str(value).lower() if isinstance(value, bool) else str(value),
        "active": value is True,
        "category": known.category,
        "label": known.label,
        "description": known.description,
        "source": "tenant" if value != known.default else "default",
        "stage": "general",
        "type": kind,
    }
