"""Passkeys (WebAuthn) as second factors: what the browser is asked, and how its answers are checked.

The relying party is the host of the console; an answer must come from exactly this origin, name the challenge that this
session was given (used once), and be signed by a key that was registered here.
"""

import base64
import json
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from access.models import FactorKind, SecondFactor, User
from access.services.audit import sign_in_failed
from access.services.factors import enrolled
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.names import display_name

ASKED = "passkey"
MOST = 10
"""Passkeys of one person."""
LONGEST = 20_000
"""Characters of a browser's answer."""


def ask_to_create(*, request: HttpRequest, user: User) -> dict[str, Any]:
    """Options for ``navigator.credentials.create``, JSON-ready. Raises ``Conflict``."""
    if not user.has_usable_password():
        raise Conflict("You sign in through an identity provider: second factors are its matter.")
    person = PublicKeyCredentialUserEntity(id=user.pk.bytes, name=user.email, display_name=user.name or user.email)
    options, state = _server(request).register_begin(
        person,
        [_credential(row) for row in _rows(user)],
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    request.session[ASKED] = {**state, "for": "create"}
    return dict(dict(options)["publicKey"])


def create(*, request: HttpRequest, user: User, answer: object, name: str) -> list[str]:
    """Register what the browser made. The recovery codes, when this is the first factor. Raises ``Invalid``."""
    state = _state(request, "create")
    try:
        made = _server(request).register_complete(state, _answer(answer)).credential_data
        assert made is not None  # register_complete made sure
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise Invalid(FieldError("passkey", f"was not accepted: {str(error)[:100]}")) from error
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if len(_rows(user)) >= MOST:
            raise Invalid(FieldError("passkey", f"you have {MOST} already"))
        row = SecondFactor(
            user=user,
            kind=FactorKind.PASSKEY,
            name=display_name(name, longest=100),
            secret=bytes(made),
            credential_id=base64.urlsafe_b64encode(made.credential_id).rstrip(b"=").decode(),
            confirmed=True,
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Invalid(FieldError("passkey", "is registered already")) from error
        return enrolled(row)


def ask_to_sign(*, request: HttpRequest, user: User) -> dict[str, Any]:
    """Options for ``navigator.credentials.get``, JSON-ready. Raises ``Conflict`` without a passkey."""
    rows = _rows(user)
    if not rows:
        raise Conflict("This account has no passkey.")
    options, state = _server(request).authenticate_begin(
        [_credential(row) for row in rows], user_verification=UserVerificationRequirement.PREFERRED
    )
    request.session[ASKED] = {**state, "for": "get"}
    return dict(dict(options)["publicKey"])


def check(*, request: HttpRequest, user: User, answer: object) -> None:
    """Raises ``Invalid`` for anything but a fresh signature of one of the person's passkeys.

    A count of signatures that does not grow tells of a copy of the key (WebAuthn level 2, section 6.1.1): refused.
    """
    state = _state(request, "get")
    try:
        given = AuthenticationResponse.from_dict(_answer(answer))
        used = _server(request).authenticate_complete(state, [_credential(row) for row in _rows(user)], given)
        key = base64.urlsafe_b64encode(used.credential_id).rstrip(b"=").decode()
        with transaction.atomic():
            row = user.factors.select_for_update().get(kind=FactorKind.PASSKEY, confirmed=True, credential_id=key)
            count = given.response.authenticator_data.counter
            if (count or row.counter) and count <= row.counter:
                raise ValueError("its count of signatures went back: it may have been copied")
            row.counter, row.last_used_at = count, timezone.now()
            row.save(update_fields=["counter", "last_used_at", "updated_at"])
    except (ValueError, KeyError, TypeError, SecondFactor.DoesNotExist) as error:
        sign_in_failed(name=user.email, kind="user", reason=f"wrong passkey: {str(error)[:100]}")
        raise Invalid(FieldError("passkey", "was not accepted")) from error


def _server(request: HttpRequest) -> Fido2Server:
    host = request.get_host()
    origin = f"{request.scheme}://{host}"
    party = PublicKeyCredentialRpEntity(id=host.partition(":")[0], name="runai")
    return Fido2Server(party, verify_origin=lambda given: given == origin)


def _state(request: HttpRequest, purpose: str) -> dict[str, Any]:
    """The challenge of this session, once."""
    state = request.session.pop(ASKED, None)
    if not isinstance(state, dict) or state.get("for") != purpose:
        raise Invalid(FieldError("passkey", "was not asked for, or was used already; try again"))
    return state


def _answer(text: object) -> dict[str, Any]:
    found = json.loads(text) if isinstance(text, str) and len(text) <= LONGEST else None
    if not isinstance(found, dict):
        raise ValueError("it is no answer of a browser")
    return found


def _rows(user: User) -> list[SecondFactor]:
    return list(user.factors.filter(kind=FactorKind.PASSKEY, confirmed=True))


def _credential(row: SecondFactor) -> AttestedCredentialData:
    return AttestedCredentialData(bytes(row.secret))
