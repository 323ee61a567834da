"""Who has which role where: access rules, users, roles and applications."""

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms import RuleForm, UserForm
from access.grants import Actor
from access.guard import allow
from access.models import AccessRule, Application, User
from access.roles import ROLE_TITLES, ROLES, Action
from access.scoping import visible_scopes
from access.services.rules import create_rule, delete_rule
from access.services.users import create_user
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.paging import pages
from runai_cp.lib.toasts import toast


def _rules(actor: Actor) -> QuerySet[AccessRule]:
    """Rules whose scope lies where the actor may see rules."""
    inside = Q(pk=None)
    for path in actor.paths(Action.ACCESS_RULE_VIEW):
        inside |= Q(scope__path__startswith=path)
    return AccessRule.objects.filter(inside).select_related("scope__parent")


@allow(Action.ACCESS_RULE_VIEW)
@require_GET
def rule_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip()
    rows = _rules(request.actor).filter(subject_name__icontains=words).order_by("subject_name", "pk")  # type: ignore[attr-defined]
    page = pages(rows.count(), request.GET.get("page"))
    context = {
        "rules": [(row, ROLE_TITLES.get(row.role, row.role)) for row in rows[page.offset : page.offset + page.size]],
        "pages": page,
        "words": words,
        "tab": "rules",
    }
    return render_page(request, "access/rule_list.html", context)


@allow(Action.ACCESS_RULE_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_create(request: HttpRequest) -> HttpResponse:
    form = RuleForm(request.POST or None, scopes=visible_scopes(request.actor).order_by("path"))  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            create_rule(
                actor=request.actor,
                subject_kind=form.subject_kind(),
                subject_id=data["subject"].pk,  # type: ignore[attr-defined]
                role=data["role"],
                scope=data["scope"],
            )
            toast(request, f"{data['subject']} is {ROLE_TITLES[data['role']]} in {data['scope'].name}")
            return redirect("access:rule_list")
        except DomainError as error:
            form.refuse(error)
    return render_page(request, "access/rule_form.html", {"form": form}, status=422 if form.errors else 200)


@allow(Action.ACCESS_RULE_DELETE)
@require_POST
def rule_delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    rule = get_object_or_404(_rules(request.actor), pk=rule_id)  # type: ignore[attr-defined]
    name = rule.subject_name
    try:
        delete_rule(actor=request.actor, rule=rule)  # type: ignore[attr-defined]
        toast(request, f"The rule of {name} was removed")
    except DomainError as error:
        toast(request, "The rule stays", error.message, "bad")
    return redirect("access:rule_list")


@allow(Action.USER_VIEW)
@require_GET
def user_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip()
    rows = User.objects.filter(email__icontains=words).order_by("email")
    page = pages(rows.count(), request.GET.get("page"))
    context = {"users": rows[page.offset : page.offset + page.size], "pages": page, "words": words, "tab": "users"}
    return render_page(request, "access/user_list.html", context)


@allow(Action.USER_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def user_create(request: HttpRequest) -> HttpResponse:
    form = UserForm(request.POST or None, scopes=visible_scopes(request.actor).order_by("path"))  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            create_user(
                actor=request.actor,
                email=data["email"],
                password=data["password"],
                name=data["name"],  # type: ignore[attr-defined]
                role=data["role"],
                scope=data["scope"],
            )
            toast(request, f"{data['email']} can sign in now")
            return redirect("access:user_list")
        except DomainError as error:
            form.refuse(error)
    return render_page(request, "access/user_form.html", {"form": form}, status=422 if form.errors else 200)


@allow(Action.ACCESS_RULE_VIEW)
@require_GET
def role_list(request: HttpRequest) -> HttpResponse:
    """What each role may do, as a table of things and verbs."""
    things = list(dict.fromkeys(action.value.split(".")[0] for action in Action))
    verbs = ("view", "create", "update", "delete")
    known = {action.value for action in Action}
    tables = [
        {
            "name": name,
            "title": ROLE_TITLES[name],
            "rows": [
                (
                    thing.replace("-", " "),
                    [
                        (verb, f"{thing}.{verb}" in known, f"{thing}.{verb}" in {a.value for a in held})
                        for verb in verbs
                    ],
                )
                for thing in things
            ],
        }
        for name, held in ROLES.items()
    ]
    return render_page(request, "access/role_list.html", {"roles": tables, "verbs": verbs, "tab": "roles"})


@allow(Action.APPLICATION_VIEW)
@require_GET
def application_list(request: HttpRequest) -> HttpResponse:
    rows = Application.objects.order_by("name")
    page = pages(rows.count(), request.GET.get("page"))
    context = {"applications": rows[page.offset : page.offset + page.size], "pages": page, "tab": "applications"}
    return render_page(request, "access/application_list.html", context)
