"""Every route is refused until it says what it needs. ``@allow`` on console views, ``allow = {…}`` on API views."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.actors import user_actor
from access.grants import Actor
from access.models import User
from access.permissions import describe
from access.roles import Action
from access.services.audit import http_method, refused, source_ip, url_path
from access.services.sessions import still_open
from runai_cp.lib.errors import NotAllowed, NotAuthenticated
from runai_cp.lib.pages import error_page

PUBLIC = "public"
"""Marker: nobody needs to sign in for this route."""
SIGNED_IN = "signed-in"
"""Marker: anybody who is signed in."""
Need = Action | str
View = TypeVar("View", bound=Callable[..., Any])


def allow(need: Need) -> Callable[[View], View]:
    """Declare what a console view needs: an action (held anywhere; ``visible_to`` checks the object), or a marker."""

    def mark(view: View) -> View:
        view.allow = need  # type: ignore[attr-defined]
        return view

    return mark


def needs(view: Any) -> dict[str, Need] | Need | None:
    """What a resolved view declares; None when it declares nothing."""
    return getattr(getattr(view, "cls", view), "allow", None) or None


class GuardMiddleware:
    """Finds the actor of a session, and refuses undeclared routes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        facts = (
            (source_ip, request.META.get("REMOTE_ADDR")),
            (http_method, request.method),
            (url_path, request.path[:300]),
        )
        tokens = [(variable, variable.set(value)) for variable, value in facts]  # type: ignore[attr-defined, arg-type]
        try:
            response = self.get_response(request)
            if response.status_code == 403 and getattr(request, "actor", None) is not None:
                refused(actor=request.actor, what=getattr(request, "refusal", ""))  # type: ignore[attr-defined]
            return response
        finally:
            for variable, token in tokens:
                variable.reset(token)  # type: ignore[arg-type]

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        declared = needs(view)
        if declared is None:
            raise PermissionDenied("This route declares no permission.")
        request.actor = _session_actor(request)  # type: ignore[attr-defined]
        if isinstance(declared, dict) or declared == PUBLIC:
            return None  # API views check in DeclaredPermission, once DRF knows the caller
        if request.actor is None:  # type: ignore[attr-defined]
            return _to_login(request)
        try:
            refuse_unless(request.actor, declared)  # type: ignore[attr-defined]
        except NotAllowed as error:
            return error_page(request, error)
        return None


class DeclaredPermission(BasePermission):
    """DRF's side of the guard: the need of the method, or refusal. A missing method means it is not served."""

    def has_permission(self, request: Request, view: Any) -> bool:
        declared = view.allow.get(request.method) or view.allow.get({"HEAD": "GET"}.get(request.method or "", ""))
        if declared is None:
            if getattr(view, (request.method or "").lower(), None) is None or request.method == "OPTIONS":
                return True  # DRF answers 405 itself
            raise NotAllowed("This route declares no permission.")
        if declared == PUBLIC:
            return True
        if not isinstance(request.user, Actor):
            raise NotAuthenticated()
        request._request.actor = request.user  # type: ignore[attr-defined]
        refuse_unless(request.user, declared)
        return True


def refuse_unless(actor: Actor, need: Need) -> None:
    """Raises ``NotAllowed``. The action may be held on any scope: which objects it reaches is ``visible_to``'s work."""
    if isinstance(need, Action) and not actor.allows_somewhere(need):
        raise NotAllowed(f"{actor.name} may not {describe(need)}; an administrator can grant a role that may.")


def _session_actor(request: HttpRequest) -> Actor | None:
    """The actor of the console session, if there is one and it was opened in this tenant."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    user = request.user
    if not isinstance(user, User) or request.session.get("tid") != connection.schema_name:
        return None
    if not still_open(request):
        return None
    return user_actor(user)


def _to_login(request: HttpRequest) -> HttpResponse:
    """The login page, with the way back. A fragment request must not swap a login form into a table."""
    back = request.META.get("HTTP_HX_CURRENT_URL") if request.headers.get("HX-Request") else request.get_full_path()
    target = f"{settings.LOGIN_URL}?{urlencode({'next': back or '/'})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=401, headers={"HX-Redirect": target})
    return HttpResponseRedirect(target)
