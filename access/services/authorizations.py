"""A program signs in as a person who lets it through in the console: OAuth 2 for native apps.

Browser flow (RFC 8252, RFC 7636): the program listens on loopback, the person approves, a code goes there, and only who
knows the verifier can trade it. Device flow (RFC 8628): the program shows a short code, the person types it in a
browser of any machine. Nobody is ever let through without a press of a button that says who asks.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.db import connection, transaction
from django.utils import timezone

from access.grants import Actor
from access.models import Authorization, AuthorizationState, SubjectKind, User
from access.services.applications import hash_secret
from access.services.audit import printable, record, source_ip
from runai_cp.lib import rates
from runai_cp.lib.errors import FieldError, Invalid, NotAllowed, NotAuthenticated, NotFound, TooMany

CLIENT = "runai-cli"
"""The only client there is: our own command. It has no secret, so it proves nothing by its name."""
CODE_LIFE = timedelta(seconds=60)
DEVICE_LIFE = timedelta(minutes=10)
POLL_S = 5
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits that look like letters (RFC 8628, section 6.1)."""
GUESSES = 10
"""Wrong device codes of one person in a minute: 20^8 codes stay out of reach."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Waiting(Exception):
    """A device asks before the person decided. ``code`` is the OAuth error it is answered with."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a program asks for in the browser flow."""

    redirect_uri: str
    challenge: str
    state: str
    label: str


def read_ask(params: dict[str, str]) -> Ask:
    """Raises ``Invalid``: nothing is sent anywhere for a question that is wrong."""
    wrong = [
        FieldError(name, message, params.get(name, "")[:80])
        for name, message, good in (
            ("response_type", "must be code", params.get("response_type") == "code"),
            ("client_id", f"must be {CLIENT}", params.get("client_id") == CLIENT),
            ("code_challenge_method", "must be S256", params.get("code_challenge_method") == "S256"),
            (
                "code_challenge",
                "must be a SHA-256 in base64url",
                _CHALLENGE.fullmatch(params.get("code_challenge", "")),
            ),
            ("redirect_uri", "must be http://127.0.0.1:PORT/…", is_loopback(params.get("redirect_uri", ""))),
            ("state", "must have 1 to 200 characters", 1 <= len(params.get("state", "")) <= 200),
        )
        if not good
    ]
    if wrong:
        raise Invalid(*wrong)
    return Ask(params["redirect_uri"], params["code_challenge"], params["state"], _label(params.get("label", "")))


def is_loopback(address: str) -> bool:
    """Whether a code sent there stays on the machine of the person's browser."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = not parts.username and not parts.password and not parts.fragment and not parts.query and address.isascii()
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost") and bool(port) and plain


@transaction.atomic
def approve_ask(*, actor: Actor, ask: Ask) -> str:
    """The authorization code, good once and for a minute."""
    _only_people(actor)
    code = secrets.token_urlsafe(32)
    row = Authorization.objects.create(
        secret_hash=hash_secret(code),
        user_id=actor.id,
        state=AuthorizationState.APPROVED,
        challenge=ask.challenge,
        redirect_uri=ask.redirect_uri,
        label=ask.label,
        asked_from=source_ip.get(),
        expires_at=timezone.now() + CODE_LIFE,
    )
    _remember(actor, "approve", row)
    return code


def use_code(*, code: str, verifier: str, redirect_uri: str) -> tuple[User, str]:
    """The person who approved, and the program's label. Raises ``NotAuthenticated``; a code works once."""
    wrong = NotAuthenticated("The code is not valid: it is used, too old, or another program's.")
    with transaction.atomic():
        row = _locked(code).filter(user_code=None).first()
        if row is None or row.state != AuthorizationState.APPROVED or row.expires_at < timezone.now():
            raise wrong
        row.state = AuthorizationState.USED
        row.save(update_fields=["state", "updated_at"])
    if not _VERIFIER.fullmatch(verifier) or row.redirect_uri != redirect_uri:
        raise wrong
    shown = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if not hmac.compare_digest(shown, row.challenge) or row.user is None or not row.user.is_active:
        raise wrong
    return row.user, row.label


