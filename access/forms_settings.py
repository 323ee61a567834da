"""Forms of the tenant's settings and identity providers: strings in, the shapes of the services out."""

from typing import Any

from django import forms

from access.models import IdentityProvider, ProviderKind
from access.services.audit import MASK
from runai_cp.lib.console_forms import ConsoleForm


class SettingsForm(ConsoleForm):
    """One field a setting; ``values`` gives what ``write_setting`` takes, by key."""

    FIELDS_OF = {
        "idleTimeout": "idle",
        "uri": "logout",
        "auditRetentionDays": "retention",
        "idpAlias": "redirect",
        "mfaRequired": "mfa",
        "limitProjectsToDepartmentQuota": "limit",
    }

    mfa = forms.BooleanField(label="Everybody with a password needs a second factor", required=False)
    idle = forms.IntegerField(
        label="Session time-out",
        min_value=1,
        max_value=43200,
        help_text="Minutes without use that end a session. A page that refreshes itself is no use.",
    )
    redirect = forms.ChoiceField(
        label="Sign in at once with",
        required=False,
        help_text="The password form stays at /login/?local, for the day the provider is down.",
    )
    logout = forms.CharField(
        label="After sign-out", max_length=500, required=False, help_text="An address of yours, or empty."
    )
    retention = forms.IntegerField(
        label="Audit retention", min_value=30, max_value=3650, help_text="Days that entries are kept."
    )
    limit = forms.BooleanField(label="Projects may together deserve no more GPUs than their department", required=False)

    def __init__(self, *args: Any, stored: dict[str, Any], providers: list[IdentityProvider], **kwargs: Any) -> None:
        redirect = stored["autoRedirectSSO"]
        kwargs["initial"] = {
            "mfa": stored["mfaRequired"],
            "idle": int(stored["browserSessionTimeout"]["idleTimeout"]),
            "redirect": redirect["idpAlias"] if redirect["enabled"] else "",
            "logout": stored["logoutRedirectUri"]["uri"],
            "retention": stored["auditRetentionDays"],
            "limit": stored["limitProjectsToDepartmentQuota"],
        }
        super().__init__(*args, **kwargs)
        choices = [("", "The sign-in page")] + [(row.alias, row.name or row.alias) for row in providers]
        self.fields["redirect"].choices = choices  # type: ignore[attr-defined]
        self.fields["mfa"].group = "Second factor"  # type: ignore[attr-defined]
        self.fields["limit"].group = "Department quota"  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "mfaRequired": data["mfa"],
            "browserSessionTimeout": {"idleTimeout": data["idle"]},
            "autoRedirectSSO": {"enabled": bool(data["redirect"]), "idpAlias": data["redirect"]},
            "logoutRedirectUri": {"uri": data["logout"]},
            "auditRetentionDays": data["retention"],
            "limitProjectsToDepartmentQuota": data["limit"],
        }


class ProviderForm(ConsoleForm):
    """What both kinds have; ``body`` gives what ``create_provider`` and ``update_provider`` take."""

    FIELDS_OF = {
        "clientId": "client_id",
        "clientSecret": "client_secret",
        "discoverDocumentUrl": "discovery",
        "metadataXmlUrl": "metadata_url",
        "metadataXmlFile": "metadata_file",
        "entityId": "entity_id",
        "mandatoryClaim": "claim",
        "mandatoryClaim.claim": "claim",
        "mandatoryClaim.values": "claim_values",
        "mappers.email": "email",
        "mappers.groups": "groups",
        "mappers.uid": "uid",
        "mappers.gid": "gid",
        "mappers.supplementaryGroups": "more_groups",
    }
    kind = ""
    MAPPED = {
        "email": "email",
        "groups": "groups",
        "uid": "uid",
        "gid": "gid",
        "more_groups": "supplementaryGroups",
    }

    name = forms.CharField(label="Name", max_length=100, help_text="As it stands on the sign-in page.")
    alias = forms.CharField(
        label="Alias", max_length=63, help_text="Part of the redirect address; it cannot be changed later."
    )
    enabled = forms.BooleanField(label="People may sign in with it", required=False, initial=True)
    email = forms.CharField(label="E-mail", max_length=200, required=False)
    groups = forms.CharField(label="Groups", max_length=200, required=False)
    uid = forms.CharField(label="Linux user id", max_length=200, required=False)
    gid = forms.CharField(label="Linux group id", max_length=200, required=False)
    more_groups = forms.CharField(label="Supplementary group ids", max_length=200, required=False)

    def __init__(self, *args: Any, provider: IdentityProvider | None = None, **kwargs: Any) -> None:
        kwargs["initial"] = self.start(provider)
        super().__init__(*args, **kwargs)
        self.fields["enabled"].group = "In use"  # type: ignore[attr-defined]
        if provider is not None:
            del self.fields["alias"]

    def start(self, provider: IdentityProvider | None) -> dict[str, Any]:
        """What the fields show first."""
        mappers = provider.mappers if provider else {}
        shown = {name: mappers.get(key, "") for name, key in self.MAPPED.items()}
        return shown | ({"name": provider.name, "enabled": provider.enabled} if provider else {})

    def body(self) -> dict[str, Any]:
        data = self.cleaned_data
        body = {"type": self.kind, "name": data["name"], "enabled": data["enabled"]}
        if data.get("alias"):
            body["alias"] = data["alias"]
        return body | {"mappers": {key: data[name] for name, key in self.MAPPED.items()}}


