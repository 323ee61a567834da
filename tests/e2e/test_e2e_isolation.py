"""Two tenants with equal names of everything: every route of the resolver, asked for the other's objects, says 404.

The walk takes the routes from the resolver itself, so a new one is tested the day it is added. A control asks the same
routes for one's own objects: were an id wrong, the walls would seem to hold.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve
from django_tenants.utils import tenant_context

from access.actors import user_actor
from access.guard import PUBLIC, needs
from access.models import AccessRule, Application, AuditEntry, SavedView, User, UserSession
from access.services.access_keys import create_key
from access.services.applications import create_application
from access.services.bootstrap import system_actor
from access.services.factors import begin_app
from access.services.groups import create_group
from access.services.providers import create_provider
from access.services.refresh import new_refresh_token
from access.services.roles import create_role
from access.services.webhooks import create_webhook
from clusters.models import Node
from clusters.services.topologies import create_topology
from tests.architecture.test_routes_are_guarded import ROUTES
from tests.conftest import Home, grant
from tests.fixtures_rooms import (
    connect,
    event_report,
    make_cluster,
    make_project,
    make_workload,
    node_report,
    pod_report,
    take,
    tell,
    workload_report,
)
from workloads.models import Pod, Workload

pytestmark = pytest.mark.services
REST = ("/api/", "/v1/")
KINDS = ("training", "distributed", "workspace", "inference")
FAR = 900_000
"""Where the other tenant's numbers begin, so that none of them is one of ours by chance."""
REFUSED = (401, 302)
QUERIES = {
    "/metrics": "?metricType=GPU_UTILIZATION&start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z",
    "/cluster-install-info": "?version=2.22",
    "/logs/read": "?stream=0199a000-0000-7000-8000-000000000000",
}
"""What some routes want to know before they look for the object, by the end of their path."""
BODY = {"enabled": True}
"""A body that is right for PATCH of a service account; other routes look for the object first."""
NO_SUCH_STREAM = "/logs/read"


@dataclass
class World:
    """One tenant's objects: what goes into a path, by the name of its parameter, and what must never be seen."""

    mark: str
    ids: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)

    def path(self, route: str, kind: str) -> str:
        """The route with this tenant's ids; ``kind`` is the type of workload that the view serves."""
        parts = []
        for part in route.split("<"):
            parameter, closed, rest = part.partition(">")
            if not closed:
                parts.append(part)
                continue
            converter, _, name = parameter.rpartition(":")
            key = {"workload_id": kind, "unit_id": unit_of(route), "node_id": f"node_{converter}"}.get(name, name)
            parts.append(f"{self.ids[key]}{rest}")
        queries = [query for end, query in QUERIES.items() if route.endswith(end)]
        if "org-unit" in route:  # its metrics have names of their own
            queries = [query.replace("GPU_UTILIZATION", "GPU_ALLOCATION") for query in queries]
        return "/" + "".join([*parts, *queries])


def unit_of(route: str) -> str:
    return "department_id" if "departments" in route else "project_id"


def furnish(mark: str, home: Home) -> World:
    """One of everything in the current tenant. Names are equal in both tenants, ``mark`` is in what may not leak."""
    cluster = make_cluster("alpha")
    connect(cluster)
    project = make_project(cluster, "team-a", description=mark)
    more = {"distributed": {"workers": 2}}
    rows = {k: make_workload(project, f"a-{k}", type=k, args=(mark,), **more.get(k, {})) for k in KINDS}
    pods = {kind: pod_report(row.pk, name=f"a-{kind}-0-0", message=mark) for kind, row in rows.items()}
    tell(cluster, "Node", node_report("node-1", gpu_type=f"GPU-{mark}"))
    for kind, row in rows.items():
        tell(cluster, "Workload", workload_report(row, "Running", message=mark))
        tell(cluster, "Pod", pods[kind])
        tell(cluster, "Event", event_report(pods[kind].uid, message=mark))
    for topic in ("inventory", "workloads", "events"):
        take(topic)
    application, _ = create_application(actor=system_actor(), name="an-application")
    home.browser()
    node, user = Node.objects.get(), User.objects.get(email="bob@example.test")
    grant(user.email, "viewer")
    world = World(mark)
    world.ids = {
        **{kind: row.pk for kind, row in rows.items()},
        "kind": "project",
        "cluster_id": cluster.pk,
        "cluster_uuid": cluster.pk,
        "project_id": project.pk,
        "department_id": project.department_id,
        "node_int": node.pk,
        "node_uuid": node.uid,
        "node_pool_id": cluster.node_pools.get(name="default").pk,
        "pool_id": cluster.node_pools.get(name="default").pk,
        "topology_id": create_topology(
            actor=system_actor(), cluster=cluster, name="fabric", levels=("example.com/rack",)
        ).pk,
        "pod_id": Pod.objects.get(workload=rows["training"]).uid,
        "user_id": user.pk,
        "account_id": application.pk,
        "application_id": application.pk,
        "session_id": UserSession.objects.filter(user__email="alice@example.test").latest("created_at").pk,
        "rule_id": AccessRule.objects.order_by("pk").last().pk,
        **furnish_people(mark),
    }
    world.secrets = [mark, *(str(one) for name, one in world.ids.items() if len(str(one)) > 20 and name != "key")]
    return world


