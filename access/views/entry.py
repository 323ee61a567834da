"""The sign-in pages: password, then what the account still needs."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from access.actors import user_actor
from access.forms import CodeForm, LoginForm, NewPasswordForm
from access.guard import PUBLIC, allow
from access.models import FactorKind, IdentityProvider, User
from access.services import entry, factors
from access.services.entry import Pending, Step
from access.services.settings import setting
from access.services.sso import pending_link
from access.services.users import set_password
from access.views.factors import app_context
from runai_cp.lib.console_forms import ConsoleForm
from runai_cp.lib.errors import DomainError, TooMany
from runai_cp.lib.htmx import render_page

PAGES = {Step.CODE: "access:login_code", Step.PASSWORD: "access:login_password", Step.ENROL: "access:login_enrol"}
METHODS = ["GET", "HEAD", "POST"]


@allow(PUBLIC)
@never_cache
@require_http_methods(METHODS)
def login(request: HttpRequest) -> HttpResponse:
    """Sign-in page. A wrong pair says so once, without saying which half was wrong."""
    back = way_back(request)
    if request.actor is not None:  # type: ignore[attr-defined]
        return redirect(back)
    form = LoginForm(request.POST or None, auto_id="f-%s")
    if request.method == "POST" and form.is_valid():
        try:
            user = authenticate(request, username=form.cleaned_data["email"], password=form.cleaned_data["password"])
        except TooMany as error:
            form.add_error(None, error.message)
        else:
            if isinstance(user, User):
                return to_step(entry.begin(request=request, user=user, back=back), back)
            form.add_error(None, "This address and password do not belong together.")
    providers = list(IdentityProvider.objects.filter(enabled=True).order_by("name", "alias"))
    chosen = _redirect_to(request, providers)
    if chosen:
        return redirect(chosen)
    context = {
        "form": form,
        "next": back if back != "/" else "",
        "providers": providers,
        "linking": pending_link(request),
    }
    return render_page(request, "access/login.html", context, status=422 if form.errors else 200)


@allow(PUBLIC)
@never_cache
@require_http_methods(METHODS)
def login_code(request: HttpRequest) -> HttpResponse:
    """The code of the authenticator app, a recovery code, or a passkey."""

    def show(now: Pending, form: ConsoleForm) -> HttpResponse:
        return to_step(entry.show_code(request=request, now=now, code=form.cleaned_data["code"]), now.back)

    return _step(request, Step.CODE, CodeForm, show, code_page)


@allow(PUBLIC)
@never_cache
@require_http_methods(METHODS)
def login_password(request: HttpRequest) -> HttpResponse:
    """A password that somebody else has seen is changed before anything else."""

    def change(now: Pending, form: ConsoleForm) -> HttpResponse:
        set_password(actor=user_actor(now.user), user=now.user, password=form.cleaned_data["new"])
        return to_step(entry.go_on(request=request, now=now), now.back)

    def page(request: HttpRequest, now: Pending, form: ConsoleForm) -> HttpResponse:
        return _page(request, "access/login_password.html", now, form)

    return _step(request, Step.PASSWORD, NewPasswordForm, change, page)


@allow(PUBLIC)
@never_cache
@require_http_methods(METHODS)
def login_enrol(request: HttpRequest) -> HttpResponse:
    """A tenant that requires a second factor: set one up, then the recovery codes, once."""

    def confirm(now: Pending, form: ConsoleForm) -> HttpResponse:
        codes = factors.confirm_app(user=now.user, code=form.cleaned_data["code"])
        entry.factor_shown(request=request, now=now)
        return render_page(request, "access/login_codes.html", {"codes": codes, "back": now.back})

    def page(request: HttpRequest, now: Pending, form: ConsoleForm) -> HttpResponse:
        return _page(request, "access/login_enrol.html", now, form, **app_context(now.user))

    return _step(request, Step.ENROL, CodeForm, confirm, page)


def _step(
    request: HttpRequest,
    step: Step,
    form_class: type[ConsoleForm],
    act: Callable[[Pending, ConsoleForm], HttpResponse],
    page: Callable[[HttpRequest, Pending, ConsoleForm], HttpResponse],
) -> HttpResponse:
    """One step of a sign-in that is under way: its page, and what a right answer leads to."""
    now = under_way(request, step)
    if now is None:
        return redirect("access:login")
    form = form_class(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return act(now, form)
        except DomainError as error:
            form.refuse(error)
    return page(request, now, form)


def _page(request: HttpRequest, template: str, now: Pending, form: ConsoleForm, **more: Any) -> HttpResponse:
    context = {"form": form, "person": now.user, **more}
    return render_page(request, template, context, status=422 if form.errors else 200)


def code_page(request: HttpRequest, now: Pending, form: ConsoleForm) -> HttpResponse:
    kinds = set(now.user.factors.filter(confirmed=True).values_list("kind", flat=True))
    more = {"app": FactorKind.TOTP in kinds, "passkey": FactorKind.PASSKEY in kinds}
    return _page(request, "access/login_code.html", now, form, **more)


def to_step(step: Step, back: str) -> HttpResponse:
    return redirect(back if step is Step.DONE else PAGES[step])


def way_back(request: HttpRequest) -> str:
    """Where the person wanted to go: an address of this console, else its first page."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted[:2000] if safe else "/"


def under_way(request: HttpRequest, step: Step) -> Pending | None:
    """The sign-in under way, if this page is its next step."""
    now = entry.pending(request)
    return now if now is not None and entry.next_step(now.user, factor=now.factor) is step else None


def _redirect_to(request: HttpRequest, providers: list[IdentityProvider]) -> str:
    """``autoRedirectSSO``, unless the page is asked for with ``?local`` (the way in when the provider is down)."""
    wanted = setting("autoRedirectSSO") if request.method != "POST" and "local" not in request.GET else {}
    if not wanted.get("enabled") or wanted.get("idpAlias") not in {row.alias for row in providers}:
        return ""
    query = request.GET.urlencode()
    return f"/sso/{wanted['idpAlias']}/start" + (f"?{query}" if query else "")
