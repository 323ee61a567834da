"""Sign out, one's own account, sessions and preferences."""

import uuid
from typing import Any

from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from access.browsers import browser_name
from access.forms import PreferencesForm
from access.guard import SIGNED_IN, allow
from access.models import FactorKind, User, UserSession
from access.models.user import Theme
from access.services.refresh import programs_of
from access.services.sessions import revoke_other_sessions, revoke_session, sign_out
from access.services.settings import setting
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast


@allow(SIGNED_IN)
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """Then to the tenant's own page, if it names one: by a page, since a form may not lead to another site."""
    sign_out(request=request, actor=request.actor)  # type: ignore[attr-defined]
    address = setting("logoutRedirectUri")["uri"]
    return render(request, "access/signed_out.html", {"address": address}) if address else redirect("/login/?local")


@allow(SIGNED_IN)
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """One's own password, second factors, sessions and theme."""
    user: Any = request.user
    shown = list(user.factors.filter(confirmed=True).order_by("created_at"))
    context = {
        "user": user,
        "sessions": _sessions(user),
        "own_key": request.session.session_key,
        "themes": Theme.choices,
        "local": user.has_usable_password(),
        "factors": shown,
        "has_app": any(row.kind == FactorKind.TOTP for row in shown),
        "codes_left": user.recovery_codes.filter(used_at=None).count(),
        "programs": programs_of(user),
        "identities": user.identities.select_related("provider"),
    }
    return render_page(request, "access/account.html", context)


def _sessions(user: User) -> list[dict[str, Any]]:
    """Sessions that still open something, the latest first."""
    live = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    rows = UserSession.objects.filter(user=user, session_key__in=live).order_by("-last_seen_at")
    return [{"row": row, "browser": browser_name(row.user_agent)} for row in rows]


@allow(SIGNED_IN)
@require_POST
def session_revoke(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    revoke_session(actor=request.actor, session_id=session_id)  # type: ignore[attr-defined]
    toast(request, "The session was ended")
    return HttpResponseRedirect("/account/#sessions")


@allow(SIGNED_IN)
@require_POST
def sessions_revoke(request: HttpRequest) -> HttpResponse:
    """All sessions but this one."""
    ended = revoke_other_sessions(actor=request.actor, keep=request.session.session_key)  # type: ignore[attr-defined]
    toast(request, f"{ended} {'session was' if ended == 1 else 'sessions were'} ended")
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