def furnish_people(mark: str) -> dict[str, Any]:
    """A key, a group, a role, a webhook and an identity provider."""
    actor, alice = system_actor(), User.objects.get(email="alice@example.test")
    key, _ = create_key(actor=user_actor(alice), name="a-key")
    hook, _ = create_webhook(actor=actor, values={"name": "hook", "url": f"https://{mark}.example.com/"})
    oidc = {"clientId": mark, "clientSecret": "s", "discoverDocumentUrl": f"https://{mark}.example.com/"}
    family = uuid.uuid4()
    new_refresh_token(alice, family=family, label=mark)
    return {
        "family": family,
        "view_id": SavedView.objects.create(owner=alice, page="users", name="a view").pk,
        "entry_id": AuditEntry.objects.order_by("pk").last().pk,
        "factor_id": begin_app(user=alice)[0].pk,
        "key_id": key.pk,
        "group_id": create_group(actor=actor, name="a group", description=mark).pk,
        "role_id": create_role(actor=actor, values={"name": "a role", "permissionSets": ["workloads"]}).pk,
        "webhook_id": hook.pk,
        "alias": create_provider(actor=actor, values={"type": "oidc", "name": f"idp-{mark}", "oidcData": oidc}).alias,
        "key": "browserSessionTimeout",
    }


def start_numbers_at(first: int) -> None:
    """Let the current tenant's whole-number keys begin there."""
    with connection.cursor() as cursor:
        for model in apps.get_models():
            key = model._meta.pk
            if key.get_internal_type() in ("AutoField", "BigAutoField", "IntegerField"):
                cursor.execute(
                    "SELECT setval(name, %s) FROM pg_get_serial_sequence(%s, %s) AS name"
                    " WHERE name LIKE current_schema() || '.%%'",
                    [first, model._meta.db_table, key.column],
                )


@pytest.fixture
def worlds(acme: Home, globex: Home) -> tuple[World, World]:
    """Ours and theirs."""
    ours = furnish("of-acme", acme)
    with tenant_context(globex.tenant):
        start_numbers_at(FAR)
        theirs = furnish("of-globex", globex)
    return ours, theirs


def methods(view: Any) -> list[str]:
    """What a view serves: an API view says so; of a console view, GET and POST are tried."""
    declared = needs(view)
    return sorted(declared) if isinstance(declared, dict) else ["GET", "POST"]


def requests() -> Iterator[tuple[str, str, str]]:
    """(method, route, type of workload) of every route that is not public."""
    for route, view in ROUTES:
        declared = needs(view)
        if PUBLIC in (declared.values() if isinstance(declared, dict) else [declared]):
            continue
        kind = getattr(view, "initkwargs", getattr(view, "view_initkwargs", {})).get("workload_type", KINDS[0])
        for method in methods(view):
            yield (
                method,
                route.replace("^", "").replace("$", "").replace(SCOPE_KINDS, "<kind>").replace(PROVIDER_KINDS, "oidc"),
                kind,
            )


