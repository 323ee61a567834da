"""``POST /api/v1/token`` and ``/api/v2/token``: secrets against signed access tokens (runai-api.md section b.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib.auth import authenticate
from django.db import connection
from django.utils import timezone
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from access.actors import application_actor, user_actor
from access.api.base import ApiView
from access.auth import tokens
from access.grants import Actor
from access.guard import PUBLIC
from access.models import AccessKey, Application, User
from access.services.access_keys import key_matches
from access.services.applications import matches
from access.services.audit import record, sign_in_failed
from access.services.entry import check_program_sign_in
from access.services.refresh import new_refresh_token, use_refresh_token
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotAuthenticated
from runai_cp.lib.openapi_parts import TEXT, one_of

GRANTS = ("client_credentials", "app_token", "password", "refresh_token")
LONGEST = 4096
"""Characters of a field: secrets are short."""


@dataclass(frozen=True, slots=True)
class Granted:
    access: tokens.AccessToken
    refresh: str = ""


_TOKEN = ("clientID", "clientSecret", "appID", "appSecret", "username", "password", "otp", "refreshToken")
_TOKEN_V2 = ("client_id", "client_secret", "username", "password", "otp", "refresh_token")


class TokenView(ApiView):
    """Version 1. Keys match in any case, as the public clients write ``AppId``, ``appID`` and ``clientId``."""

    authentication_classes: ClassVar[list[Any]] = []
    allow = {"POST": PUBLIC}
    accepts = {"POST": {"grantType*": one_of(*GRANTS), **dict.fromkeys(_TOKEN, TEXT)}}
    rate = "token"

    def post(self, request: Request) -> Response:
        given = {key.lower(): value for key, value in body(request).items() if value is not None}
        grant = str(given.get("granttype", ""))[:100]
        if grant not in GRANTS:
            raise Invalid(FieldError("grantType", f"allowed are {', '.join(GRANTS)}", grant, list(GRANTS)))
        fields = {
            "client_id": given.get("clientid") or given.get("appid"),
            "client_secret": given.get("clientsecret") or given.get("appsecret"),
            "username": given.get("username"),
            "password": given.get("password"),
            "otp": given.get("otp"),
            "refresh_token": given.get("refreshtoken"),
        }
        try:
            granted = grant_token(request, grant, fields)
        except NotAuthenticated as error:
            raise Invalid(message=error.message) from error  # the contract declares 400 here, and clients retry a 401
        answer = {"accessToken": granted.access.token, "expiresIn": granted.access.expires_in}
        return Response(answer | ({"refreshToken": granted.refresh} if granted.refresh else {}))


_TEXTS_V2 = dict.fromkeys(_TOKEN_V2, TEXT)


class TokenV2View(ApiView):
    """Version 2: OAuth 2 form body and OAuth 2 errors."""

    authentication_classes: ClassVar[list[Any]] = []
    parser_classes: ClassVar[list[Any]] = [FormParser, JSONParser]
    allow = {"POST": PUBLIC}
    accepts = {"POST": {"grant_type*": one_of("client_credentials", "password", "refresh_token"), **_TEXTS_V2}}
    media = "application/x-www-form-urlencoded"
    rate = "token"

    def post(self, request: Request) -> Response:
        data = body(request) if isinstance(request.data, dict) else {}
        fields = {key: value[0] if isinstance(value, list) and value else value for key, value in data.items()}
        grant = str(fields.get("grant_type", ""))[:100]
        if grant not in ("client_credentials", "password", "refresh_token"):
            return _oauth_error("unsupported_grant_type", f"grant_type {grant!r} is not supported")
        try:
            granted = grant_token(request, grant, fields)
        except NotAuthenticated as error:
            if grant == "client_credentials":
                return _oauth_error("invalid_client", error.message, 401)
            return _oauth_error("invalid_grant", error.message, 401)
        except Invalid as error:
            code = "mfa_required" if any(item.field == "otp" for item in error.fields) else "invalid_request"
            return _oauth_error(code, error.message, error.status)
        answer = {
            "access_token": granted.access.token,
            "token_type": "Bearer",
            "expires_in": granted.access.expires_in,
        }
        return Response(answer | ({"refresh_token": granted.refresh} if granted.refresh else {}))


class ApplicationTokenView(ApiView):
    """The oldest form, deprecated: an application's id, name and secret."""

    authentication_classes: ClassVar[list[Any]] = []
    allow = {"POST": PUBLIC}
    rate = "token"

    def post(self, request: Request) -> Response:
        data = body(request)
        granted = grant_token(request, "app_token", {"client_id": data.get("id"), "client_secret": data.get("secret")})
        return Response({"access_token": granted.access.token, "id_token": granted.access.token})


def grant_token(request: Request, grant: str, fields: Mapping[str, Any]) -> Granted:
    """Raises ``Invalid`` for a missing field, ``NotAuthenticated`` for a wrong pair, ``TooMany`` for guessing."""
    names = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}.get(
        grant, ("client_id", "client_secret")
    )
    values = [fields.get(name) for name in names]
    wrong = [
        name
        for name, value in zip(names, values, strict=True)
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST
    ]
    if wrong:
        message = f"must be text of 1 to {LONGEST} characters"
        raise Invalid(*(FieldError(name, message) for name in wrong))
    if grant == "password":
        return _person(request, str(values[0]), str(values[1]), fields.get("otp"))
    if grant == "refresh_token":
        return _again(str(values[0]))
    return _program(str(values[0]), str(values[1]))


def _person(request: Request, email: str, password: str, otp: object) -> Granted:
    user = authenticate(request._request, username=email, password=password)
    if not isinstance(user, User):
        raise NotAuthenticated("The e-mail address or the password is wrong.")
    check_program_sign_in(user=user, otp=otp)
    actor = user_actor(user)
    record(actor=actor, action="sign-in", entity_type="user", entity_id=actor.id, entity_name=actor.name)
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    return Granted(_issue(actor, user.token_generation), new_refresh_token(user))


def _again(refresh_token: str) -> Granted:
    user, following = use_refresh_token(refresh_token)
    return Granted(_issue(user_actor(user), user.token_generation), following)


def _program(client_id: str, secret: str) -> Granted:
    """A service account, or somebody's access key, which acts as its owner."""
    if client_id.startswith("key-"):
        key = AccessKey.objects.select_related("owner").filter(client_id=client_id[:64], owner__is_active=True).first()
        if key is not None and key_matches(key, secret):
            AccessKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
            return Granted(_issue(user_actor(key.owner), key.token_generation, str(key.pk)))
    application = Application.objects.filter(client_id=client_id[:64], enabled=True).first()
    if application is None or not matches(application, secret):
        sign_in_failed(name=client_id[:64], kind="application", reason="wrong client id or secret")
        raise NotAuthenticated("The client id or the secret is wrong.")
    Application.objects.filter(pk=application.pk).update(last_used_at=timezone.now())
    return Granted(_issue(application_actor(application), application.token_generation))


def _issue(actor: Actor, generation: int, key_id: str = "") -> tokens.AccessToken:
    return tokens.issue(actor=actor, schema_name=connection.schema_name, generation=generation, key_id=key_id)


def _oauth_error(code: str, description: str, status: int = 400) -> Response:
    return Response({"error": code, "error_description": description}, status=status)
