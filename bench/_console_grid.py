"""The quota grid of 300 projects x 12 node pools in a real browser: first paint, and from a key to the new sums.

Chromium at RUNAI_TEST_CHROMIUM or /usr/bin/chromium; it, the server and PostgreSQL share this machine. Times are the
browser's own clock: from the start of the navigation, and from the key's event, to the frame after the change.
"""

import os
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.servers.basehttp import ThreadedWSGIServer
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django_tenants.utils import tenant_context
from playwright.sync_api import Page, sync_playwright

from access.services.bootstrap import system_actor
from access.services.rules import create_rule
from access.services.scopes import root_scope
from access.services.users import create_user
from bench._in_process import show
from bench._organization_world import DEPARTMENTS, HOST, POOLS, PROJECTS, World, build
from runai_cp.lib.garbage import settle

CHROMIUM = os.environ.get("RUNAI_TEST_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
EMAIL, PASSWORD = "grid@example.test", "correct horse battery"
GRID = "/projects/quotas/"
WORKLOADS = 8_000
VISITS, EDITS = 12, 30
MOST_CHANGES = 12
"""A review of one project's cells in all pools."""

FRAMES = """() => {
  window.frameAfter = (then) => requestAnimationFrame((at) => {
    const after = new MessageChannel();
    after.port1.onmessage = () => then(performance.now());
    after.port2.postMessage(0);
  });
  new MutationObserver((_, watch) => {
    if (document.querySelectorAll('#grid tbody tr').length < 20) return;
    watch.disconnect();
    frameAfter((at) => { window.rowsAt = at; });
  }).observe(document, { childList: true, subtree: true });
  window.edits = [];
  addEventListener('keydown', (event) => {
    if (event.key === 'Enter') frameAfter((at) => edits.push(at - event.timeStamp));
  }, true);
}"""
PAINTED = """() => {
  const visit = performance.getEntriesByType('navigation')[0];
  const server = visit.serverTiming.find((item) => item.name === 'total');
  return {
    paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
    rows: window.rowsAt ?? 0, server: server.duration, bytes: visit.encodedBodySize,
  };
}"""


def measure(options: Any) -> None:
    world = build(WORKLOADS)
    settle()  # as the web process does
    with tenant_context(world.tenant):
        user = create_user(actor=system_actor(), email=EMAIL, password=PASSWORD)
        create_rule(
            actor=system_actor(), subject_kind="user", subject_id=user.pk, role="administrator", scope=root_scope()
        )
    with _served(world) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1366, "height": 900}, base_url=url).new_page()
        page.add_init_script(f"({FRAMES})()")
        _sign_in(page)
        _paints(page)
        _edits(page)
        _review(page)
        browser.close()


def _paints(page: Page) -> None:
    """The first two visits are not counted: they compile templates and open connections."""
    found = []
    for _ in range(VISITS + 2):
        page.goto("about:blank")
        page.goto(GRID)
        page.wait_for_function("window.rowsAt > 0")
        page.wait_for_timeout(100)
        found.append(page.evaluate(PAINTED))
    kept = found[2:]
    show(
        "quota grid, first paint",
        projects=PROJECTS,
        departments=DEPARTMENTS,
        node_pools=POOLS,
        **_spread([max(visit["paint"], visit["rows"]) for visit in kept]),
        server_ms=round(statistics.median(visit["server"] for visit in kept), 1),
        kib=round(kept[-1]["bytes"] / 1024, 1),
        target_ms=800,
    )


def _edits(page: Page) -> None:
    page.locator("#grid tbody tr[data-dept] td").nth(2).click()
    for number in range(EDITS):
        page.keyboard.type(str(3 + number % 5))
        page.keyboard.press("Enter")
        page.wait_for_function("count => edits.length > count", arg=number)
    show("quota grid, cell edit to new sums", **_spread(page.evaluate("edits")), target_ms=100)
    page.locator("[data-grid=discard]").click()


def _review(page: Page) -> None:
    """From the press of the button to the effect in words: cells of all pools."""
    row = page.locator("#grid tbody tr[data-dept]").first
    row.locator("td").first.click()
    for _ in range(MOST_CHANGES):
        page.keyboard.type("400")
        page.keyboard.press("Tab")
    took = []
    for _ in range(5):
        started = page.evaluate("performance.now()")
        page.locator("#review-open").click()
        page.wait_for_selector("#review-save[aria-disabled=false]")
        took.append(page.evaluate("performance.now()") - started)
        page.locator("#review [data-act=close]").first.click()
    show("quota grid, review in all pools", workloads=WORKLOADS, **_spread(took), target_ms=2000)


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 1),
    }


def _sign_in(page: Page) -> None:
    page.goto("/login/")
    page.fill("input[name=email]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/login/" not in url)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        return None


@contextmanager
def _served(world: World) -> Iterator[str]:
    """The tenant's console on a port of this machine, as an address. Its threads' connections end with it."""
    server = make_server("127.0.0.1", 0, get_wsgi_application(), ThreadedWSGIServer, _Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            )
