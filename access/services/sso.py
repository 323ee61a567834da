"""Sign-in through an identity provider: who came back, whether this browser began it, and who that is here."""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from access.auth import oidc
from access.auth.claims import Arrival, SsoFailed, read
from access.grants import Actor
from access.models import Identity, IdentityProvider, ProviderKind, SsoRequest, User
from access.services.audit import record, sign_in_failed
from access.services.bootstrap import system_actor
from access.services.groups import set_groups_of
from access.services.providers import secret_of
from access.services.sessions import sign_in
from access.services.subjects import is_uuid
from access.services.users import check_email
from runai_cp.lib.errors import Invalid
from runai_cp.lib.names import display_name

LIFE = timedelta(minutes=10)
BEGUN = "sso"
LINK = "link"
MOST_AT_ONCE = 5
"""Sign-ins that one browser may have under way: a tab each."""


class LinkNeeded(SsoFailed):
    """An account with a password has this address: its owner shows the password once, then both lead to it."""


def enabled_provider(alias: str) -> IdentityProvider:
    """Raises ``SsoFailed``, the same for one that is disabled or was never there."""
    row = IdentityProvider.objects.filter(alias__same=alias[:64], enabled=True).first()
    if row is None:
        raise SsoFailed("There is no such identity provider here.")
    return row


def remember(*, request: HttpRequest, provider: IdentityProvider, back: str, state: dict[str, Any]) -> SsoRequest:
    """Note that this browser began a sign-in."""
    row = SsoRequest.objects.create(provider=provider, state=state, next=back)
    begun = request.session.get(BEGUN, [])
    request.session[BEGUN] = [*begun[-(MOST_AT_ONCE - 1) :], str(row.pk)]
    return row


def take(*, provider: IdentityProvider, state: object) -> SsoRequest:
    """The sign-in that ``state`` names, once: a second answer finds nothing. Raises ``SsoFailed``."""
    with transaction.atomic():
        row = None
        if is_uuid(str(state)):
            rows = SsoRequest.objects.select_for_update().filter(pk=UUID(str(state)), provider=provider)
            row = rows.filter(created_at__gt=timezone.now() - LIFE).first()
        if row is None:
            raise SsoFailed("This sign-in is over or was used already; begin again.")
        SsoRequest.objects.filter(pk=row.pk).delete()
        return row


def belongs_here(request: HttpRequest, row: SsoRequest) -> None:
    """Raises ``SsoFailed`` in a browser that did not begin it: somebody else's sign-in must not be slipped in."""
    begun = request.session.get(BEGUN, [])
    if str(row.pk) not in begun:
        raise SsoFailed("This sign-in was not begun in this browser; begin again.")
    request.session[BEGUN] = [item for item in begun if item != str(row.pk)]


def begin_oidc(*, request: HttpRequest, provider: IdentityProvider, back: str) -> str:
    """The provider's address to send the browser to. Raises ``SsoFailed``."""
    if provider.kind != ProviderKind.OIDC:
        raise SsoFailed(f"Sign-in through a provider of the kind {provider.kind} is not served.")
    found = oidc.discover(provider.data["discoverDocumentUrl"])
    nonce, verifier = oidc.new_secret(), oidc.new_secret()
    row = remember(request=request, provider=provider, back=back, state={"nonce": nonce, "verifier": verifier})
    return oidc.authorization_url(
        found,
        _client(request, provider),
        scopes=provider.data.get("scopes") or [],
        state=str(row.pk),
        nonce=nonce,
        verifier=verifier,
    )


def finish_oidc(*, request: HttpRequest, provider: IdentityProvider, params: dict[str, str]) -> str:
    """Sign the person in; where they wanted to go. Raises ``SsoFailed``, and ``LinkNeeded``."""
    row = take(provider=provider, state=params.get("state"))
    belongs_here(request, row)
    found = oidc.discover(provider.data["discoverDocumentUrl"])
    code, client = oidc.check_callback(found, params), _client(request, provider)
    tokens = oidc.exchange(found, client, code=code, verifier=row.state["verifier"])
    claims = oidc.verify(found, client, id_token=tokens["id_token"], nonce=row.state["nonce"])
    more = oidc.userinfo(found, access_token=tokens.get("access_token"), subject=claims["sub"])
    arrival = read({**more, **claims}, provider.mappers, provider.data.get("mandatoryClaim"))
    return arrive(request=request, provider=provider, arrival=arrival, back=row.next)


