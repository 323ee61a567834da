"""Service accounts and access keys: secrets are shown once, in the answer that made them, and nowhere again."""

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms_administration import ApplicationForm, KeyForm
from access.guard import SIGNED_IN, allow
from access.lists import render_list, run_bulk, run_verb
from access.models import AccessKey, AccessRule, Application, SubjectKind
from access.roles import Action
from access.scoping import visible_scopes
from access.services.access_keys import create_key, delete_key, renew_key
from access.services.applications import create_application, delete_application, regenerate_secret, set_enabled
from access.tables import APPLICATIONS_BULK, APPLICATIONS_DELETE, APPLICATIONS_TABLE, KEYS_BULK, KEYS_TABLE
from runai_cp.lib.errors import DomainError, FieldError, Invalid
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

LIST, KEYS = "/access/applications/", "/access/keys/"


@allow(Action.APPLICATION_VIEW)
@require_GET
def application_list(request: HttpRequest) -> HttpResponseBase:
    may = request.actor.allows_somewhere  # type: ignore[attr-defined]
    bulk = (APPLICATIONS_BULK if may(Action.APPLICATION_UPDATE) else ()) + (
        (APPLICATIONS_DELETE,) if may(Action.APPLICATION_DELETE) else ()
    )
    rows = Application.objects.all()
    return render_list(
        request, APPLICATIONS_TABLE, rows, "access/application_list.html", bulk=bulk, bulk_url=f"{LIST}bulk"
    )


@allow(Action.APPLICATION_VIEW)
@require_POST
def application_bulk(request: HttpRequest) -> HttpResponse:
    """Which act it is decides what it needs: the services refuse each row."""
    actor = request.actor  # type: ignore[attr-defined]
    acts = {
        "enable": ("Enable service accounts", lambda row: set_enabled(actor=actor, application=row, enabled=True)),
        "disable": ("Disable service accounts", lambda row: set_enabled(actor=actor, application=row, enabled=False)),
        "delete": ("Delete service accounts", lambda row: delete_application(actor=actor, application=row)),
    }
    return run_verb(request, APPLICATIONS_TABLE, Application.objects.all(), acts, back=LIST)


@allow(Action.APPLICATION_CREATE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def application_create(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    form = ApplicationForm(request.POST or None, scopes=visible_scopes(actor).order_by("path"))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            row, secret = create_application(
                actor=actor, name=data["name"], role=data["role"] or None, scope=data["scope"]
            )
            return _secret(request, row.name, row.client_id, secret, f"{LIST}{row.pk}/", "login application --name")
        except DomainError as error:
            form.refuse(error)
    return render_page(request, "access/application_form.html", {"form": form}, status=422 if form.errors else 200)


@allow(Action.APPLICATION_VIEW)
@require_GET
def application_detail(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    row = get_object_or_404(Application, pk=application_id)
    paths = tuple(request.actor.paths(Action.ACCESS_RULE_VIEW))  # type: ignore[attr-defined]
    rules = AccessRule.objects.filter(subject_kind=SubjectKind.APPLICATION, subject_id=row.pk)
    seen = [rule for rule in rules.select_related("scope", "custom_role") if rule.scope.path.startswith(paths)]
    return render_page(request, "access/application_detail.html", {"row": row, "rules": seen})


@allow(Action.APPLICATION_UPDATE)
@never_cache
@require_POST
def application_secret(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    row = get_object_or_404(Application, pk=application_id)
    secret = regenerate_secret(actor=request.actor, application=row)  # type: ignore[attr-defined]
    return _secret(request, row.name, row.client_id, secret, f"{LIST}{row.pk}/", "login application --name")


@allow(Action.ACCESS_KEY_VIEW)
@require_GET
def key_list(request: HttpRequest) -> HttpResponseBase:
    """Everybody's keys, for who may administer them."""
    rows = AccessKey.objects.select_related("owner")
    may = request.actor.allows_somewhere(Action.ACCESS_KEY_DELETE)  # type: ignore[attr-defined]
    bulk = KEYS_BULK if may else ()
    return render_list(request, KEYS_TABLE, rows, "access/key_list.html", bulk=bulk, bulk_url=f"{KEYS}bulk")


@allow(Action.ACCESS_KEY_DELETE)
@require_POST
def key_bulk(request: HttpRequest) -> HttpResponse:
    actor, rows = request.actor, AccessKey.objects.select_related("owner")  # type: ignore[attr-defined]
    return run_bulk(
        request, KEYS_TABLE, rows, lambda row: delete_key(actor=actor, key=row), label="Delete access keys", back=KEYS
    )


@allow(SIGNED_IN)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def my_keys(request: HttpRequest) -> HttpResponse:
    """One's own keys, and a new one."""
    actor = request.actor  # type: ignore[attr-defined]
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = create_key(actor=actor, name=form.cleaned_data["name"])
            return _secret(request, key.name, key.client_id, secret, "/account/keys/", "login access-key --client-id")
        except DomainError as error:
            form.refuse(error)
    keys = AccessKey.objects.filter(owner_id=actor.id).order_by("name")
    return render_page(request, "access/my_keys.html", {"form": form, "keys": keys}, status=422 if form.errors else 200)


@allow(SIGNED_IN)
@never_cache
@require_POST
def my_key_act(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """``verb``: ``renew`` shows a new secret, ``delete`` removes the key."""
    actor = request.actor  # type: ignore[attr-defined]
    key = get_object_or_404(AccessKey, pk=key_id, owner_id=actor.id)
    if request.POST.get("verb") == "renew":
        secret = renew_key(actor=actor, key=key)
        return _secret(request, key.name, key.client_id, secret, "/account/keys/", "login access-key --client-id")
    if request.POST.get("verb") != "delete":
        raise Invalid(FieldError("verb", "allowed are renew and delete", request.POST.get("verb", "")[:40]))
    delete_key(actor=actor, key=key)
    toast(request, f"The key {key.name} is gone")
    return redirect("access:my_keys")


def _secret(request: HttpRequest, name: str, client_id: str, secret: str, back: str, command: str) -> HttpResponse:
    context = {"name": name, "client_id": client_id, "secret": secret, "back": back, "command": command}
    return render_page(request, "access/secret.html", context)
