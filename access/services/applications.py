"""Programs' accounts: made with a secret that is shown once."""

import hashlib
import hmac
import secrets

from django.db import IntegrityError, transaction

from access.grants import Actor
from access.models import Application, Scope, SubjectKind
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.holdings import refuse_stronger
from access.services.rules import create_rule, drop_rules_of
from access.services.scopes import root_scope
from runai_cp.lib.errors import Conflict
from runai_cp.lib.models import held, remove
from runai_cp.lib.names import account_name


@transaction.atomic
def create_application(
    *, actor: Actor, name: str, role: str | None = None, scope: Scope | None = None
) -> tuple[Application, str]:
    """The application and its secret, kept only as a hash. Raises ``Invalid``, ``Conflict``, ``NotAllowed``."""
    require(actor, Action.APPLICATION_CREATE, root_scope())
    name = account_name(name)
    secret = secrets.token_urlsafe(32)
    application = Application.objects.filter(name=name).first() if actor.kind == "system" else None
    try:
        with transaction.atomic():
            application = application or Application(
                name=name, client_id=f"app-{secrets.token_hex(8)}", created_by=actor.name
            )
            application.secret_hash = hash_secret(secret)
            application.save()
    except IntegrityError as error:
        raise Conflict(f"An application named {name!r} exists already.") from error
    record(actor=actor, action="create", entity_type="application", entity_id=application.pk, entity_name=name)
    if role:
        create_rule(
            actor=actor,
            subject_kind=SubjectKind.APPLICATION,
            subject_id=application.pk,
            role=role,
            scope=scope or root_scope(),
        )
    return application, secret


@transaction.atomic
def regenerate_secret(*, actor: Actor, application: Application) -> str:
    """A new secret; the old one, and every token that was given for it, stop working at once."""
    require(actor, Action.APPLICATION_UPDATE, root_scope())
    refuse_stronger(actor, application)
    application = held(application, "service account")
    secret = secrets.token_urlsafe(32)
    application.secret_hash = hash_secret(secret)
    application.token_generation += 1
    application.save(update_fields=["secret_hash", "token_generation", "updated_at"])
    record(
        actor=actor,
        action="regenerate-secret",
        entity_type="application",
        entity_id=application.pk,
        entity_name=application.name,
    )
    return secret


@transaction.atomic
def delete_application(*, actor: Actor, application: Application) -> None:
    require(actor, Action.APPLICATION_DELETE, root_scope())
    drop_rules_of(SubjectKind.APPLICATION, application.pk)
    record(
        actor=actor, action="delete", entity_type="application", entity_id=application.pk, entity_name=application.name
    )
    remove(application, "service account")


def hash_secret(secret: str) -> str:
    """SHA-256 in hex. The secret has 256 random bits: a slow hash would add cost and no safety."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(application: Application, secret: str) -> bool:
    return hmac.compare_digest(application.secret_hash, hash_secret(secret))


@transaction.atomic
def set_enabled(*, actor: Actor, application: Application, enabled: bool) -> Application:
    """The row as it is then. A disabled application's tokens stop working with the next request."""
    require(actor, Action.APPLICATION_UPDATE, root_scope())
    application = held(application, "service account")
    before, application.enabled = application.enabled, enabled
    application.token_generation += not enabled
    application.save(update_fields=["enabled", "token_generation", "updated_at"])
    record(
        actor=actor,
        action="update",
        entity_type="application",
        entity_id=application.pk,
        entity_name=application.name,
        before={"enabled": before},
        after={"enabled": enabled},
    )
    return application
