"""Sign in, sign out, one's own sessions and preferences."""

import uuid

from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms import LoginForm, PreferencesForm
from access.guard import PUBLIC, SIGNED_IN, allow
from access.models import User, UserSession
from access.models.user import Theme
from access.services.sessions import revoke_session, sign_in, sign_out
from runai_cp.lib.errors import TooMany
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast


@allow(PUBLIC)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """Sign-in page. A wrong pair says so once, without saying which half was wrong."""
    if request.actor is not None:  # type: ignore[attr-defined]
        return redirect(_way_back(request))
    form = LoginForm(request.POST or None, auto_id="f-%s")
    if request.method == "POST" and form.is_valid():
        try:
            user = authenticate(request, username=form.cleaned_data["email"], password=form.cleaned_data["password"])
        except TooMany as error:
            form.add_error(None, error.message)
        else:
            if isinstance(user, User):
                sign_in(request=request, user=user)
                return redirect(_way_back(request))
            form.add_error(None, "This address and password do not belong together.")
    status = 422 if form.errors else 200
    return render_page(
        request,
        "access/login.html",
        {"form": form, "next": request.POST.get("next") or request.GET.get("next", "")},
        status=status,
    )


def _way_back(request: HttpRequest) -> str:
    """Where the person wanted to go: an address of this console, else its first page."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else "/"


@allow(SIGNED_IN)
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    sign_out(request=request, actor=request.actor)  # type: ignore[attr-defined]
    return redirect("access:login")


@allow(SIGNED_IN)
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """One's own sessions, theme and roles."""
    rows = UserSession.objects.filter(user_id=request.actor.id).order_by("-last_seen_at")  # type: ignore[attr-defined]
    context = {"sessions": rows, "own_key": request.session.session_key, "themes": Theme.choices, "user": request.user}
    return render_page(request, "access/account.html", context)


@allow(SIGNED_IN)
@require_POST
def session_revoke(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    revoke_session(actor=request.actor, session_id=session_id)  # type: ignore[attr-defined]
    toast(request, "The session was ended")
    return HttpResponseRedirect("/account/#sessions")


@allow(SIGNED_IN)
@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Theme (kept with the person) and row density (kept with the session). A script is answered without a body."""
    form = PreferencesForm(request.POST)
    if not form.is_valid():
        return HttpResponse("theme: allowed are system, light, dark", status=400, content_type="text/plain")
    if form.cleaned_data["theme"]:
        User.objects.filter(pk=request.actor.id).update(theme=form.cleaned_data["theme"])  # type: ignore[attr-defined]
    if form.cleaned_data["density"]:
        request.session["density"] = form.cleaned_data["density"]
    return HttpResponse(status=204) if request.headers.get("HX-Request") else redirect("access:account")
