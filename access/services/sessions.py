"""Sign in and out, and end one's other sessions."""

from django.contrib.auth import login, logout
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.http import HttpRequest

from access.actors import user_actor
from access.grants import Actor
from access.models import User, UserSession
from access.services.audit import record
from runai_cp.lib.errors import NotFound


@transaction.atomic
def sign_in(*, request: HttpRequest, user: User) -> None:
    """Open a console session bound to this tenant. The session's key is made anew, so that none can be planted."""
    login(request, user)
    request.session["tid"] = connection.schema_name
    request.session.save()
    UserSession.objects.create(
        user=user,
        session_key=request.session.session_key or "",
        ip=request.META.get("REMOTE_ADDR") or None,
        user_agent=request.headers.get("User-Agent", "")[:200],
    )
    actor = user_actor(user)
    record(actor=actor, action="sign-in", entity_type="user", entity_id=actor.id, entity_name=actor.name)


@transaction.atomic
def sign_out(*, request: HttpRequest, actor: Actor) -> None:
    UserSession.objects.filter(session_key=request.session.session_key).delete()
    record(actor=actor, action="sign-out", entity_type="user", entity_id=actor.id, entity_name=actor.name)
    logout(request)


@transaction.atomic
def revoke_session(*, actor: Actor, session_id: object) -> None:
    """End one of the actor's own sessions. Raises ``NotFound`` for anybody else's."""
    row = UserSession.objects.filter(pk=session_id, user_id=actor.id).first()
    if row is None:
        raise NotFound("You have no such session.")
    Session.objects.filter(session_key=row.session_key).delete()
    record(actor=actor, action="revoke-session", entity_type="session", entity_id=row.pk, entity_name=row.user_agent)
    row.delete()
