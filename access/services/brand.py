"""How a tenant's console looks: a product name, one colour, a logo. What pages need is on the tenant's own row."""

import hashlib
from dataclasses import asdict, dataclass

from django.db import transaction

from access.grants import Actor
from access.models import Logo
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.scopes import root_scope
from runai_cp.lib.colour import HEX
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.images import picture_of
from runai_cp.lib.names import display_name
from tenants.context import current_tenant
from tenants.models import Tenant

LARGEST = 128 * 1024
"""Bytes of a logo."""
PIXELS = (16, 2048)
"""Least and most of each side."""
LONGEST = 32


class TooLarge(Invalid):
    status = 413


class NotAPicture(Invalid):
    status = 415


@dataclass(frozen=True, slots=True)
class Brand:
    """``colour`` is ``#rrggbb``, ``logo`` the digest of the picture; each is "" where nobody decided."""

    name: str = ""
    colour: str = ""
    logo: str = ""

    @property
    def title(self) -> str:
        return self.name or "runai"


def brand_of(tenant: Tenant | None) -> Brand:
    """Of any row that a request brings; the product's own look for one without a brand."""
    stored = getattr(tenant, "brand", None) or {}
    return Brand(**{key: str(stored.get(key, "")) for key in ("name", "colour", "logo")})


@transaction.atomic
def change_brand(*, actor: Actor, name: object, colour: object) -> Brand:
    """Raises ``Invalid`` for a name of more than 32 characters or one that misleads, and for what is no colour."""
    title = display_name(name, longest=LONGEST) if name else ""
    text = colour.strip().lower() if isinstance(colour, str) else colour or ""
    if text != "" and not (isinstance(text, str) and HEX.fullmatch(text)):
        raise Invalid(FieldError("colour", "must be #rrggbb, or empty for the product's own", str(colour)[:40]))
    return _write(actor, name=title, colour=text)


@transaction.atomic
def set_logo(*, actor: Actor, content: bytes) -> Brand:
    """Raises ``TooLarge`` and ``NotAPicture``. The type is read from the content, whatever the sender calls it.

    Two at once take turns on the tenant's row before either touches a picture: the later one's is the only one kept.
    """
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    if len(content) > LARGEST:
        raise TooLarge(FieldError("logo", f"must have at most {LARGEST // 1024} KiB", f"{len(content) // 1024} KiB"))
    found = picture_of(content)
    if found is None:
        raise NotAPicture(FieldError("logo", "must be a PNG, JPEG or WebP picture", None, ["PNG", "JPEG", "WebP"]))
    least, most = PIXELS
    if not all(least <= side <= most for side in (found.width, found.height)):
        given = f"{found.width} x {found.height}"
        raise Invalid(FieldError("logo", f"must have {least} to {most} pixels on each side", given))
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    _held()
    Logo.objects.exclude(pk=digest).delete()
    Logo.objects.get_or_create(
        pk=digest, defaults={"media": found.media, "content": content, "created_by": actor.name[:200]}
    )
    return _write(actor, logo=digest)


@transaction.atomic
def remove_logo(*, actor: Actor) -> Brand:
    """Safe to repeat."""
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    _held()
    Logo.objects.all().delete()
    return _write(actor, logo="")


def logo_now() -> Logo | None:
    return Logo.objects.first()


def _held() -> Tenant:
    """The tenant's row as it is now, held until the transaction ends: it says which picture is shown."""
    return Tenant.objects.select_for_update().get(pk=current_tenant().pk)


def _write(actor: Actor, **changes: str) -> Brand:
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    tenant = _held()
    before = asdict(brand_of(tenant))
    after = before | changes
    if after != before:
        Tenant.objects.filter(pk=tenant.pk).update(brand=after)
        record(actor=actor, action="update", entity_type="brand", entity_name=tenant.name, before=before, after=after)
    return Brand(**after)
