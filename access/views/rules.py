"""Access rules: who has which role where, until when."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms_administration import RuleChangeForm, RuleForm
from access.guard import allow
from access.lists import render_list, run_bulk
from access.models import AccessRule
from access.roles import Action
from access.scoping import visible_scopes
from access.selections import visible_rules
from access.services.roles import role_of
from access.services.rules import RuleChange, create_rule, delete_rule, update_rule
from access.tables import RULES_BULK, RULES_TABLE
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

LIST = "/access/rules/"


@allow(Action.ACCESS_RULE_VIEW)
@require_GET
def rule_list(request: HttpRequest) -> HttpResponseBase:
    actor = request.actor  # type: ignore[attr-defined]
    rows = visible_rules(actor).select_related("scope__parent", "custom_role")
    bulk = RULES_BULK if actor.allows_somewhere(Action.ACCESS_RULE_DELETE) else ()
    return render_list(request, RULES_TABLE, rows, "access/rule_list.html", bulk=bulk, bulk_url=f"{LIST}bulk")


@allow(Action.ACCESS_RULE_DELETE)
@require_POST
def rule_bulk(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    return run_bulk(
        request,
        RULES_TABLE,
        visible_rules(actor),
        lambda row: delete_rule(actor=actor, rule=row),
        label="Remove access rules",
        back=LIST,
    )


@allow(Action.ACCESS_RULE_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_create(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    given = {key: request.GET[key] for key in ("kind", "who", "scope", "role") if key in request.GET}
    form = RuleForm(request.POST or None, scopes=visible_scopes(actor).order_by("path"), initial=given)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            rule = create_rule(
                actor=actor,
                subject_kind=data["kind"],
                subject_id=data["who"],
                role=data["role"],
                scope=data["scope"],
                expires_at=data["expires_at"],
            )
            toast(request, f"{rule.subject_name} is {_title(form)} in {data['scope'].name}", _until(data))
            return redirect("access:rule_list")
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "rule": None}
    return render_page(request, "access/rule_form.html", context, status=422 if form.errors else 200)


@allow(Action.ACCESS_RULE_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_edit(request: HttpRequest, rule_id: int) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    rule = get_object_or_404(visible_rules(actor), pk=rule_id)
    initial = {"role": role_of(rule).key, "scope": rule.scope_id, "expires_at": rule.expires_at}
    form = RuleChangeForm(request.POST or None, scopes=visible_scopes(actor).order_by("path"), initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        change = RuleChange(data["role"], data["scope"], data["expires_at"], forever=data["expires_at"] is None)
        try:
            update_rule(actor=actor, rule=rule, change=change)
            toast(request, f"{rule.subject_name} is {_title(form)} in {data['scope'].name}", _until(data))
            return redirect("access:rule_list")
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "rule": rule}
    return render_page(request, "access/rule_form.html", context, status=422 if form.errors else 200)


@allow(Action.ACCESS_RULE_DELETE)
@require_POST
def rule_delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    rule: AccessRule = get_object_or_404(visible_rules(request.actor), pk=rule_id)  # type: ignore[attr-defined]
    name = rule.subject_name
    try:
        delete_rule(actor=request.actor, rule=rule)  # type: ignore[attr-defined]
        toast(request, f"The rule of {name} was removed")
    except DomainError as error:
        toast(request, "The rule stays", error.message, "bad")
    return redirect("access:rule_list")


def _title(form: RuleForm) -> str:
    return dict(form.fields["role"].choices)[form.cleaned_data["role"]]  # type: ignore[attr-defined,no-any-return]


def _until(data: dict[str, Any]) -> str:
    return f"until {data['expires_at']:%Y-%m-%d %H:%M} UTC" if data["expires_at"] else ""