PROVIDER_KINDS = "(?P<kind>oidc|saml)"
SCOPE_KINDS = "(?P<kind>cluster|department|project)"
ALL = sorted(set(requests()))
SAME_FOR_ALL = ("<kind>", "<str:key>")
"""Parameters that name no object of a tenant."""
WITH_IDS = [item for item in ALL if "<" in item[1] and not any(part in item[1] for part in SAME_FOR_ALL)]
WITHOUT_IDS = [item for item in ALL if item not in WITH_IDS]


def ask(clients: dict[str, Client], method: str, path: str, body: Any = None) -> HttpResponse:
    """Through the API's client or the browser's, as the path wants."""
    if path.startswith(REST):
        client = clients["api"]
        return client.generic(method, path, json.dumps(body or BODY), content_type="application/json")
    return clients["browser"].generic(method, path, "", content_type="application/x-www-form-urlencoded")


def clients_of(home: Home) -> dict[str, Client]:
    return {"api": home.api("alice@example.test"), "browser": home.browser()}


def test_the_walk_knows_every_parameter(worlds: tuple[World, World]) -> None:
    """All routes can be filled in, and lead to the view they were taken from."""
    ours, _ = worlds
    assert len(WITH_IDS) > 60
    for _, route, kind in ALL:
        resolve(ours.path(route, kind).partition("?")[0], urlconf="runai_cp.urls")


def test_the_others_objects_are_not_found(acme: Home, globex: Home, worlds: tuple[World, World]) -> None:
    """Never 200 with them, never 403 that would say they are there; and no method of any route changed them."""
    _, theirs = worlds
    with tenant_context(globex.tenant):
        before = picture()
    clients, found = clients_of(acme), []
    for method, route, kind in WITH_IDS:
        path = theirs.path(route, kind)
        answer = ask(clients, method, path)
        leaks = [secret for secret in leaked(answer, theirs) if secret not in path]
        told = answer.headers.get("Location", "") == "/account/"  # where a toast says that there is no such thing
        if (answer.status_code not in (404, 405) and not told) or leaks:
            found.append((method, path, answer.status_code, leaks))
    assert found == [], "\n".join(map(str, found))
    with tenant_context(globex.tenant):
        assert picture() == before


def picture() -> dict[str, Any]:
    return {
        "workloads": sorted(Workload.objects.values_list("pk", "desired_phase", "deleted_at", "updated_at")),
        "users": sorted(User.objects.values_list("pk", "password", "is_active")),
        "applications": sorted(Application.objects.values_list("pk", "secret_hash")),
        "rules": sorted(AccessRule.objects.values_list("pk", flat=True)),
        "audit": AuditEntry.objects.count(),
    }


def test_the_same_routes_find_ones_own(acme: Home, worlds: tuple[World, World]) -> None:
    """The control: with one's own ids every GET of the walk finds its object, so the ids above are good ones."""
    ours, _ = worlds
    clients, found = clients_of(acme), []
    for method, route, kind in WITH_IDS:
        if method == "GET":
            path = ours.path(route, kind)
            answer = ask(clients, method, path)
            if answer.status_code not in (200, 405) and not route.endswith(NO_SUCH_STREAM):
                found.append((path, answer.status_code))
    assert found == []


def test_lists_and_pages_show_nothing_of_the_other(acme: Home, worlds: tuple[World, World]) -> None:
    ours, theirs = worlds
    clients, found, seen = clients_of(acme), [], set()
    for method, route, kind in WITHOUT_IDS:
        if method != "GET":
            continue
        path = ours.path(route, kind)
        answer = ask(clients, method, path)
        seen |= set(leaked(answer, ours))
        if leaked(answer, theirs) or answer.status_code >= 500:
            found.append((path, answer.status_code, leaked(answer, theirs)))
    assert found == []
    assert ours.mark in seen, "the lists do not even show one's own"


def leaked(answer: HttpResponse, world: World) -> list[str]:
    text = b"".join(answer) if answer.streaming else answer.content
    return [secret for secret in world.secrets if secret.encode() in text]


FILTERS = [
    "/api/v1/workloads?filterBy=projectId=={project_id}",
    "/api/v1/workloads?filterBy=clusterId=={cluster_id}",
    "/api/v1/workloads/pods?filterBy=workloadId=={training}",
    "/api/v1/org-unit/projects?filterBy=clusterId=={cluster_id}",
    "/api/v1/node-pools?filterBy=clusterId=={cluster_id}",
    "/workloads/?scope=project:{project_id}",
    "/workloads/?q={training}",
    "/palette/?q=of-globex",
    "/projects/?scope=cluster:{cluster_id}",
    "/workloads/new/?project={project_id}",
    "/workloads/new/?clone={training}",
]


