"""Two tenants with equal names of everything, and the people in them. Alice owns, Bob helps, Charlie sees nothing; Dora
is the other tenant's Alice.

Every database test runs inside a transaction that is rolled back; the schemas are made once a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django_tenants.utils import tenant_context

from access.actors import user_actor
from access.grants import Actor
from access.models import Scope, User
from access.services.bootstrap import system_actor
from access.services.rules import create_rule
from access.services.scopes import root_scope
from access.services.users import create_user
from runai_cp.platform.provision import provision_tenant
from tenants.models import Tenant

pytest_plugins = sorted(f"tests.{path.stem}" for path in Path(__file__).parent.glob("fixtures_*.py"))

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Home:
    """One tenant as tests see it: its row, its host, and ways to act in it."""

    tenant: Tenant
    host: str
    application_id: str
    application_secret: str

    @property
    def schema_name(self) -> str:
        return str(self.tenant.schema_name)

    def client(self, **extra: Any) -> Client:
        """A browser or program that talks to this tenant's host, not signed in."""
        return Client(SERVER_NAME=self.host, **extra)

    def browser(self, email: str = "alice@example.test", password: str = PASSWORD) -> Client:
        """A signed-in console session."""
        client = self.client()
        answer = client.post("/login/", {"email": email, "password": password})
        assert answer.status_code == 302, answer.content[:500]
        return client

    def api(self, email: str | None = None) -> Client:
        """A program with a token: of the first application, or of a person."""
        body = {
            "grantType": "client_credentials",
            "clientID": self.application_id,
            "clientSecret": self.application_secret,
        }
        if email:
            body = {"grantType": "password", "username": email, "password": PASSWORD}
        answer = self.client().post("/api/v1/token", body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        return self.client(headers={"authorization": f"Bearer {answer.json()['accessToken']}"})


_HOMES: dict[str, Home] = {}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: Any) -> None:
    """pytest-django makes its database after this: it needs the server."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """After the empty database: the two tenants, committed once for the whole session."""
    with django_db_blocker.unblock():
        for name in ("acme", "globex"):
            _HOMES[name] = _open(name)
        connection.set_schema_to_public()


def _open(name: str) -> Home:
    host = f"{name}.localhost"
    made = provision_tenant(name=name, domains=(host,), admin_email="admin@example.test")
    with tenant_context(made.tenant):
        for email in ("alice@example.test", "bob@example.test", "charlie@example.test"):
            create_user(actor=system_actor(), email=email, password=PASSWORD)
        grant("alice@example.test", "administrator")
    return Home(made.tenant, host, made.application_id, made.application_secret)


def grant(email: str, role: str, scope: Scope | None = None) -> None:
    """Give a person of the current tenant a role; on the whole tenant unless a scope is given."""
    user = User.objects.get(email=email)
    create_rule(actor=system_actor(), subject_kind="user", subject_id=user.pk, role=role, scope=scope or root_scope())


def person(email: str) -> Actor:
    """The actor of a person of the current tenant, with the grants they hold now."""
    return user_actor(User.objects.get(email=email))


@pytest.fixture
def acme(db: None) -> Iterator[Home]:
    """The first tenant, entered: queries of the test run in its schema."""
    _forget_counters()
    with tenant_context(_HOMES["acme"].tenant):
        yield _HOMES["acme"]


@pytest.fixture
def globex(db: None) -> Home:
    """The other tenant, not entered: use ``tenant_context(globex.tenant)`` or its clients."""
    return _HOMES["globex"]


@pytest.fixture
def alice(acme: Home) -> Actor:
    return person("alice@example.test")


@pytest.fixture
def bob(acme: Home) -> Actor:
    """Signed up, with no role yet: tests grant what they need and ask for ``person(…)`` again."""
    return person("bob@example.test")


def _forget_counters() -> None:
    with tenant_context(_HOMES["acme"].tenant):
        cache.clear()
