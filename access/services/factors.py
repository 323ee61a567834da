"""Second factors: an authenticator app with recovery codes, how they are checked, and how they are taken away."""

import hashlib
import hmac
import secrets
import time
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from access.actors import user_actor
from access.auth import totp
from access.grants import Actor
from access.models import FactorKind, RecoveryCode, SecondFactor, User
from access.permissions import require
from access.roles import Action
from access.services.audit import record, sign_in_failed
from access.services.holdings import refuse_stronger
from access.services.scopes import root_scope
from access.services.settings import setting
from runai_cp.lib.crypto import seal, unseal
from runai_cp.lib.errors import Conflict, FieldError, Invalid, TooMany
from runai_cp.lib.models import gone

CODES = 10
FREE_FAILURES = 5
FIRST_LOCK = timedelta(minutes=5)
LONGEST_LOCK = timedelta(hours=24)
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters that are taken for others: 31 of them, so a code of ten holds 49 bits."""


def has_factor(user: User) -> bool:
    return user.factors.filter(confirmed=True).exists()


@transaction.atomic
def begin_app(*, user: User) -> tuple[SecondFactor, bytes]:
    """The app that waits for its first code, and its secret. Safe to repeat: the same secret until it is confirmed.

    Raises ``Conflict`` when the person has an app already.
    """
    if not User.objects.select_for_update().get(pk=user.pk).has_usable_password():
        raise Conflict("You sign in through an identity provider: second factors are its matter.")
    row = user.factors.filter(kind=FactorKind.TOTP).first()
    if row is not None and row.confirmed:
        raise Conflict("You have an authenticator app already; remove it before you add another.")
    if row is None:
        row = SecondFactor(user=user, kind=FactorKind.TOTP, name="Authenticator app")
        row.secret = seal(totp.new_secret(), _place(row))
        row.save(force_insert=True)
    return row, unseal(bytes(row.secret), _place(row))


@transaction.atomic
def confirm_app(*, user: User, code: object) -> list[str]:
    """Take the app into use with its first code. The answer is the recovery codes, shown once; empty when there are
    some from a passkey already. Raises ``Invalid`` for a wrong code."""
    row, secret = begin_app(user=user)
    step = totp.matching_step(secret, _digits(code), now=time.time(), after=row.counter)
    if step is None:
        raise Invalid(FieldError("code", "is wrong; wait for the next one, and check the clock of your device"))
    row.counter, row.confirmed, row.last_used_at = step, True, timezone.now()
    row.save()
    return enrolled(row)


def enrolled(row: SecondFactor) -> list[str]:
    """Audit a new factor; with the first one come recovery codes. Call inside the transaction that saved it."""
    actor = user_actor(row.user)
    record(
        actor=actor,
        action="create",
        entity_type="second-factor",
        entity_id=row.pk,
        entity_name=row.name,
        after={"kind": row.kind, "user": row.user.email},
    )
    return [] if row.user.recovery_codes.exists() else _make_codes(row.user)


@transaction.atomic
def new_recovery_codes(*, user: User) -> list[str]:
    """Ten new codes; the old ones end. Raises ``Conflict`` without a second factor."""
    if not has_factor(user):
        raise Conflict("Recovery codes stand in for a second factor; add one first.")
    record(
        actor=user_actor(user),
        action="renew",
        entity_type="recovery-codes",
        entity_id=user.pk,
        entity_name=user.email,
    )
    return _make_codes(user)


def check_code(*, user: User, code: object) -> str:
    """What it was: ``totp`` or ``recovery``. Raises ``Invalid`` for a wrong or used one, ``TooMany`` while locked.

    Five wrong codes lock for five minutes, each further one for twice as long, up to a day, until one is right: the
    count is kept in the database, so that it survives the cache. Two requests with one code take turns on the
    person's row, and only one passes.
    """
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        _refuse_locked(locked)
        kind = _use_app(locked, _digits(code)) or _use_recovery_code(locked, code)
        if kind:
            _forgive(locked)
            return kind
        count_failure(locked)
    sign_in_failed(name=user.email, kind="user", reason="wrong second factor")
    raise Invalid(FieldError("code", "is wrong, or was used already"))


def count_failure(user: User) -> None:
    """One more wrong second factor of a row that the caller holds for update."""
    user.factor_failures = min(user.factor_failures + 1, 1000)
    over = user.factor_failures - FREE_FAILURES
    if over >= 0:
        user.factor_locked_until = timezone.now() + min(FIRST_LOCK * 2 ** min(over, 12), LONGEST_LOCK)
    user.save(update_fields=["factor_failures", "factor_locked_until", "updated_at"])


@transaction.atomic
def remove_factor(*, user: User, factor_id: object) -> None:
    """Take one's own factor away; recovery codes go with the last. Raises ``Invalid``, and ``Conflict`` where the
    tenant wants everybody to have one."""
    row = user.factors.select_for_update().filter(pk=factor_id).first()
    if row is None:
        raise Invalid(FieldError("factor", "you have no such second factor"))
    others = user.factors.filter(confirmed=True).exclude(pk=row.pk).exists()
    if not others and row.confirmed and setting("mfaRequired"):
        raise Conflict("Everybody here needs a second factor; add another one before you remove the last.")
    _remember(user_actor(user), "delete", user, {"kind": row.kind, "name": row.name})
    row.delete()
    if not others:
        user.recovery_codes.all().delete()


@transaction.atomic
def reset_factors(*, actor: Actor, user: User) -> None:
    """An administrator takes all factors of a person away, who lost them. Safe to repeat. Raises ``NotAllowed``."""
    require(actor, Action.USER_UPDATE, root_scope())
    refuse_stronger(actor, user)
    kinds = sorted(user.factors.values_list("kind", flat=True))
    user.factors.all().delete()
    user.recovery_codes.all().delete()
    if not User.objects.filter(pk=user.pk).update(factor_failures=0, factor_locked_until=None):
        raise gone("person")
    _remember(actor, "reset", user, {"kinds": kinds})


def _refuse_locked(user: User) -> None:
    until = user.factor_locked_until
    if until is not None and until > timezone.now():
        error = TooMany("Too many wrong codes; wait before you try again.")
        error.retry_after_s = max(1, int((until - timezone.now()).total_seconds()))
        raise error


def _forgive(user: User) -> None:
    user.factor_failures, user.factor_locked_until = 0, None
    user.save(update_fields=["factor_failures", "factor_locked_until", "updated_at"])


def _use_app(user: User, code: str) -> str:
    row = user.factors.filter(kind=FactorKind.TOTP, confirmed=True).first()
    if row is None or len(code) != totp.DIGITS:
        return ""
    step = totp.matching_step(unseal(bytes(row.secret), _place(row)), code, now=time.time(), after=row.counter)
    if step is None:
        return ""
    row.counter, row.last_used_at = step, timezone.now()
    row.save(update_fields=["counter", "last_used_at", "updated_at"])
    return "totp"


def _use_recovery_code(user: User, code: object) -> str:
    text = "".join(letter for letter in str(code)[:40].lower() if letter.isalnum())
    used = user.recovery_codes.filter(code_hash=_hash(user, text), used_at=None).update(used_at=timezone.now())
    if not used:
        return ""
    left = user.recovery_codes.filter(used_at=None).count()
    _remember(user_actor(user), "use", user, {"kind": "recovery code", "left": left})
    return "recovery"


def _make_codes(user: User) -> list[str]:
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(CODES)]
    user.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(user=user, code_hash=_hash(user, code)) for code in codes])
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _hash(user: User, code: str) -> str:
    message = f"{connection.schema_name}/recovery-code/{user.pk}/{code}"
    return hmac.new(settings.DATA_KEY, message.encode(), hashlib.sha256).hexdigest()


def _digits(code: object) -> str:
    return "".join(letter for letter in str(code)[:40] if letter in "0123456789")


def _place(row: SecondFactor) -> str:
    return f"{connection.schema_name}/access_secondfactor/secret/{row.pk}"


def _remember(actor: Actor, verb: str, user: User, after: dict[str, object]) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="second-factor",
        entity_id=user.pk,
        entity_name=user.email,
        after=after,
    )
