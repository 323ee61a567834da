"""Who calls the API: a bearer token, or the console's own session from the same origin."""

from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from access.actors import application_actor, user_actor
from access.auth.tokens import verify
from access.grants import Actor
from access.models import AccessKey, Application, RefreshToken, SubjectKind, User
from runai_cp.lib.errors import NotAuthenticated


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <JWT>``. The subject must still exist and be enabled."""

    def authenticate(self, request: Request) -> tuple[Actor, dict[str, object]] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated("Send the header Authorization: Bearer TOKEN.")
        claims = verify(token.strip(), schema_name=connection.schema_name)
        actor = actor_of(claims)
        if actor is None:
            raise NotAuthenticated("The account of this token is gone or disabled, or the token was ended.")
        return actor, claims

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ConsoleSession(BaseAuthentication):
    """The console's session cookie, with the CSRF check that any cookie needs."""

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        actor = getattr(request._request, "actor", None)
        if actor is None:
            return None
        _check_csrf(request._request)
        return actor, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def actor_of(claims: dict[str, Any]) -> Actor | None:
    """The actor of a token; None when the account is gone or disabled, or the credential was renewed or ended since."""
    identifier, generation = str(claims["sub"]), claims.get("gen", 0)
    if claims.get("kind") == SubjectKind.USER:
        people = User.objects.filter(pk=identifier, is_active=True)
        if "fam" in claims:
            people = people.filter(Exists(RefreshToken.objects.filter(user=OuterRef("pk"), family=claims["fam"])))
        user = people.first()
        if user is None:
            return None
        if "key" in claims:
            keys = AccessKey.objects.filter(pk=claims["key"], owner=user, token_generation=generation)
            return user_actor(user) if keys.exists() else None
        return user_actor(user) if user.token_generation == generation else None
    application = Application.objects.filter(pk=identifier, enabled=True, token_generation=generation).first()
    return application_actor(application) if application else None


def _check_csrf(request: HttpRequest) -> None:
    check = CSRFCheck(lambda _: None)  # type: ignore[arg-type, return-value]
    check.process_request(request)
    reason = check.process_view(request, lambda: None, (), {})  # type: ignore[arg-type]
    if reason:
        raise PermissionDenied(f"CSRF failed: {reason}")
