"""``POST /api/v1/token`` and ``/api/v2/token``: secrets against signed access tokens (runai-api.md section b.1)."""

from collections.abc import Mapping
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
from access.models import Application
from access.services.applications import matches
from access.services.audit import record
from runai_cp.lib.api import body
from runai_cp.lib.errors import DomainError, FieldError, Invalid, NotAuthenticated

GRANTS = ("client_credentials", "app_token", "password")


class TokenView(ApiView):
    """Version 1. Keys match in any case, as the public clients write ``AppId``, ``appID`` and ``clientId``."""

    authentication_classes: ClassVar[list[Any]] = []
    allow = {"POST": PUBLIC}

    def post(self, request: Request) -> Response:
        given = {key.lower(): value for key, value in body(request).items() if value is not None}
        grant = str(given.get("granttype", ""))
        if grant not in GRANTS:
            raise Invalid(FieldError("grantType", f"allowed are {', '.join(GRANTS)}", grant, list(GRANTS)))
        fields = {
            "client_id": given.get("clientid") or given.get("appid"),
            "client_secret": given.get("clientsecret") or given.get("appsecret"),
            "username": given.get("username"),
            "password": given.get("password"),
        }
        try:
            token = grant_token(request, grant, fields)
        except NotAuthenticated as error:
            raise Invalid(message=error.message) from error  # the contract declares 400 here, and clients retry a 401
        return Response({"accessToken": token.token, "expiresIn": token.expires_in})


class TokenV2View(ApiView):
    """Version 2: OAuth 2 form body and OAuth 2 errors."""

    authentication_classes: ClassVar[list[Any]] = []
    parser_classes: ClassVar[list[Any]] = [FormParser, JSONParser]
    allow = {"POST": PUBLIC}

    def post(self, request: Request) -> Response:
        grant = str(request.data.get("grant_type", ""))
        if grant not in ("client_credentials", "password"):
            return _oauth_error("unsupported_grant_type", f"grant_type {grant!r} is not supported")
        try:
            token = grant_token(request, grant, request.data)
        except NotAuthenticated as error:
            return _oauth_error("invalid_client", error.message, 401)
        except DomainError as error:
            return _oauth_error("invalid_request", error.message, error.status)
        return Response({"access_token": token.token, "token_type": "Bearer", "expires_in": token.expires_in})


def grant_token(request: Request, grant: str, fields: Mapping[str, Any]) -> tokens.AccessToken:
    """Raises ``Invalid`` for a missing field, ``NotAuthenticated`` for a wrong pair, ``TooMany`` for guessing."""
    names = ("username", "password") if grant == "password" else ("client_id", "client_secret")
    missing = [name for name in names if not isinstance(fields.get(name), str) or not fields[name]]
    if missing:
        raise Invalid(*(FieldError(name, "is missing") for name in missing))
    first, second = str(fields[names[0]]), str(fields[names[1]])
    actor = _person(request, first, second) if grant == "password" else _program(first, second)
    return tokens.issue(actor=actor, schema_name=connection.schema_name)


def _person(request: Request, email: str, password: str) -> Actor:
    user = authenticate(request._request, username=email, password=password)
    if user is None:
        raise NotAuthenticated("The e-mail address or the password is wrong.")
    actor = user_actor(user)  # type: ignore[arg-type]
    record(actor=actor, action="sign-in", entity_type="user", entity_id=actor.id, entity_name=actor.name)
    return actor


def _program(client_id: str, secret: str) -> Actor:
    application = Application.objects.filter(client_id=client_id, enabled=True).first()
    if application is None or not matches(application, secret):
        raise NotAuthenticated("The client id or the secret is wrong.")
    Application.objects.filter(pk=application.pk).update(last_used_at=timezone.now())
    return application_actor(application)


def _oauth_error(code: str, description: str, status: int = 400) -> Response:
    return Response({"error": code, "error_description": description}, status=status)