def test_a_filter_does_not_reach_the_other(acme: Home, worlds: tuple[World, World]) -> None:
    _, theirs = worlds
    clients, found = clients_of(acme), []
    for template in FILTERS:
        path = template.format(**theirs.ids)
        answer = ask(clients, "GET", path)
        leaks = [secret for secret in leaked(answer, theirs) if secret not in path]
        if answer.status_code >= 500 or leaks:
            found.append((path, answer.status_code, leaks))
    assert found == []


ON_MANY = {
    "/workloads/bulk/": "training", "/projects/bulk": "project_id", "/departments/bulk": "department_id",
    "/clusters/bulk": "cluster_id", "/node-pools/bulk": "pool_id", "/topologies/bulk": "topology_id",
}  # fmt: skip


@pytest.mark.parametrize("path", ON_MANY)
def test_an_act_on_many_finds_none_of_the_other(acme: Home, worlds: tuple[World, World], path: str) -> None:
    """``worlds`` is ours, then theirs: the first is the control."""
    forms = [{"verb": "delete", "ids": str(world.ids[ON_MANY[path]])} for world in worlds]
    answers = [acme.browser().post(path, form).content.decode() for form in forms]
    assert ["Nothing was selected" in answer for answer in answers] == [False, True]


BODIES = [
    ("/api/v1/workloads/trainings", {"name": "x", "projectId": "{project_id}", "clusterId": "{cluster_id}",
                                     "spec": {"image": "example.local/busybox:1"}}),
    ("/api/v1/org-unit/departments", {"name": "x", "clusterId": "{cluster_id}"}),
    ("/api/v1/org-unit/projects", {"name": "x", "clusterId": "{cluster_id}", "parentId": "{department_id}"}),
    ("/api/v1/authorization/access-rules", {"subjectId": "{user_id}", "subjectType": "user", "roleName": "viewer",
                                            "scopeType": "project", "scopeId": "{project_id}"}),
    ("/api/v1/workloads/batch", {"verb": "delete", "action": "delete", "ids": ["{training}"]}),
]  # fmt: skip


def test_a_body_that_names_the_others_objects_does_nothing(
    acme: Home, globex: Home, worlds: tuple[World, World]
) -> None:
    _, theirs = worlds
    with tenant_context(globex.tenant):
        before = picture()
    clients, found = clients_of(acme), []
    for path, body in BODIES:
        text = json.dumps(body)
        for name, value in theirs.ids.items():
            text = text.replace(f"{{{name}}}", str(value))
        answer = ask(clients, "POST", path, json.loads(text))
        said = answer.content.decode()
        if not (answer.status_code in (400, 404) or '"code":404' in said) or theirs.mark in said:
            found.append((path, answer.status_code, said[:300]))
    assert found == []
    with tenant_context(globex.tenant):
        assert picture() == before


def test_a_token_of_the_other_is_refused_on_every_route(acme: Home, globex: Home, worlds: tuple[World, World]) -> None:
    ours, _ = worlds
    token = globex.api("alice@example.test").defaults["HTTP_AUTHORIZATION"]
    clients = {"api": acme.client(headers={"authorization": token}), "browser": acme.client()}
    answers = {
        (method, route): ask(clients, method, ours.path(route, kind)).status_code
        for method, route, kind in ALL
        if f"/{route}".startswith(REST)
    }
    assert {key: status for key, status in answers.items() if status not in REFUSED} == {}


def test_a_session_of_the_other_is_refused_on_every_page(acme: Home, globex: Home, worlds: tuple[World, World]) -> None:
    ours, _ = worlds
    browser = acme.client()
    browser.cookies.update(globex.browser().cookies)
    clients = {"api": acme.client(), "browser": browser}
    answers = {}
    for method, route, kind in ALL:
        if not f"/{route}".startswith(REST):
            answer = ask(clients, method, ours.path(route, kind))
            answers[method, route] = (answer.status_code, answer.headers.get("Location", "")[:7])
    assert {key: seen for key, seen in answers.items() if seen != (302, "/login/")} == {}
