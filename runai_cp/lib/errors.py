"""Domain errors that services raise. The console shows them at the field, the API maps them to a status."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its name as the caller wrote it, what is wrong, what was given, what is allowed."""

    field: str
    message: str
    given: object = None
    allowed: object = None


class DomainError(Exception):
    """Base of all errors that a user may see. ``status`` is the HTTP status of the API."""

    status = 500
    title = "Something went wrong."

    def __init__(self, message: str = "", **details: object) -> None:
        self.message = message or self.title
        self.details = details
        super().__init__(self.message)


class Invalid(DomainError):
    """Some fields are wrong. ``fields`` lists every one of them, not only the first."""

    status = 400
    title = "The request is not valid."

    def __init__(self, *fields: FieldError, message: str = "") -> None:
        self.fields = fields
        super().__init__(message or "; ".join(f"{item.field}: {item.message}" for item in fields) or self.title)

    @classmethod
    def of(cls, messages: Mapping[str, str]) -> "Invalid":
        return cls(*(FieldError(field, message) for field, message in messages.items()))


class NotAuthenticated(DomainError):
    status = 401
    title = "Sign in, or send a valid token."


class NotAllowed(DomainError):
    status = 403
    title = "You do not have sufficient permissions."


class NotFound(DomainError):
    status = 404
    title = "Resource id not found."


class Conflict(DomainError):
    status = 409
    title = "Resource with this name already exists"


class PreconditionFailed(DomainError):
    status = 412
    title = "Precondition failed"


class TooMany(DomainError):
    """``retry_after_s``: seconds after which it is worth trying again."""

    status = 429
    title = "Too many requests; try again later."
    retry_after_s = 60


class Unavailable(DomainError):
    status = 503
    title = "Please try again in few minutes."
