"""Add a passkey, and sign in with one."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from access.browsers import browser_name
from access.forms import CodeForm
from access.guard import PUBLIC, SIGNED_IN, allow
from access.models import User
from access.services import entry, passkeys
from access.services.entry import Step
from access.views.entry import code_page, to_step, under_way
from access.views.factors import codes_page, fresh
from runai_cp.lib.errors import DomainError
from runai_cp.lib.toasts import toast


@allow(SIGNED_IN)
@never_cache
@require_POST
@fresh
def passkey_options(request: HttpRequest) -> HttpResponse:
    return _options(lambda: passkeys.ask_to_create(request=request, user=_own(request)))


@allow(SIGNED_IN)
@never_cache
@require_POST
@fresh
def passkey_add(request: HttpRequest) -> HttpResponse:
    name = f"Passkey of {browser_name(request.headers.get('User-Agent', ''))}"
    try:
        codes = passkeys.create(
            request=request, user=_own(request), answer=request.POST.get("credential", ""), name=name
        )
    except DomainError as error:
        toast(request, "The passkey was not added", error.message, "bad")
        return redirect("access:account")
    toast(request, "The passkey is in use")
    return codes_page(request, codes)


@allow(PUBLIC)
@never_cache
@require_POST
def login_passkey_options(request: HttpRequest) -> HttpResponse:
    now = under_way(request, Step.CODE)
    if now is None:
        return JsonResponse({"message": "This sign-in is over; begin again."}, status=409)
    return _options(lambda: passkeys.ask_to_sign(request=request, user=now.user))


@allow(PUBLIC)
@never_cache
@require_POST
def login_passkey(request: HttpRequest) -> HttpResponse:
    now = under_way(request, Step.CODE)
    if now is None:
        return redirect("access:login")
    try:
        passkeys.check(request=request, user=now.user, answer=request.POST.get("credential", ""))
    except DomainError as error:
        form = CodeForm({})
        form.errors.clear()
        form.add_error(None, error.message)
        return code_page(request, now, form)
    return to_step(entry.factor_shown(request=request, now=now), now.back)


def _options(ask: Callable[[], dict[str, Any]]) -> HttpResponse:
    try:
        return JsonResponse(ask())
    except DomainError as error:
        return JsonResponse({"message": error.message}, status=error.status)


def _own(request: HttpRequest) -> User:
    return User.objects.get(pk=request.actor.id)  # type: ignore[attr-defined]