def arrive(*, request: HttpRequest, provider: IdentityProvider, arrival: Arrival, back: str) -> str:
    """Open the session of whoever the provider says this is. Raises ``SsoFailed``, and ``LinkNeeded``."""
    try:
        user = person_of(provider=provider, arrival=arrival)
    except LinkNeeded:
        request.session[LINK] = {
            "provider": str(provider.pk),
            "name": provider.name or provider.alias,
            "subject": arrival.subject,
            "email": arrival.email,
            "at": int(time.time()),
        }
        raise
    sign_in(request=request, user=user, way=f"single sign-on with {provider.alias}")
    return back or "/"


@transaction.atomic
def person_of(*, provider: IdentityProvider, arrival: Arrival) -> User:
    """The account of a person, made at their first sign-in; name, groups and ids as the provider says now.

    Known by the provider's unchanging subject, never by the e-mail address alone: an account with that address that is
    not this provider's is not handed over. Raises ``SsoFailed``, and ``LinkNeeded`` for an account with a password.
    """
    known = Identity.objects.select_related("user").filter(provider=provider, subject=arrival.subject).first()
    user = known.user if known else _first_time(provider, arrival)
    if not user.is_active:
        raise SsoFailed("Your account here is disabled; ask an administrator.")
    Identity.objects.filter(provider=provider, subject=arrival.subject).update(last_used_at=timezone.now())
    before = {"name": user.name, **user.attributes}
    user.name, user.attributes = _name(arrival.name) or user.name, arrival.attributes
    user.save(update_fields=["name", "attributes", "updated_at"])
    after = {"name": user.name, **user.attributes}
    if before != after:
        _remember("update", user, before=before, after=after)
    set_groups_of(user=user, names=arrival.groups)
    return user


def pending_link(request: HttpRequest) -> dict[str, Any] | None:
    """The identity that waits for the password of its account, for ten minutes."""
    note = request.session.get(LINK)
    return note if isinstance(note, dict) and time.time() - note["at"] < LIFE.total_seconds() else None


@transaction.atomic
def take_link(*, request: HttpRequest, user: User) -> None:
    """After a whole sign-in with a password: the waiting identity is this person's, if the address is theirs."""
    note = pending_link(request)
    request.session.pop(LINK, None)
    if note is None or note["email"] != user.email.lower():
        return
    provider = IdentityProvider.objects.filter(pk=note["provider"], enabled=True).first()
    if provider is not None:
        Identity.objects.get_or_create(provider=provider, subject=note["subject"], defaults={"user": user})
        _remember("link", user, after={"provider": provider.alias, "subject": note["subject"]})


def failed(*, provider: str, error: SsoFailed) -> None:
    """Remember a sign-in that did not work."""
    sign_in_failed(name=f"somebody through {provider[:64]}", kind="user", reason=error.message)


def _first_time(provider: IdentityProvider, arrival: Arrival) -> User:
    try:
        check_email(arrival.email)
    except Invalid as error:
        raise SsoFailed(f"Your e-mail address cannot be used here: {error.message}") from error
    there = User.objects.filter(email__same=arrival.email).first()
    if there is not None and there.has_usable_password():
        raise LinkNeeded("An account with your address exists here; sign in with its password once.")
    if there is not None and there.identities.exists():
        raise SsoFailed("Your address belongs to an account of another identity, which an administrator can remove.")
    user = there or User(email=arrival.email, is_local=False, created_by=provider.alias)
    try:
        with transaction.atomic():
            if there is None:
                user.set_unusable_password()
                user.save()
                _remember("create", user, after={"provider": provider.alias})
            Identity.objects.create(user=user, provider=provider, subject=arrival.subject)
    except IntegrityError as error:
        raise SsoFailed("You are signing in twice at the same moment; try again.") from error
    return user


def _name(text: str) -> str:
    try:
        return display_name(text, longest=200) if text else ""
    except Invalid:
        return ""


def callback_address(request: HttpRequest, provider: IdentityProvider) -> str:
    return request.build_absolute_uri(f"/sso/{provider.alias}/callback")


def _client(request: HttpRequest, provider: IdentityProvider) -> oidc.Client:
    return oidc.Client(provider.data["clientId"], secret_of(provider), callback_address(request, provider))


def _remember(verb: str, user: User, *, before: object = None, after: object = None) -> None:
    actor: Actor = system_actor("sign-in")
    record(
        actor=actor,
        action=verb,
        entity_type="user",
        entity_id=user.pk,
        entity_name=user.email,
        before=before,
        after=after,
    )
