"""Keys of people: made, renewed and removed by their owner; seen and removed by who may administer them."""

import hmac
import secrets

from django.db import IntegrityError, transaction

from access.grants import Actor
from access.models import AccessKey, SubjectKind, User
from access.permissions import require
from access.roles import Action
from access.services.applications import hash_secret
from access.services.audit import record
from access.services.scopes import root_scope
from runai_cp.lib.errors import Conflict, NotAllowed
from runai_cp.lib.models import held, remove
from runai_cp.lib.names import account_name

MOST = 50
"""Keys a person may have."""


def owner_of(actor: Actor) -> User:
    """The person who acts. Raises ``NotAllowed`` for a program: it has a secret of its own."""
    user = User.objects.filter(pk=actor.id).first() if actor.kind == SubjectKind.USER else None
    if user is None:
        raise NotAllowed("Only a person has access keys; a service account renews its own secret.")
    return user


@transaction.atomic
def create_key(*, actor: Actor, name: object) -> tuple[AccessKey, str]:
    """The key and its secret, kept only as a hash. Raises ``Invalid``, ``Conflict``, ``NotAllowed``."""
    owner, text, secret = owner_of(actor), account_name(name), secrets.token_urlsafe(32)
    if owner.access_keys.count() >= MOST:
        raise Conflict(f"You have {MOST} access keys, as many as are allowed; remove one first.")
    try:
        with transaction.atomic():
            key = AccessKey.objects.create(
                owner=owner,
                name=text,
                client_id=f"key-{secrets.token_hex(8)}",
                secret_hash=hash_secret(secret),
            )
    except IntegrityError as error:
        raise Conflict(f"You have an access key named {text!r} already.") from error
    _remember(actor, "create", key)
    return key, secret


@transaction.atomic
def renew_key(*, actor: Actor, key: AccessKey) -> str:
    """A new secret; the old one, and every token that was given for it, stop working at once."""
    key, secret = held(key, "access key"), secrets.token_urlsafe(32)
    key.secret_hash = hash_secret(secret)
    key.token_generation += 1
    key.save(update_fields=["secret_hash", "token_generation", "updated_at"])
    _remember(actor, "regenerate-secret", key)
    return secret


@transaction.atomic
def delete_key(*, actor: Actor, key: AccessKey) -> None:
    """The owner may; others need ``access-key.delete``. Its tokens stop working at once."""
    if actor.kind != SubjectKind.USER or actor.id != str(key.owner_id):
        require(actor, Action.ACCESS_KEY_DELETE, root_scope())
    _remember(actor, "delete", key)
    remove(key, "access key")


def key_matches(key: AccessKey, secret: str) -> bool:
    return hmac.compare_digest(key.secret_hash, hash_secret(secret))


def _remember(actor: Actor, verb: str, key: AccessKey) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="access-key",
        entity_id=key.pk,
        entity_name=key.name,
        after={"owner": key.owner.email},
    )
