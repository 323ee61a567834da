"""Identity providers as data: what an administrator configured. Speaking with them is the sign-in's work."""

import re
from typing import Any

from django.db import IntegrityError, connection, transaction

from access.grants import Actor
from access.models import IdentityProvider, ProviderKind
from access.permissions import require
from access.roles import Action
from access.services.audit import MASK, record
from access.services.scopes import root_scope
from access.setting_keys import web_address
from runai_cp.lib.crypto import seal, unseal
from runai_cp.lib.errors import Conflict, FieldError, Invalid, NotFound
from runai_cp.lib.models import held, remove
from runai_cp.lib.names import display_name

MAPPERS = {
    "gid": "GID",
    "uid": "UID",
    "groups": "GROUPS",
    "supplementaryGroups": "SUPPLEMENTARYGROUPS",
    "email": "email",
}
ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SCOPE = re.compile(r"[a-zA-Z0-9._:/-]{1,200}")
LONGEST_METADATA = 500_000
"""Characters of a SAML metadata file."""
WHAT = "identity provider"
_BODIES = {"oidc": "oidcData", "saml": "samlData", "openshift-v4": "ocpData"}


def provider_of(alias: str) -> IdentityProvider:
    row = IdentityProvider.objects.filter(alias__same=alias[:64]).first()
    if row is None:
        raise NotFound("No identity provider has this alias.")
    return row


@transaction.atomic
def create_provider(*, actor: Actor, values: dict[str, Any]) -> IdentityProvider:
    """Raises ``Invalid`` and ``Conflict``."""
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    row = IdentityProvider(created_by=actor.name[:200])
    _fill(row, values)
    row.alias = _alias(values, row.kind)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"An identity provider with the alias {row.alias!r} exists already.") from error
    _remember(actor, "create", row, after=shape(row))
    return row


@transaction.atomic
def update_provider(*, actor: Actor, provider: IdentityProvider, values: dict[str, Any]) -> IdentityProvider:
    """The kind stays. Without a ``clientSecret`` the stored one stays, but never for another address: it would leak."""
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    provider = held(provider, WHAT)
    before = shape(provider)
    if values.get("type", provider.kind) != provider.kind:
        raise Invalid(FieldError("type", "cannot be changed; remove the provider and make another", values["type"]))
    _fill(provider, {**values, "type": provider.kind}, old=dict(provider.data))
    provider.save()
    _remember(actor, "update", provider, before=before, after=shape(provider))
    return provider


@transaction.atomic
def update_mappers(*, actor: Actor, provider: IdentityProvider, values: object) -> IdentityProvider:
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    provider = held(provider, WHAT)
    before, provider.mappers = provider.mappers, read_mappers(values)
    provider.save(update_fields=["mappers", "updated_at"])
    _remember(actor, "update", provider, before={"mappers": before}, after={"mappers": provider.mappers})
    return provider


@transaction.atomic
def delete_provider(*, actor: Actor, provider: IdentityProvider) -> None:
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    _remember(actor, "delete", provider, before=shape(provider))
    remove(provider, WHAT)


def secret_of(provider: IdentityProvider) -> str:
    """The client secret in the clear, for the sign-in alone."""
    return unseal(bytes(provider.secret), _place(provider)).decode() if provider.secret else ""


def shape(row: IdentityProvider) -> dict[str, Any]:
    """As the public API writes it, the secret masked; sent back, the mask means the secret that is there."""
    data = {key: value for key, value in row.data.items() if key != "metadataXmlFile"}
    if row.kind != ProviderKind.SAML:
        data["clientSecret"] = MASK
    return {
        "alias": row.alias,
        "name": row.name,
        "type": row.kind,
        "enabled": row.enabled,
        _BODIES[row.kind]: data,
        "mappers": row.mappers,
    }


def read_mappers(values: object) -> dict[str, str]:
    """Claim by attribute, the defaults where nothing is given. Raises ``Invalid``."""
    if values is None:
        return dict(MAPPERS)
    if not isinstance(values, dict) or not set(values) <= set(MAPPERS):
        raise Invalid(FieldError("mappers", f"must be an object with some of {sorted(MAPPERS)}", None, sorted(MAPPERS)))
    given = {key: display_name(value, f"mappers.{key}", longest=200) for key, value in values.items() if value}
    return {**MAPPERS, **given}


def _alias(values: dict[str, Any], kind: str) -> str:
    alias = values.get("alias") or re.sub(r"[^a-z0-9_-]+", "-", str(values.get("name") or kind)[:63].lower()).strip(
        "-_"
    )
    if not isinstance(alias, str) or not ALIAS.fullmatch(alias):
        raise Invalid(
            FieldError("alias", "must hold lower-case letters, digits, '_' and '-', at most 63", str(alias)[:80])
        )
    return alias


