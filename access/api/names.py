"""Is this name still free? 204 when it is, 409 when it is not, for everything that is named here."""

from collections.abc import Callable

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.guard import SIGNED_IN
from access.models import Application, Group, IdentityProvider, Role, User, Webhook
from access.roles import Action, role_named
from runai_cp.lib.errors import Conflict, FieldError, Invalid

_TAKEN: dict[str, Callable[[str], bool]] = {
    "users": lambda name: User.objects.filter(email__same=name).exists(),
    "service-accounts": lambda name: Application.objects.filter(name=name).exists(),
    "groups": lambda name: Group.objects.filter(name__same=name).exists(),
    "roles": lambda name: role_named(name) is not None or Role.objects.filter(name__same=name).exists(),
    "idps": lambda name: IdentityProvider.objects.filter(alias__same=name).exists(),
    "webhooks": lambda name: Webhook.objects.filter(name__same=name).exists(),
}


class NameAvailabilityView(ApiView):
    """One class a thing: subclasses say which, and who may ask."""

    allow = {"GET": SIGNED_IN}
    thing = ""

    def get(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        if not name or len(name) > 254 or "\x00" in name:
            raise Invalid(FieldError("name", "must have 1 to 254 characters", name[:80]))
        if _TAKEN[self.thing](name):
            raise Conflict("Resource with this name already exists")
        return Response(status=204)


class UserName(NameAvailabilityView):
    allow = {"GET": Action.USER_CREATE}
    thing = "users"


class ServiceAccountName(NameAvailabilityView):
    allow = {"GET": Action.APPLICATION_CREATE}
    thing = "service-accounts"


class GroupName(NameAvailabilityView):
    allow = {"GET": Action.GROUP_CREATE}
    thing = "groups"


class RoleName(NameAvailabilityView):
    allow = {"GET": Action.ROLE_CREATE}
    thing = "roles"


class ProviderName(NameAvailabilityView):
    allow = {"GET": Action.SETTINGS_UPDATE}
    thing = "idps"


class WebhookName(NameAvailabilityView):
    allow = {"GET": Action.WEBHOOK_CREATE}
    thing = "webhooks"
