"""One's own password and second factors, and the password once more before either is changed."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from access.auth import totp
from access.forms import CodeForm, ConfirmForm, PasswordForm
from access.guard import SIGNED_IN, allow
from access.models import User
from access.services import factors
from access.services.sessions import is_fresh, keep_open, make_fresh
from access.services.users import check_current_password, set_password
from runai_cp.lib import qr
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast
from tenants.context import current_tenant

View = Callable[..., HttpResponse]


def fresh(view: View) -> View:
    """The person showed their password in the last ten minutes; else they are asked for it, and come back."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_fresh(request):
            return view(request, *args, **kwargs)
        back = request.path if request.method == "GET" else reverse("access:account")
        return redirect(f"{reverse('access:confirm')}?{urlencode({'next': back})}")

    return guarded


@allow(SIGNED_IN)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """The password once more: a session that was left open must not become a lasting way in."""
    form = ConfirmForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            check_current_password(user=_own(request), given=form.cleaned_data["password"])
            make_fresh(request)
            return redirect(_back(request))
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "next": _back(request), "local": _own(request).has_usable_password()}
    return render_page(request, "access/confirm.html", context, status=422 if form.errors else 200)


@allow(SIGNED_IN)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password_change(request: HttpRequest) -> HttpResponse:
    """All other sessions and every token end; this session goes on."""
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = _own(request)
        try:
            check_current_password(user=user, given=form.cleaned_data["current"])
            set_password(
                actor=request.actor,  # type: ignore[attr-defined]
                user=user,
                password=form.cleaned_data["new"],
                keep_session=request.session.session_key,
            )
            keep_open(request, user)
            toast(request, "The password was changed", "Every other session and token has ended.")
            return redirect("access:account")
        except DomainError as error:
            form.refuse(error)
    return render_page(request, "access/password.html", {"form": form}, status=422 if form.errors else 200)


@allow(SIGNED_IN)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@fresh
def app_add(request: HttpRequest) -> HttpResponse:
    """Add an authenticator app: QR code, first code, then recovery codes, once."""
    user = _own(request)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            codes = factors.confirm_app(user=user, code=form.cleaned_data["code"])
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, "The authenticator app is in use")
            return codes_page(request, codes)
    return render_page(
        request, "access/app_add.html", {"form": form, **app_context(user)}, status=422 if form.errors else 200
    )


@allow(SIGNED_IN)
@require_POST
@fresh
def factor_remove(request: HttpRequest, factor_id: uuid.UUID) -> HttpResponse:
    try:
        factors.remove_factor(user=_own(request), factor_id=factor_id)
        toast(request, "The second factor was removed")
    except DomainError as error:
        toast(request, "The second factor stays", error.message, "bad")
    return redirect("access:account")


@allow(SIGNED_IN)
@never_cache
@require_POST
@fresh
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ten new codes; those before are worth nothing any more."""
    return codes_page(request, factors.new_recovery_codes(user=_own(request)))


def app_context(user: User) -> dict[str, Any]:
    """What the enrolment page draws. Raises ``Conflict`` when there is an app already."""
    _, secret = factors.begin_app(user=user)
    text = totp.base32(secret)
    issuer = f"runai {current_tenant().name}"
    return {
        "qr": qr.draw(totp.address(secret, account=user.email, issuer=issuer)),
        "secret": " ".join(text[at : at + 4] for at in range(0, len(text), 4)),
    }


def codes_page(request: HttpRequest, codes: list[str]) -> HttpResponse:
    if not codes:
        return redirect("access:account")
    return render_page(request, "access/recovery_codes.html", {"codes": codes})


def _own(request: HttpRequest) -> User:
    return User.objects.get(pk=request.actor.id)  # type: ignore[attr-defined]


def _back(request: HttpRequest) -> str:
    """Only pages of one's own account ask for the password again."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    return wanted if wanted.startswith("/account/") else reverse("access:account")
