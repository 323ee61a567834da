"""People: the list, a new one, and acts on many."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms import UserForm
from access.guard import allow
from access.lists import render_list, run_verb
from access.models import User
from access.roles import Action
from access.scoping import visible_scopes
from access.services.factors import reset_factors
from access.services.users import create_user, delete_user, log_out, set_active
from access.tables import USERS_BULK, USERS_TABLE
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

LIST = "/access/users/"


@allow(Action.USER_VIEW)
@require_GET
def user_list(request: HttpRequest) -> HttpResponseBase:
    may = request.actor.allows_somewhere(Action.USER_DELETE)  # type: ignore[attr-defined]
    bulk = USERS_BULK if may else ()
    return render_list(
        request, USERS_TABLE, User.objects.all(), "access/user_list.html", bulk=bulk, bulk_url=f"{LIST}bulk"
    )


@allow(Action.USER_DELETE)
@require_POST
def user_bulk(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    acts = {
        "enable": ("Enable people", lambda row: set_active(actor=actor, user=row, active=True)),
        "disable": ("Disable people", lambda row: set_active(actor=actor, user=row, active=False)),
        "delete": ("Delete people", lambda row: delete_user(actor=actor, user=row)),
        "reset-factors": ("Reset second factors", lambda row: reset_factors(actor=actor, user=row)),
        "sign-out": ("Sign people out", lambda row: log_out(actor=actor, user=row)),
    }
    return run_verb(request, USERS_TABLE, User.objects.all(), acts, back=LIST)


@allow(Action.USER_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def user_create(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    form = UserForm(request.POST or None, scopes=visible_scopes(actor).order_by("path"))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            create_user(
                actor=actor,
                email=data["email"],
                password=data["password"],
                name=data["name"],
                role=data["role"],
                scope=data["scope"],
                temporary=True,
            )
            toast(request, f"{data['email']} can sign in now", "They choose a password of their own first")
            return redirect("access:user_list")
        except DomainError as error:
            form.refuse(error)
    return render_page(request, "access/user_form.html", {"form": form}, status=422 if form.errors else 200)
