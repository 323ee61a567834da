"""Pages of people and rights on a full tenant: every list, a search, a filter, the deepest page, and single objects."""

import time
from typing import Any

from django.test import Client
from django_tenants.utils import tenant_context

from access.models import Application, AuditEntry, Group, User
from access.services.bootstrap import system_actor
from access.services.rules import create_rule
from access.services.scopes import root_scope
from access.services.users import create_user
from bench._api_world import HOST, PASSWORD, World, build
from bench._in_process import show, timed

BOUNDS = {"p95_bound_ms": 150, "queries_bound": 15}
ADMINISTRATOR = "console@example.test"


def measure(options: Any) -> None:
    started = time.perf_counter()
    world = build(options)
    pages = _pages(world)
    show("world", users=options.users, rules=options.rules, projects=options.projects,
         built_s=round(time.perf_counter() - started, 1))  # fmt: skip
    worst: dict[str, float] = {"p95_ms": 0.0, "queries": 0}
    for who, email in {"administrator": ADMINISTRATOR, "delegate of 50 projects": world.delegate}.items():
        client = signed_in(email)
        for what, path in pages.items():
            answer = client.get(path)
            if answer.status_code == 403:
                continue
            figures = timed(lambda client=client, path=path: client.get(path), options.repeats)  # type: ignore[misc]
            worst = {key: max(worst[key], figures[key]) for key in worst}
            show("page", who=who, what=what, **figures, kib=round(len(answer.content) / 1024, 1))
    show("access pages together", worst_p95_ms=worst["p95_ms"], most_queries=worst["queries"], **BOUNDS)


def signed_in(email: str) -> Client:
    """A browser with a session of this person. Raises ``RuntimeError`` where the sign-in page refuses."""
    client = Client(SERVER_NAME=HOST)
    answer = client.post("/login/", {"email": email, "password": PASSWORD})
    if answer.status_code != 302 or answer.headers["Location"] != "/":
        raise RuntimeError(f"sign-in answered {answer.status_code} {answer.headers.get('Location', '')}")
    return client


def _pages(world: World) -> dict[str, str]:
    """What → address. An administrator is made on the way."""
    with tenant_context(world.tenant):
        user = create_user(actor=system_actor(), email=ADMINISTRATOR, password=PASSWORD)
        create_rule(
            actor=system_actor(), subject_kind="user", subject_id=user.pk, role="administrator", scope=root_scope()
        )
        group, program = Group.objects.order_by("name")[0], Application.objects.order_by("name")[0]
        entry, somebody = AuditEntry.objects.order_by("-pk")[0], User.objects.order_by("email")[7]
    return {
        "users": "/access/users/",
        "users, search": "/access/users/?q=person-01",
        "users, filtered and sorted": "/access/users/?f=isLocal%3D%3Dtrue&sort=lastLogin&order=desc",
        "users, last page": "/access/users/?page=100",
        "groups": "/access/groups/",
        "group": f"/access/groups/{group.pk}/",
        "service accounts": "/access/applications/",
        "service account": f"/access/applications/{program.pk}/",
        "access keys": "/access/keys/",
        "access keys, search": "/access/keys/?q=person-012",
        "roles": "/access/roles/",
        "role": "/access/roles/1/",
        "access rules": "/access/rules/",
        "access rules, search": "/access/rules/?q=person-0123&sort=subjectId",
        "access rules, filtered": "/access/rules/?f=roleName%3D%40Viewer&f=scopeType%3D%3Dproject",
        "access rules, last page": "/access/rules/?page=400&sort=roleName",
        "new access rule": "/access/rules/new/",
        "what and why": f"/access/explain/?subject=user%3A{somebody.pk}",
        "audit": "/audit/",
        "audit, search": "/audit/?q=console",
        "audit entry": f"/audit/{entry.pk}/",
        "my account": "/account/",
        "settings": "/settings/",
    }
