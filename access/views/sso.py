"""Sign-in through an identity provider: away to it, and back."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from access.auth.claims import SsoFailed
from access.forms import LoginForm
from access.guard import PUBLIC, allow
from access.models import ProviderKind
from access.services import saml_sign_in, sso
from access.services.sso import LinkNeeded
from access.views.entry import way_back
from runai_cp.lib import rates
from runai_cp.lib.htmx import render_page

STARTS = 60
"""Sign-ins a minute that one address may begin: each asks the provider something."""
View = Callable[..., HttpResponse]


def told(view: View) -> View:
    """What did not work is said on the sign-in page, and audited."""

    @wraps(view)
    def guarded(request: HttpRequest, alias: str, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, alias, **kwargs)
        except LinkNeeded:
            return redirect("/login/?local")
        except SsoFailed as error:
            sso.failed(provider=alias, error=error)
            context = {"form": LoginForm(auto_id="f-%s"), "problem": error.message, "next": "", "providers": []}
            return render_page(request, "access/login.html", context, status=error.status)

    return guarded


@allow(PUBLIC)
@never_cache
@require_GET
@told
def sso_start(request: HttpRequest, alias: str) -> HttpResponse:
    """To the provider, with what its answer must name."""
    rate = rates.take(f"{connection.schema_name}:sso:{request.META.get('REMOTE_ADDR', '')}", STARTS)
    if rate is not None and rate.exceeded:
        raise SsoFailed("Too many sign-ins were begun from here; wait a minute.")
    provider, back = sso.enabled_provider(alias), way_back(request)
    begin = saml_sign_in.begin if provider.kind == ProviderKind.SAML else sso.begin_oidc
    return redirect(begin(request=request, provider=provider, back=back))


@csrf_exempt  # SAML posts from the provider's page; what is posted is signed, and bound to this browser a step later
@allow(PUBLIC)
@never_cache
@require_http_methods(["GET", "POST"])
@told
def sso_callback(request: HttpRequest, alias: str) -> HttpResponse:
    """The redirect address of both protocols: OIDC comes by GET, SAML by POST."""
    provider = sso.enabled_provider(alias)
    if provider.kind == ProviderKind.SAML:
        state = saml_sign_in.receive(request=request, provider=provider)
        return redirect(f"/sso/{provider.alias}/complete?state={state}")
    params = {key: value[:4096] for key, value in request.GET.items()}
    return redirect(sso.finish_oidc(request=request, provider=provider, params=params))


@allow(PUBLIC)
@never_cache
@require_GET
@told
def sso_complete(request: HttpRequest, alias: str) -> HttpResponse:
    """SAML, second half: a GET, so that the browser's own session comes along."""
    provider = sso.enabled_provider(alias)
    return redirect(saml_sign_in.complete(request=request, provider=provider, state=request.GET.get("state", "")))


@allow(PUBLIC)
@require_GET
@told
def sso_metadata(request: HttpRequest, alias: str) -> HttpResponse:
    """What a SAML provider is given to know us."""
    provider = sso.enabled_provider(alias)
    if provider.kind != ProviderKind.SAML:
        raise SsoFailed("This identity provider does not speak SAML.")
    return HttpResponse(
        saml_sign_in.metadata(request=request, provider=provider), content_type="application/samlmetadata+xml"
    )
