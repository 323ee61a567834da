"""What stands between a right password and a session: a second factor, a new password, a first second factor.

Until every step is done there is no session of the person, only a note in the anonymous one of who has shown a
password; nothing but the steps themselves can be reached with it.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

from django.http import HttpRequest

from access.models import User
from access.services.audit import sign_in_failed
from access.services.factors import check_code, has_factor
from access.services.sessions import sign_in
from access.services.settings import setting
from access.services.sso import take_link
from runai_cp.lib.errors import FieldError, Invalid, NotAuthenticated

PENDING = "pending"
PENDING_S = 600
"""Seconds to finish a sign-in."""


class Step(StrEnum):
    """What a person has to do next; ``DONE``: they are signed in."""

    CODE = "code"
    PASSWORD = "password"  # noqa: S105 - a step's name
    ENROL = "enrol"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in under way: who has shown a password, whether a second factor too, and where they want to go."""

    user: User
    factor: bool
    back: str


def next_step(user: User, *, factor: bool, enrolled: bool | None = None) -> Step:
    """In this order: nobody changes a password or adds a factor without having shown the one they have.

    ``enrolled`` is whether there is a factor, for who knows already.
    """
    enrolled = has_factor(user) if enrolled is None else enrolled
    if enrolled and not factor:
        return Step.CODE
    if user.must_change_password:
        return Step.PASSWORD
    if not enrolled and setting("mfaRequired"):
        return Step.ENROL
    return Step.DONE


def begin(*, request: HttpRequest, user: User, back: str) -> Step:
    """After a right password. The session's key is made anew, so that a planted one does not come along."""
    request.session.pop(PENDING, None)
    request.session.cycle_key()
    return _go_on(request, Pending(user, False, back))


def pending(request: HttpRequest) -> Pending | None:
    """The sign-in under way in this browser. None when there is none, it took too long, or the account changed."""
    note = request.session.get(PENDING)
    if not isinstance(note, dict) or time.time() - note["at"] > PENDING_S:
        return None
    user = User.objects.filter(pk=note["user"], is_active=True).first()
    if user is None or user.get_session_auth_hash() != note["hash"]:
        return None
    return Pending(user, note["factor"], note["back"])


def show_code(*, request: HttpRequest, now: Pending, code: object) -> Step:
    """Raises ``Invalid`` for a wrong code, ``TooMany`` for guessing."""
    check_code(user=now.user, code=code)
    return factor_shown(request=request, now=now)


def factor_shown(*, request: HttpRequest, now: Pending) -> Step:
    """The second factor was right. Again a new session key."""
    request.session.cycle_key()
    return _go_on(request, Pending(now.user, True, now.back))


def go_on(*, request: HttpRequest, now: Pending) -> Step:
    """After the person did what a step asked: read anew, since that changed the account."""
    user = User.objects.get(pk=now.user.pk)
    return _go_on(request, Pending(user, now.factor, now.back))


def _go_on(request: HttpRequest, now: Pending) -> Step:
    step = next_step(now.user, factor=now.factor)
    if step is Step.DONE:
        request.session.pop(PENDING, None)
        sign_in(request=request, user=now.user, way="password and second factor" if now.factor else "password")
        take_link(request=request, user=now.user)
        return step
    request.session[PENDING] = {
        "user": str(now.user.pk),
        "hash": now.user.get_session_auth_hash(),
        "factor": now.factor,
        "back": now.back,
        "at": int(time.time()) if PENDING not in request.session else request.session[PENDING]["at"],
    }
    return step


def check_program_sign_in(*, user: User, otp: object) -> None:
    """The same rules for the password grant of the API, where nothing can be asked: it says what is missing.

    Raises ``NotAuthenticated`` for what only the console can do, ``Invalid`` (field ``otp``) for a missing or wrong
    code, ``TooMany`` for guessing.
    """
    enrolled = has_factor(user)
    if enrolled and not otp:
        raise Invalid(FieldError("otp", "this account has a second factor: send its code, or a recovery code"))
    if enrolled:
        try:
            check_code(user=user, code=otp)
        except Invalid as error:
            raise Invalid(FieldError("otp", error.fields[0].message)) from error
    step = next_step(user, factor=True, enrolled=enrolled)
    if step is not Step.DONE:
        reason = {
            Step.PASSWORD: "The password is temporary: sign in to the console once and choose your own.",
            Step.ENROL: "A second factor is required here: sign in to the console once and set one up.",
        }[step]
        sign_in_failed(name=user.email, kind="user", reason=reason)
        raise NotAuthenticated(reason)