def _fill(row: IdentityProvider, values: dict[str, Any], old: dict[str, Any] | None = None) -> None:
    kind = values.get("type")
    if kind not in ProviderKind.values:
        raise Invalid(FieldError("type", f"allowed are {ProviderKind.values}", str(kind)[:80], ProviderKind.values))
    row.kind = str(kind)
    row.name = display_name(values["name"]) if values.get("name") else row.name
    enabled = values.get("enabled", row.enabled)
    if not isinstance(enabled, bool):
        raise Invalid(FieldError("enabled", "must be true or false", enabled))
    row.enabled = enabled
    body = values.get(_BODIES[row.kind])
    if not isinstance(body, dict):
        raise Invalid(FieldError(_BODIES[row.kind], "must be an object", None))
    row.data = {"saml": _saml, "oidc": _oidc, "openshift-v4": _openshift}[row.kind](body)
    if row.kind != ProviderKind.SAML:
        _keep_secret(row, body, old)
    if "mappers" in values or not row.mappers:
        row.mappers = read_mappers(values.get("mappers"))


def _keep_secret(row: IdentityProvider, body: dict[str, Any], old: dict[str, Any] | None) -> None:
    secret = body.get("clientSecret")
    address = "discoverDocumentUrl" if row.kind == ProviderKind.OIDC else "idpBaseUrl"
    if secret in (None, MASK) and old is not None and old.get(address) == row.data[address]:
        return
    if not isinstance(secret, str) or secret == MASK or not 1 <= len(secret) <= 1000:
        raise Invalid(FieldError("clientSecret", "must be given, with 1 to 1000 characters, for a new address"))
    row.secret = seal(secret.encode(), _place(row))


def _oidc(body: dict[str, Any]) -> dict[str, Any]:
    claim = body.get("mandatoryClaim")
    return {
        "clientId": display_name(body.get("clientId"), "clientId", longest=200),
        "discoverDocumentUrl": web_address(body.get("discoverDocumentUrl"), "discoverDocumentUrl"),
        "scopes": _scopes(body.get("scopes")),
        **({"mandatoryClaim": _claim(claim)} if claim is not None else {}),
    }


def _openshift(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "clientId": display_name(body.get("clientId") or "runai", "clientId", longest=200),
        "idpBaseUrl": web_address(body.get("idpBaseUrl"), "idpBaseUrl"),
        "scopes": _scopes(body.get("scopes")),
    }


def _saml(body: dict[str, Any]) -> dict[str, Any]:
    kind = body.get("metadataXmlType") or ("file" if body.get("metadataXmlFile") else "url")
    if kind not in ("url", "file"):
        raise Invalid(FieldError("metadataXmlType", "allowed are url and file", str(kind)[:80], ["url", "file"]))
    data: dict[str, Any] = {"metadataXmlType": kind}
    if body.get("entityId"):
        data["entityId"] = display_name(body["entityId"], "entityId", longest=500)
    if kind == "url":
        return data | {"metadataXmlUrl": web_address(body.get("metadataXmlUrl"), "metadataXmlUrl")}
    text = body.get("metadataXmlFile")
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_METADATA or "\x00" in text:
        raise Invalid(FieldError("metadataXmlFile", f"must be text of at most {LONGEST_METADATA} characters"))
    name = display_name(body.get("fileName") or "metadata.xml", "fileName", longest=200)
    return data | {"metadataXmlFile": text, "fileName": name}


def _claim(given: object) -> dict[str, Any]:
    values = given.get("values") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(values, list) or not 1 <= len(values) <= 100:
        raise Invalid(FieldError("mandatoryClaim", "must be an object with claim and values, 1 to 100 of them"))
    return {
        "claim": display_name(given.get("claim"), "mandatoryClaim.claim", longest=200),
        "values": [display_name(value, "mandatoryClaim.values", longest=200) for value in values],
    }


def _scopes(given: object) -> list[str]:
    scopes = [] if given is None else given
    if not isinstance(scopes, list) or len(scopes) > 50:
        raise Invalid(FieldError("scopes", "must be a list of at most 50 scopes"))
    for scope in scopes:
        if not isinstance(scope, str) or not SCOPE.fullmatch(scope):
            raise Invalid(FieldError("scopes", "letters, digits and . _ : / - only", str(scope)[:80]))
    return list(scopes)


def _place(row: IdentityProvider) -> str:
    return f"{connection.schema_name}/access_identityprovider/secret/{row.pk}"


def _remember(actor: Actor, verb: str, row: IdentityProvider, *, before: object = None, after: object = None) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="identity-provider",
        entity_id=row.alias,
        entity_name=row.name or row.alias,
        before=before,
        after=after,
    )
