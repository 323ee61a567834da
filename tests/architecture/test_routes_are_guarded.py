"""Every route of a tenant's host declares what it needs, and is refused to nobody and to somebody without a role."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from access.guard import PUBLIC, SIGNED_IN, needs
from access.roles import Action

pytestmark = pytest.mark.services
SAMPLES = {
    "uuid": "0199a000-0000-7000-8000-000000000000",
    "int": "999999",
    "str": "none",
    "slug": "none",
    "path": "none",
}
PUBLIC_ROUTES = {
    "healthz", "login/", "login/code/", "login/password/", "login/enrol/", "login/passkey/",
    "login/passkey/options", "api/v1/token", "api/v2/token",
    "api/v2/token/revoke", "api/v2/device",
    "v1/k8s/auth/oauth/apptoken",
    *(f"^sso/(?P<alias>[a-z0-9_-]+)/{step}$" for step in ("start", "callback", "complete", "metadata")),
    "^brand/logo/(?P<digest>[0-9a-f]{32})$", "^brand/(?P<colour>[0-9a-f]{6})\\.css$",
}  # fmt: skip
"""All routes that need nobody signed in. Adding one is a decision, made here."""


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for item in patterns if patterns is not None else get_resolver("runai_cp.urls").url_patterns:
        if isinstance(item, URLResolver):
            yield from routes(item.url_patterns, prefix + str(item.pattern))
        elif isinstance(item, URLPattern):
            yield prefix + str(item.pattern), item.callback


def sample(route: str) -> str:
    """``v1/users/<uuid:user_id>`` → a path with an id of nothing; of ``(?P<kind>a|b)`` the first choice."""
    route = re.sub(r"\(\?P<\w+>([\w-]+)[^)]*\)", r"\1", route).strip("^$")
    parts = []
    for part in route.split("<"):
        kind, closed, rest = part.partition(">")
        parts.append(SAMPLES[kind.partition(":")[0]] + rest if closed else part)
    return "/" + "".join(parts)


ROUTES = sorted(dict(routes()).items())


@pytest.mark.parametrize(("route", "view"), ROUTES, ids=[route or "home" for route, _ in ROUTES])
def test_it_declares_its_need(route, view):
    declared = needs(view)
    values = set(declared.values()) if isinstance(declared, dict) else {declared}
    assert values
    assert all(value in (PUBLIC, SIGNED_IN) or isinstance(value, Action) for value in values), declared


def test_public_routes_are_the_short_list():
    public = {
        route
        for route, view in ROUTES
        if PUBLIC in (declared.values() if isinstance(declared := needs(view), dict) else [declared])
    }
    assert public == PUBLIC_ROUTES


@pytest.mark.parametrize("route", [route for route, _ in ROUTES if route not in PUBLIC_ROUTES])
def test_nobody_is_sent_away(acme, route):
    answer = acme.client().get(sample(route))
    assert answer.status_code in (302, 401, 405), answer.status_code
    if answer.status_code == 302:
        assert answer["Location"].startswith("/login/")


@pytest.mark.parametrize(
    "route",
    [route for route, view in ROUTES if route.startswith("api/") and isinstance(needs(view).get("GET"), Action)],
)
def test_somebody_without_a_role_is_refused(acme, charlies_token, route):
    assert acme.client(headers=charlies_token).get(sample(route)).status_code == 403


@pytest.fixture
def charlies_token(acme) -> dict[str, str]:
    client = acme.api("charlie@example.test")
    return {"authorization": client.defaults["HTTP_AUTHORIZATION"]}
