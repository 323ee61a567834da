"""A console with a lived-in tenant on a real port, and Chromium to look at it.

The tenant is committed once a session, beside the two of ``tests/conftest.py``; the server is the real WSGI application
in a thread. Playwright's loop lives no longer than a module, so that asynchronous tests elsewhere keep theirs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import make_server

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django_tenants.utils import tenant_context
from playwright.sync_api import Browser, Page, sync_playwright

from access.services.bootstrap import system_actor
from access.services.rules import create_rule
from access.services.scopes import root_scope
from access.services.users import create_user
from runai_cp.celery import app as celery_app
from runai_cp.platform.provision import provision_tenant
from tenants.models import Tenant
from tests.conftest import PASSWORD
from tests.factories.scene import Scene, build_scene, measure
from workloads.models import Workload

CHROMIUM = os.environ.get("RUNAI_TEST_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PEOPLE = {"ops@example.test": "administrator", "dana@example.test": "researcher", "vera@example.test": "viewer"}


@dataclass
class Site:
    """The running console: its address, its tenant and what is in it."""

    url: str
    tenant: Tenant
    scene: Scene

    def workload(self, name: str) -> str:
        return f"/workloads/{self.scene.workloads[name].pk}/"

    def rows(self, act: Callable[[], Any]) -> Any:
        """Run ``act`` in the tenant on a connection of its own, committed: as a cluster's report would arrive."""

        def run() -> Any:
            try:
                with tenant_context(self.tenant):
                    return act()
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(run).result()

    def report(self, name: str, **columns: object) -> None:
        """The workload of that name as the cluster now says it is."""
        self.rows(lambda: Workload.objects.filter(name=name).update(**columns))


@dataclass
class Tab:
    """One signed-in page, and everything the browser complained about."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)
    refusals: set[int] = field(default_factory=set)
    """Statuses that this test provokes: the browser logs each, and that is no complaint."""

    def heard(self, text: str) -> None:
        if not any(f"status of {status}" in text for status in self.refusals):
            self.complaints.append(text)

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture(scope="session")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"no browser at {CHROMIUM}; name one in RUNAI_TEST_CHROMIUM")
    celery_app.set_current()
    with django_db_blocker.unblock():
        made = provision_tenant(name="console", domains=("127.0.0.1",), admin_email="admin@example.test")
        with tenant_context(made.tenant):
            scene = build_scene(workloads=120)
            measure(scene)
            for email, role in PEOPLE.items():
                user = create_user(actor=system_actor(), email=email, password=PASSWORD)
                create_rule(
                    actor=system_actor(), subject_kind="user", subject_id=user.pk, role=role, scope=root_scope()
                )
        server = make_server("127.0.0.1", 0, get_wsgi_application(), ThreadedWSGIServer, _Quiet)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{server.server_address[1]}", made.tenant, scene)
        server.shutdown()
        server.server_close()
        _end_connections()


def _end_connections() -> None:
    """Threads of kept-alive requests still hold theirs; the test database could not be dropped under them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    allowed = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the ORM is called beside Playwright's loop, never inside it
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    if allowed is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def tab(browser: Browser, site: Site) -> Iterator[Tab]:
    """The administrator at 1366 × 900, light. The test fails if the browser complained."""
    yield from signed_in(browser, site)


def signed_in(browser: Browser, site: Site, email: str = "ops@example.test", **context: Any) -> Iterator[Tab]:
    context = {"viewport": {"width": 1366, "height": 900}, "color_scheme": "light"} | context
    opened = browser.new_context(base_url=site.url, **context)
    tab = Tab(opened.new_page(), site)
    tab.page.on("console", lambda m: tab.heard(m.text) if m.type in ("error", "warning") else None)
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    sign_in(tab.page, site, email)
    yield tab
    opened.close()
    assert tab.complaints == []


def sign_in(page: Page, site: Site, email: str = "ops@example.test") -> None:
    page.goto(site.url + "/login/")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/login/" not in url)
