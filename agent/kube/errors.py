"""What the Kubernetes API can answer besides success, one exception per thing a caller decides on."""

from __future__ import annotations

from typing import Any


class KubeError(Exception):
    """Base of all errors of this package. ``status`` is the HTTP code (0: no answer), ``reason`` Kubernetes' word."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.details = details or {}
        self.retry_after = retry_after


class Unauthorized(KubeError):
    """401: the credential is missing, wrong or has run out."""


class Forbidden(KubeError):
    """403: the credential may not do this (also: exceeded ResourceQuota, admission refused)."""


class NotFound(KubeError):
    """404: no such object, or the kind is not installed (see ``kind_missing``)."""

    @property
    def kind_missing(self) -> bool:
        """True when the server does not know the resource itself: its CRD is not installed."""
        return not self.details.get("name") and not self.details.get("kind")


class Conflict(KubeError):
    """409: the object changed meanwhile, a precondition failed, or a pod is already bound."""


class AlreadyExists(Conflict):
    """409 on create: an object of that name exists."""


class Gone(KubeError):
    """410: the resource version or continue token is too old; list again."""


class Invalid(KubeError):
    """400, 413, 415 and 422: the object is refused; the message names the fields."""


class TooManyRequests(KubeError):
    """429: slow down; ``retry_after`` in seconds if the server said so."""


class ServerFailed(KubeError):
    """5xx: the server could not do it now. For a POST it may have been done."""


class Unreachable(KubeError):
    """No answer: connection refused, reset or timed out. For a POST it may have been done."""


class BadConfig(KubeError):
    """The kubeconfig or in-cluster configuration cannot be used; the message names file and field."""


_BY_STATUS: dict[int, type[KubeError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


def error_of(status: int, body: dict[str, Any], retry_after: float | None = None) -> KubeError:
    """The exception for an HTTP status and a Kubernetes ``Status`` object (``{}`` when the body was none)."""
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or f"the API server answered {status}")
    cls = _BY_STATUS.get(status, ServerFailed if status >= 500 else KubeError)
    if status == 409 and reason == "AlreadyExists":
        cls = AlreadyExists
    details = body.get("details")
    if retry_after is None and isinstance(details, dict) and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    return cls(message, status=status, reason=reason, details=details, retry_after=retry_after)
