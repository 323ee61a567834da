"""The tenant's settings, and the identity providers that its people sign in with."""

from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.auth.claims import SsoFailed
from access.forms_settings import ProviderForm, SettingsForm, provider_form
from access.guard import allow
from access.models import Identity, IdentityProvider, ProviderKind
from access.roles import Action
from access.services import providers, saml_sign_in
from access.services.settings import read_settings, write_setting
from access.services.sso import callback_address
from access.services.sso_check import Check, check_provider
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

KINDS = {ProviderKind.OIDC.value: "OpenID Connect", ProviderKind.SAML.value: "SAML 2.0"}


@allow(Action.SETTINGS_VIEW)
@require_GET
def settings_show(request: HttpRequest) -> HttpResponse:
    return _settings_page(request, _settings_form(None))


@allow(Action.SETTINGS_UPDATE)
@require_POST
def settings_save(request: HttpRequest) -> HttpResponse:
    """All or none; each that changed is an entry of the audit."""
    form = _settings_form(request)
    if form.is_valid():
        before = read_settings()
        try:
            with transaction.atomic():
                changed = [key for key, value in form.values().items() if value != before[key]]
                for key in changed:
                    write_setting(actor=request.actor, key=key, value=form.values()[key])  # type: ignore[attr-defined]
            toast(request, "The settings were saved" if changed else "Nothing had changed")
            return redirect("access:settings")
        except DomainError as error:
            form.refuse(error)
    return _settings_page(request, form)


@allow(Action.SETTINGS_VIEW)
@require_GET
def provider_list(request: HttpRequest) -> HttpResponse:
    rows = IdentityProvider.objects.order_by("name", "alias")
    context = {"providers": [(row, KINDS.get(row.kind, row.kind)) for row in rows], "tab": "providers"}
    return render_page(request, "access/provider_list.html", context)


@allow(Action.SETTINGS_UPDATE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def provider_create(request: HttpRequest, kind: str) -> HttpResponse:
    form = _form_of(kind)(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = providers.create_provider(actor=request.actor, values=form.body())  # type: ignore[attr-defined]
            toast(request, f"{row.name} was added", "Give its redirect address to the provider, then test it.")
            return redirect("access:provider", alias=row.alias)
        except DomainError as error:
            form.refuse(error)
    return _provider_page(request, form, kind=kind)


@allow(Action.SETTINGS_UPDATE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def provider(request: HttpRequest, alias: str) -> HttpResponse:
    row = providers.provider_of(alias)
    form = _form_of(row.kind)(request.POST or None, provider=row)
    if request.method == "POST" and form.is_valid():
        try:
            saved = providers.update_provider(actor=request.actor, provider=row, values=form.body())  # type: ignore[attr-defined]
            toast(request, f"{saved.name} was saved")
            return redirect("access:provider", alias=saved.alias)
        except DomainError as error:
            form.refuse(error)
    return _provider_page(request, form, row=row)


@allow(Action.SETTINGS_UPDATE)
@never_cache
@require_POST
def provider_test(request: HttpRequest, alias: str) -> HttpResponse:
    """What the provider says of itself now; nobody signs in."""
    row = providers.provider_of(alias)
    actor = request.actor  # type: ignore[attr-defined]
    try:
        service = saml_sign_in.service(request, row) if row.kind == ProviderKind.SAML else None
        checks = check_provider(actor=actor, provider=row, service=service)
    except SsoFailed as error:
        checks = [Check(False, error.message)]
    return _provider_page(request, _form_of(row.kind)(provider=row), row=row, checks=checks)


@allow(Action.SETTINGS_UPDATE)
@require_POST
def provider_delete(request: HttpRequest, alias: str) -> HttpResponse:
    row = providers.provider_of(alias)
    providers.delete_provider(actor=request.actor, provider=row)  # type: ignore[attr-defined]
    toast(request, f"{row.name or row.alias} was removed")
    return redirect("access:provider_list")


def _settings_form(request: HttpRequest | None) -> SettingsForm:
    rows = list(IdentityProvider.objects.filter(enabled=True).order_by("name", "alias"))
    return SettingsForm(request.POST if request else None, stored=read_settings(), providers=rows)


def _settings_page(request: HttpRequest, form: SettingsForm) -> HttpResponse:
    context = {"form": form, "tab": "general"}
    return render_page(request, "access/settings.html", context, status=422 if form.errors else 200)


def _form_of(kind: str) -> type[ProviderForm]:
    form = provider_form(kind)
    if form is None:
        raise Http404(f"No form for a provider of the kind {kind}.")
    return form


def _provider_page(
    request: HttpRequest,
    form: ProviderForm,
    *,
    kind: str = "",
    row: IdentityProvider | None = None,
    checks: list[Check] | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "row": row,
        "kind": row.kind if row else kind,
        "kind_title": KINDS[row.kind if row else kind],
        "checks": checks,
        "people": Identity.objects.filter(provider=row).count() if row else 0,
        "callback": callback_address(request, row) if row else "",
        "metadata": request.build_absolute_uri(f"/sso/{row.alias}/metadata") if row else "",
    }
    return render_page(request, "access/provider_form.html", context, status=422 if form.errors else 200)