class OidcForm(ProviderForm):
    kind = ProviderKind.OIDC

    discovery = forms.CharField(
        label="Discovery address",
        max_length=500,
        help_text="Ends in /.well-known/openid-configuration.",
    )
    client_id = forms.CharField(label="Client id", max_length=200)
    client_secret = forms.CharField(
        label="Client secret",
        max_length=1000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Kept sealed and never shown. Empty keeps the one that is there.",
    )
    scopes = forms.CharField(
        label="Scopes", max_length=1000, required=False, help_text="Beside openid; empty asks for email and profile."
    )
    claim = forms.CharField(label="Only people whose claim", max_length=200, required=False)
    claim_values = forms.CharField(
        label="has one of these values", max_length=2000, required=False, help_text="Separated by commas."
    )

    def start(self, provider: IdentityProvider | None) -> dict[str, Any]:
        data = provider.data if provider else {}
        claim = data.get("mandatoryClaim") or {}
        return super().start(provider) | {
            "discovery": data.get("discoverDocumentUrl", ""),
            "client_id": data.get("clientId", ""),
            "scopes": " ".join(data.get("scopes", [])),
            "claim": claim.get("claim", ""),
            "claim_values": ", ".join(claim.get("values", [])),
        }

    def body(self) -> dict[str, Any]:
        data = self.cleaned_data
        own: dict[str, Any] = {
            "discoverDocumentUrl": data["discovery"],
            "clientId": data["client_id"],
            "clientSecret": data["client_secret"] or MASK,
            "scopes": data["scopes"].split(),
        }
        if data["claim"] or data["claim_values"]:
            values = [text.strip() for text in data["claim_values"].split(",") if text.strip()]
            own["mandatoryClaim"] = {"claim": data["claim"], "values": values}
        return super().body() | {"oidcData": own}


class SamlForm(ProviderForm):
    kind = ProviderKind.SAML

    metadata_url = forms.CharField(label="Metadata address", max_length=500, required=False)
    metadata_file = forms.CharField(
        label="or the metadata itself",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="An address is read anew at each sign-in, so it follows changed keys.",
    )
    entity_id = forms.CharField(
        label="Our entity ID", max_length=500, required=False, help_text="Empty: the address of our own metadata."
    )

    def start(self, provider: IdentityProvider | None) -> dict[str, Any]:
        data = provider.data if provider else {}
        return super().start(provider) | {
            "metadata_url": data.get("metadataXmlUrl", ""),
            "metadata_file": data.get("metadataXmlFile", ""),
            "entity_id": data.get("entityId", ""),
        }

    def body(self) -> dict[str, Any]:
        data = self.cleaned_data
        own = {"metadataXmlType": "url", "metadataXmlUrl": data["metadata_url"]}
        if data["metadata_file"]:
            own = {"metadataXmlType": "file", "metadataXmlFile": data["metadata_file"]}
        return super().body() | {"samlData": own | {"entityId": data["entity_id"]}}


def provider_form(kind: str) -> type[ProviderForm] | None:
    """The form of a kind that can be signed in with; None for one that is kept as data alone."""
    return {ProviderKind.OIDC.value: OidcForm, ProviderKind.SAML.value: SamlForm}.get(kind)