def ask_device(*, label: str) -> tuple[str, str]:
    """(device code, user code) of a program that cannot open a browser; good for ten minutes."""
    device, user = secrets.token_urlsafe(32), "".join(secrets.choice(LETTERS) for _ in range(8))
    Authorization.objects.create(
        secret_hash=hash_secret(device),
        user_code=user,
        label=_label(label),
        asked_from=source_ip.get(),
        expires_at=timezone.now() + DEVICE_LIFE,
    )
    return device, f"{user[:4]}-{user[4:]}"


def find_device(*, actor: Actor, typed: str) -> Authorization:
    """The open question behind a code that a person typed. Raises ``NotFound``, and ``TooMany`` for guessing."""
    taken = rates.take(f"{connection.schema_name}:device:{actor.id}", GUESSES)
    if taken is not None and taken.exceeded:
        raise TooMany(f"Too many codes; try again in {taken.reset_s} s.")
    code = "".join(letter for letter in typed.upper()[:20] if letter.isalpha())
    waiting = Authorization.objects.filter(state=AuthorizationState.WAITING, expires_at__gt=timezone.now())
    row = waiting.filter(user_code=code).first() if len(code) == 8 else None
    if row is None:
        raise NotFound("No program waits with this code; codes are good for ten minutes.")
    return row


@transaction.atomic
def answer_device(*, actor: Actor, typed: str, approve: bool) -> Authorization:
    """The person's decision. Raises as ``find_device`` does."""
    _only_people(actor)
    found = find_device(actor=actor, typed=typed)
    row = Authorization.objects.select_for_update().get(pk=found.pk)
    if row.state != AuthorizationState.WAITING:
        raise NotFound("Somebody decided about this code already.")
    row.state = AuthorizationState.APPROVED if approve else AuthorizationState.DENIED
    row.user_id = actor.id  # type: ignore[assignment]
    row.save(update_fields=["state", "user", "updated_at"])
    _remember(actor, "approve" if approve else "deny", row)
    return row


def poll_device(*, device_code: str) -> tuple[User, str]:
    """The person and the label once approved. Raises ``Waiting`` with the error of RFC 8628, section 3.5."""
    now = timezone.now()
    with transaction.atomic():
        row = _locked(device_code).exclude(user_code=None).first()
        if row is None or row.state == AuthorizationState.USED:
            raise Waiting("invalid_grant")
        if row.expires_at < now:
            raise Waiting("expired_token")
        early = row.polled_at is not None and row.polled_at > now - timedelta(seconds=POLL_S - 1)
        done = row.state == AuthorizationState.APPROVED and row.user is not None and row.user.is_active
        row.polled_at = now
        row.state = AuthorizationState.USED if done else row.state
        row.save(update_fields=["polled_at", "state", "updated_at"])
    if done and row.user is not None:
        return row.user, row.label
    if row.state == AuthorizationState.WAITING:
        raise Waiting("slow_down" if early else "authorization_pending")
    raise Waiting("access_denied")


def _locked(secret: str):  # type: ignore[no-untyped-def]
    rows = Authorization.objects.select_for_update(of=("self",)).select_related("user")
    return rows.filter(secret_hash=hash_secret(secret))


def _label(text: str) -> str:
    return printable(text).strip()[:100] or "the runai command"


def _only_people(actor: Actor) -> None:
    if actor.kind != SubjectKind.USER:
        raise NotAllowed("Only a person can let a program sign in as themselves.")


def _remember(actor: Actor, verb: str, row: Authorization) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="program-sign-in",
        entity_id=row.pk,
        entity_name=row.label,
        after={"askedFrom": row.asked_from, "flow": "device" if row.user_code else "browser"},
    )
