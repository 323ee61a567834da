"""Sign in and out, how long a session lasts, and end one's other sessions."""

import time

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, login, logout
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils import timezone

from access.actors import user_actor
from access.grants import Actor
from access.models import User, UserSession
from access.services.audit import record
from access.services.settings import setting
from runai_cp.lib.errors import NotFound

BACKEND = "access.auth.passwords.PasswordBackend"
SEEN_S = 60
"""Seconds between two looks at the clock of a session: within them nothing is read or written."""
FRESH_S = 600
"""Seconds after showing a credential in which second factors may be changed."""


@transaction.atomic
def sign_in(*, request: HttpRequest, user: User, way: str = "password") -> None:
    """Open a console session bound to this tenant. The session's key is made anew, so that none can be planted."""
    login(request, user, backend=BACKEND)
    now = int(time.time())
    request.session["tid"] = connection.schema_name
    request.session["began"] = request.session["seen"] = request.session["fresh"] = now
    request.session.save()
    UserSession.objects.create(
        user=user,
        session_key=request.session.session_key or "",
        ip=request.META.get("REMOTE_ADDR") or None,
        user_agent=request.headers.get("User-Agent", "")[:200],
    )
    actor = user_actor(user)
    record(
        actor=actor,
        action="sign-in",
        entity_type="user",
        entity_id=actor.id,
        entity_name=actor.name,
        after={"with": way},
    )


@transaction.atomic
def sign_out(*, request: HttpRequest, actor: Actor) -> None:
    UserSession.objects.filter(session_key=request.session.session_key).delete()
    record(actor=actor, action="sign-out", entity_type="user", entity_id=actor.id, entity_name=actor.name)
    logout(request)


def still_open(request: HttpRequest) -> bool:
    """Whether the session may go on; one that is over is ended here.

    Over is what was begun ``RUNAI_SESSION_SECONDS`` ago, or idle for longer than the tenant's
    ``browserSessionTimeout``. A page that refreshes itself (header ``X-Live``) does not count as use. The setting is
    read at most once in ``SEEN_S`` seconds of use: the shortest time-out is a minute, so that misses nothing.
    """
    session, now = request.session, int(time.time())
    idle = now - session.get("seen", now)
    if now - session.get("began", now) > settings.SESSION_COOKIE_AGE:
        return _end(request, "it was open for too long")
    if idle <= SEEN_S and "seen" in session:
        return True
    if idle > setting("browserSessionTimeout")["idleTimeout"] * 60:
        return _end(request, "it was idle for too long")
    if "X-Live" not in request.headers:
        session["seen"] = now
        UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=timezone.now())
    return True


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person showed a credential in this session a moment ago."""
    return bool(time.time() - request.session.get("fresh", 0) <= FRESH_S)


def keep_open(request: HttpRequest, user: User) -> None:
    """After the person changed their password in this session: the others ended, this one goes on."""
    request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    make_fresh(request)


def make_fresh(request: HttpRequest) -> None:
    request.session["fresh"] = int(time.time())


@transaction.atomic
def revoke_session(*, actor: Actor, session_id: object) -> None:
    """End one of the actor's own sessions. Raises ``NotFound`` for anybody else's."""
    row = UserSession.objects.filter(pk=session_id, user_id=actor.id).first()
    if row is None:
        raise NotFound("You have no such session.")
    _drop(actor, [row])


@transaction.atomic
def revoke_other_sessions(*, actor: Actor, keep: str | None) -> int:
    """End all of the actor's own sessions but the one that asks. The number of those that ended."""
    rows = list(UserSession.objects.filter(user_id=actor.id).exclude(session_key=keep or ""))
    _drop(actor, rows)
    return len(rows)


def _drop(actor: Actor, rows: list[UserSession]) -> None:
    for row in rows:
        Session.objects.filter(session_key=row.session_key).delete()
        record(
            actor=actor, action="revoke-session", entity_type="session", entity_id=row.pk, entity_name=row.user_agent
        )
        row.delete()


@transaction.atomic
def _end(request: HttpRequest, why: str) -> bool:
    user = request.user
    if isinstance(user, User):
        UserSession.objects.filter(session_key=request.session.session_key).delete()
        record(
            actor=user_actor(user),
            action="session-ended",
            entity_type="user",
            entity_id=user.pk,
            entity_name=user.email,
            after={"reason": why},
        )
    logout(request)
    return False
