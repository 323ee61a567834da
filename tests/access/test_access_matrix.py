"""The permission matrix: every route and method × {nobody, a stranger of the other tenant, wrong role, right role}.

The needs are taken from the routes themselves, so a new route is in the matrix the day it is added. A wrong role holds
everything but what the route needs; the right one holds exactly that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client, override_settings

from access.grants import Actor, Grant
from access.guard import needs
from access.models import User
from access.roles import ALL, Action
from tests.architecture.test_routes_are_guarded import PUBLIC_ROUTES, ROUTES, sample

pytestmark = pytest.mark.services
REST = ("api/", "v1/")
LOGIN = "/login/"


def matrix() -> Iterator[tuple[str, str, Any]]:
    for route, view in ROUTES:
        declared = needs(view)
        if route in PUBLIC_ROUTES:
            continue
        for method, need in (declared if isinstance(declared, dict) else {"GET": declared, "POST": declared}).items():
            yield method, route, need


ALL_ROUTES = sorted(set(matrix()), key=str)


def ask(client: Client, method: str, route: str) -> Any:
    """One request that leaves nothing behind, with a body that says nothing."""
    media = "application/json" if route.startswith(REST) else "application/x-www-form-urlencoded"
    with transaction.atomic():
        answer = client.generic(method, sample(route), json.dumps({}) if "json" in media else "", content_type=media)
        transaction.set_rollback(True)
    return answer


@pytest.fixture
def bob(acme, monkeypatch):
    """``bob(actions)`` → (API client, browser) of a person who holds exactly these actions on the whole tenant."""
    held: dict[str, Any] = {"actions": frozenset()}
    user = User.objects.get(email="bob@example.test")

    def actor(_: Any) -> Actor:
        return Actor("user", str(user.pk), user.email, (Grant("test", held["actions"], "/"),))

    for module in ("access.guard.user_actor", "access.auth.bearer.user_actor"):
        monkeypatch.setattr(module, actor)
    clients = acme.api(user.email), acme.browser(user.email)

    def become(actions: frozenset[Action]) -> tuple[Client, Client]:
        held["actions"] = actions
        return clients

    return become


def through(clients: tuple[Client, Client], route: str) -> Client:
    return clients[0] if route.startswith(REST) else clients[1]


def test_the_matrix_covers_every_route():
    assert {route for _, route, _ in ALL_ROUTES} | PUBLIC_ROUTES == {route for route, _ in ROUTES}
    assert len(ALL_ROUTES) > 150


def test_nobody_is_turned_away_everywhere(acme):
    client = acme.client()
    found = {
        (method, route): answer.status_code
        for method, route, _ in ALL_ROUTES
        if (answer := ask(client, method, route)).status_code != 401
        and not (answer.status_code == 302 and answer["Location"].startswith(LOGIN))
        and answer.status_code != 405
    }
    assert found == {}


@override_settings(API_RATES={"read": 10**6, "write": 10**6, "token": 10**6})
def test_a_stranger_of_the_other_tenant_is_nobody_here(acme, globex):
    token = globex.api("alice@example.test").defaults["HTTP_AUTHORIZATION"]
    browser = acme.client()
    browser.cookies.update(globex.browser().cookies)
    clients = acme.client(headers={"authorization": token}), browser
    found = {}
    for method, route, _ in ALL_ROUTES:
        answer = ask(through(clients, route), method, route)
        if answer.status_code not in (401, 405) and not answer.headers.get("Location", "").startswith(LOGIN):
            found[method, route] = answer.status_code
    assert found == {}


@override_settings(API_RATES={"read": 10**6, "write": 10**6, "token": 10**6})
def test_a_wrong_role_is_refused_everywhere(bob):
    """Everything but the one action is held: only that one can be what refuses."""
    found = {}
    for method, route, need in ALL_ROUTES:
        if isinstance(need, Action):
            answer = ask(through(bob(ALL - {need}), route), method, route)
            if answer.status_code not in (403, 405):
                found[method, route] = answer.status_code
    assert found == {}


@override_settings(API_RATES={"read": 10**6, "write": 10**6, "token": 10**6})
def test_the_right_role_gets_past_the_guard_everywhere(bob):
    """With an id of nothing and an empty body the answer is whatever the view says, but no refusal and no 500."""
    found = {}
    for method, route, need in ALL_ROUTES:
        cache.clear()
        held = frozenset({need}) if isinstance(need, Action) else frozenset()
        answer = ask(through(bob(held), route), method, route)
        if answer.status_code in (401, 403) or answer.status_code >= 500:
            found[method, route] = (answer.status_code, answer.content[:200])
    assert found == {}
