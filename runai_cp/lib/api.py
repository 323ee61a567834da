"""The DRF base: one error shape for every door, and views that say which action each method needs.

Errors are ``{code, message, details}`` of the public API with the members of RFC 9457 problem details added.
"""

import logging
import re
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runai_cp.lib.errors import DomainError, FieldError, Invalid, NotAllowed, NotAuthenticated, NotFound, TooMany

log = logging.getLogger(__name__)
PROBLEM = "application/problem+json"
_HALF = re.compile("[\ud800-\udfff]")
"""JSON spells what no UTF-8 can hold."""


class ApiView(APIView):
    """Base of all API views. ``allow`` maps an HTTP method to the action (or marker) it needs; see ``access.guard``."""

    allow: ClassVar[dict[str, Any]] = {}


def body(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Raises ``Invalid`` for anything else."""
    data = request.data
    if not isinstance(data, dict):
        raise Invalid(message="The body must be a JSON object.")
    _refuse_nul(data)
    return dict(data)


def choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    """A word of the query. Raises ``Invalid`` for one that is not allowed."""
    word = request.query_params.get(name) or default
    if word not in allowed:
        raise Invalid(FieldError(name, f"allowed are {', '.join(allowed)}", word[:80], list(allowed)))
    return word


def _refuse_nul(value: Any, depth: int = 0) -> None:
    """Raises ``Invalid`` for a NUL or half a surrogate pair in any text of the body: the database has none of these;
    or for nesting too deep."""
    if depth > 40:
        raise Invalid(message="The body nests more than 40 levels deep.")
    if isinstance(value, str):
        if "\x00" in value:
            raise Invalid(message="The body must not hold NUL characters.")
        if _HALF.search(value):
            raise Invalid(message="The body must not hold half a surrogate pair, such as \\ud800 alone.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, depth + 1)
            _refuse_nul(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item, depth + 1)


def problem(error: DomainError) -> dict[str, Any]:
    """The response body of an error."""
    answer: dict[str, Any] = {
        "code": error.status,
        "message": error.message,
        "title": error.title,
        "status": error.status,
        "type": "about:blank",
    }
    if isinstance(error, Invalid) and error.fields:
        answer["details"] = error.message
        answer["errors"] = [
            {
                "field": item.field,
                "message": item.message,
                "given": None if item.given is None else str(item.given)[:200],
                "allowed": item.allowed,
            }
            for item in error.fields
        ]
    elif error.details:
        answer["details"] = ", ".join(f"{key}: {value}" for key, value in error.details.items())
    return answer


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. An unknown exception is left to Django: a 500 page, logged with its request id."""
    domain = _as_domain(error)
    if domain is None:
        return None
    response = Response(problem(domain), status=domain.status, content_type=PROBLEM)
    response.exception = True
    if isinstance(domain, NotAuthenticated):
        response["WWW-Authenticate"] = "Bearer"
    if isinstance(domain, TooMany):
        response["Retry-After"] = str(domain.retry_after_s)
    if isinstance(domain, NotAllowed) and context.get("request") is not None:
        context["request"]._request.refusal = domain.message  # the guard writes it into the audit trail
    return response


def _as_domain(error: Exception) -> DomainError | None:
    match error:
        case DomainError():
            return error
        case Http404():
            return NotFound()
        case PermissionDenied() | exceptions.PermissionDenied():
            return NotAllowed(str(error) or "")
        case ValidationError():
            return Invalid(message=" ".join(error.messages))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return NotAuthenticated(str(error.detail))
        case exceptions.ValidationError() | exceptions.ParseError():
            return Invalid(message=f"The body cannot be read: {error.detail}")
        case exceptions.APIException():
            other = DomainError(str(error.detail))
            other.status = error.status_code
            return other
    return None
