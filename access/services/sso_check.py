"""Try a provider before people have to: what can be found out without anybody signing in."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from django.db import transaction
from django.utils import timezone

from access.auth import oidc, saml
from access.auth.claims import SsoFailed
from access.grants import Actor
from access.models import IdentityProvider, ProviderKind
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.providers import secret_of
from access.services.scopes import root_scope


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, as a sentence."""

    good: bool
    text: str


def check_provider(*, actor: Actor, provider: IdentityProvider, service: saml.Service | None = None) -> list[Check]:
    """Asks the provider; changes nothing. ``service`` is needed for SAML: how it knows us. Raises ``NotAllowed``."""
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    try:
        if provider.kind == ProviderKind.OIDC:
            found = _oidc(provider)
        elif service is not None:
            found = _saml(service)
        else:
            found = [Check(False, f"Sign-in through the kind {provider.kind} is not served.")]
    except SsoFailed as error:
        found = [Check(False, error.message)]
    with transaction.atomic():
        record(
            actor=actor,
            action="test",
            entity_type="identity-provider",
            entity_id=provider.alias,
            entity_name=provider.name or provider.alias,
            after={"checks": [row.text for row in found]},
            result="success" if all(row.good for row in found) else "failed",
        )
    return found


def _oidc(provider: IdentityProvider) -> list[Check]:
    found = oidc.discover(provider.data["discoverDocumentUrl"])
    rows = [Check(True, f"The discovery document is that of {found.issuer}.")]
    usable = [row for row in oidc.keys(found) if row.get("kty") in ("RSA", "EC", "OKP")]
    rows.append(Check(bool(usable), f"The key set has {len(usable)} keys that can sign."))
    client = oidc.Client(provider.data["clientId"], secret_of(provider), "https://test.invalid/callback")
    return [*rows, _client(found, client)]


def _client(found: oidc.Discovery, client: oidc.Client) -> Check:
    """Redeem a code that cannot exist: ``invalid_client`` tells of a wrong id or secret, ``invalid_grant`` of right
    ones (RFC 6749 section 5.2). Anything else tells nothing."""
    try:
        oidc.exchange(found, client, code="a-test-of-the-connection", verifier=oidc.new_secret())
    except SsoFailed as error:
        if "invalid_client" in error.message or "unauthorized_client" in error.message:
            return Check(False, "The provider does not know this client id with this secret.")
        if "invalid_grant" in error.message:
            return Check(True, "The provider knows the client id and its secret.")
        return Check(True, f"Whether the client id and secret are right will show at a sign-in. {error.message}")
    return Check(False, "The provider took a code that it never gave.")


def _saml(service: saml.Service) -> list[Check]:
    found = saml.configuration(service)["idp"]
    rows = [
        Check(True, f"The metadata is that of {found['entityId']}."),
        Check(True, f"People are sent to {found['singleSignOnService']['url']}."),
    ]
    several = found.get("x509certMulti", {}).get("signing", [])
    return rows + [_certificate(text) for text in (several or [found["x509cert"]])]


def _certificate(text: str) -> Check:
    try:
        end: datetime = x509.load_pem_x509_certificate(_pem(text)).not_valid_after_utc
    except ValueError:
        return Check(False, "A signing certificate cannot be read.")
    return Check(end > timezone.now(), f"A signing certificate is valid until {end:%Y-%m-%d}.")


def _pem(text: str) -> bytes:
    if "BEGIN CERTIFICATE" in text:
        return text.encode()
    body = "".join(text.split())
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()
