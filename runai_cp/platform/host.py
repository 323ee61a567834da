"""The platform's own host: the provider opens, suspends and deletes tenants there, with credentials of its own.

First of all middlewares: what is asked of this host never meets a tenant's schema, its sessions or its people.
"""

import hmac
import json
import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve

from runai_cp.lib.api import PROBLEM, problem
from runai_cp.lib.errors import DomainError, Invalid, NotAuthenticated, NotFound, Unavailable

log = logging.getLogger(__name__)
SHORTEST = 32
"""Characters of a credential's secret."""


class PlatformHostMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            ours = bool(settings.PLATFORM_HOST) and request.get_host().partition(":")[0] == settings.PLATFORM_HOST
        except DisallowedHost:
            ours = False
        return answer(request) if ours else self.get_response(request)


def answer(request: HttpRequest) -> HttpResponse:
    """Authenticate, find the view, and put every error into the API's shape."""
    connection.set_schema_to_public()  # type: ignore[attr-defined]
    try:
        match = resolve(request.path, urlconf="runai_cp.urls_platform")
        if not getattr(match.func, "public", False):
            request.caller = caller_of(request)  # type: ignore[attr-defined]
            log.info("platform: %s %s by %s", request.method, request.path, request.caller)  # type: ignore[attr-defined]
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    except Resolver404:
        response = _error(NotFound())
    except RequestDataTooBig:
        response = _error(Invalid(message="The body is too large."))
    except DomainError as error:
        response = _error(error)
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def caller_of(request: HttpRequest) -> str:
    """The name of the credential in ``Authorization: Bearer``. Raises ``NotAuthenticated``, ``Unavailable``."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    digest = sha256(given.strip().encode()).digest()
    found = ""
    for name, known in credentials().items():
        if hmac.compare_digest(digest, known):
            found = name
    if kind.lower() != "bearer" or not found:
        raise NotAuthenticated("Send a platform credential as a bearer token.")
    return found


def credentials() -> dict[str, bytes]:
    """Name → SHA-256 of the secret, from lines ``name secret`` of the file, read anew for each call.

    Raises ``Unavailable`` when the file cannot be read or a line is not as it should be.
    """
    try:
        lines = Path(settings.PLATFORM_CREDENTIALS_FILE).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise Unavailable("The platform's credentials cannot be read.") from error
    found = {}
    for line in lines:
        name, _, secret = line.strip().partition(" ")
        if not name or name.startswith("#"):
            continue
        if len(secret.strip()) < SHORTEST:
            raise Unavailable(f"The platform credential {name} is shorter than {SHORTEST} characters.")
        found[name] = sha256(secret.strip().encode()).digest()
    return found


def json_body(request: HttpRequest) -> dict[str, Any]:
    """Raises ``Invalid`` for anything but a JSON object."""
    try:
        value = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Invalid(message="The body must be a JSON object.") from error
    if not isinstance(value, dict):
        raise Invalid(message="The body must be a JSON object.")
    return value


def _error(error: DomainError) -> HttpResponse:
    response = JsonResponse(problem(error), status=error.status, content_type=PROBLEM)
    if isinstance(error, NotAuthenticated):
        response["WWW-Authenticate"] = "Bearer"
    return response
