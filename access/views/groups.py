"""Groups of people and who is in them."""

import uuid

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.forms_administration import GroupForm
from access.guard import allow
from access.lists import render_list, run_bulk
from access.models import AccessRule, Group, GroupOrigin, SubjectKind
from access.roles import Action
from access.services.groups import create_group, delete_group, update_group
from access.tables import GROUPS_BULK, GROUPS_TABLE
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

LIST = "/access/groups/"
SHOWN = 500
"""Members that a page names; the rest are counted."""


@allow(Action.GROUP_VIEW)
@require_GET
def group_list(request: HttpRequest) -> HttpResponseBase:
    rows = Group.objects.annotate(size=Count("members"))
    may = request.actor.allows_somewhere(Action.GROUP_DELETE)  # type: ignore[attr-defined]
    return render_list(
        request,
        GROUPS_TABLE,
        rows,
        "access/group_list.html",
        bulk=GROUPS_BULK if may else (),
        bulk_url=f"{LIST}bulk",
    )


@allow(Action.GROUP_DELETE)
@require_POST
def group_bulk(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    rows = Group.objects.annotate(size=Count("members"))
    return run_bulk(
        request,
        GROUPS_TABLE,
        rows,
        lambda row: delete_group(actor=actor, group=row),
        label="Delete groups",
        back=LIST,
    )


@allow(Action.GROUP_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def group_create(request: HttpRequest) -> HttpResponse:
    form = GroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            group = create_group(
                actor=request.actor,  # type: ignore[attr-defined]
                name=data["name"],
                description=data["description"],
                members=form.people(),
            )
            toast(request, f"The group {group.name} is there")
            return redirect("access:group_detail", group.pk)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "title": "New group", "group": None}
    return render_page(request, "access/group_form.html", context, status=422 if form.errors else 200)


@allow(Action.GROUP_VIEW)
@require_GET
def group_detail(request: HttpRequest, group_id: uuid.UUID) -> HttpResponse:
    """Who is in it and what it gives them."""
    group = get_object_or_404(Group, pk=group_id)
    members = group.members.order_by("email")
    rules = AccessRule.objects.filter(subject_kind=SubjectKind.GROUP, subject_id=group.pk)
    paths = request.actor.paths(Action.ACCESS_RULE_VIEW)  # type: ignore[attr-defined]
    seen = [row for row in rules.select_related("scope", "custom_role") if row.scope.path.startswith(tuple(paths))]
    context = {
        "group": group,
        "members": list(members[:SHOWN]),
        "size": members.count(),
        "rules": seen,
        "ours": group.origin == GroupOrigin.LOCAL,
    }
    return render_page(request, "access/group_detail.html", context)


@allow(Action.GROUP_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def group_edit(request: HttpRequest, group_id: uuid.UUID) -> HttpResponse:
    group = get_object_or_404(Group, pk=group_id)
    emails = "\n".join(group.members.order_by("email").values_list("email", flat=True))
    initial = {"name": group.name, "description": group.description, "members": emails}
    form = GroupForm(request.POST or None, initial=initial)
    form.fields["name"].disabled = True
    if group.origin == GroupOrigin.PROVIDER:
        form.fields["members"].disabled = True
        form.fields["members"].help_text = "The identity provider says who is in this group, at each sign-in."
    if request.method == "POST" and form.is_valid():
        members = None if group.origin == GroupOrigin.PROVIDER else form.people()
        try:
            update_group(
                actor=request.actor,  # type: ignore[attr-defined]
                group=group,
                description=form.cleaned_data["description"],
                members=members,
            )
            toast(request, f"The group {group.name} was changed")
            return redirect("access:group_detail", group.pk)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "title": f"Change {group.name}", "group": group}
    return render_page(request, "access/group_form.html", context, status=422 if form.errors else 200)
