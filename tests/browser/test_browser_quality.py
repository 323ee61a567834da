"""Every page in light and dark, wide and narrow: no complaint, no accessibility violation, no sideways scroll."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.conftest import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = """() => {
  const root = document.documentElement
  const out = [...document.querySelectorAll('main *')].filter((el) => el.getBoundingClientRect().right > innerWidth)
  return [root.scrollWidth, innerWidth, out.map((el) => el.outerHTML.slice(0, 90)).slice(0, 6)]
}"""
"""Width of the page, width of the window, and what stands out of it."""
OPEN_ALL = "document.querySelectorAll('details').forEach((el) => { el.open = true })"


def addresses(site) -> list[str]:
    project, cluster = site.scene.projects["vision"], site.scene.cluster
    department = site.scene.departments["research"]
    tabs = [site.workload("clip-train-base") + tab for tab in ("", "pods/", "events/", "metrics/", "yaml/", "history/")]
    return [
        "/", "/home/", "/workloads/", "/workloads/?phase=Failed&q=zzz", "/workloads/new/", *tabs,
        site.workload("vit-large-finetune-0412"), site.workload("resnet-sweep-17") + "logs/",
        "/projects/", "/projects/quotas/", "/projects/quotas/?sheet=rank",
        f"/projects/{project.pk}/", f"/projects/{project.pk}/edit/", f"/projects/{project.pk}/delete/",
        "/projects/new/", "/departments/", f"/departments/{department.pk}/", "/clusters/", "/clusters/new/",
        f"/clusters/{cluster.pk}/", f"/clusters/{site.scene.waiting.pk}/", "/nodes/", "/node-pools/",
        "/node-pools/new/", "/topologies/", "/topologies/new/",
        f"/clusters/{cluster.pk}/edit/", "/access/rules/",
        "/access/rules/new/", "/access/users/", "/access/users/new/", "/access/roles/", "/access/applications/",
        "/audit/", "/account/",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (1366, "light"),
        (390, "dark"),
        pytest.param(1366, "dark", marks=pytest.mark.long),
        pytest.param(390, "light", marks=pytest.mark.long),
    ],
)
def test_every_page_is_clean(browser, site, width, theme):
    """One walk a theme and width; the fixture's end asserts that the browser never complained."""
    viewport = {"width": width, "height": 844}
    wrong: list[str] = []
    for tab in signed_in(browser, site, viewport=viewport, color_scheme=theme):
        for address in addresses(site):
            page = tab.open(address)
            page.evaluate(OPEN_ALL)
            wrong += _sideways(page, address)
            wrong += _axe(page, address)
    assert wrong == []


def _sideways(page, address: str) -> list[str]:
    wide, seen, widest = page.evaluate(WIDTHS)
    return [f"{address}: {wide} px wide in {seen}: {widest}"] if wide > seen else []


def _axe(page, address: str) -> list[str]:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run npm ci")
    page.evaluate(AXE.read_text())
    found = page.evaluate(f"axe.run({{runOnly: {json.dumps(TAGS)}, resultTypes: ['violations']}})")
    return [
        f"{address}: {item['id']} ({item['impact']}) {item['nodes'][0]['target']} {item['nodes'][0]['html'][:120]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
    ]


def test_overlays_are_accessible_too(tab):
    page = tab.open(tab.site.workload("clip-train-base"))
    page.keyboard.press("Control+k")
    wrong = _axe(page, "palette")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete").click()
    wrong += _axe(page, "delete dialog")
    assert wrong == []


def test_the_drawer_opens_at_390_and_escape_closes_it(browser, site):
    for tab in signed_in(browser, site, viewport={"width": 390, "height": 844}):
        page = tab.open("/workloads/")
        assert not page.locator("#side").is_visible()
        page.get_by_role("button", name="Menu", exact=True).click()
        assert page.locator("#side").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#side").is_visible()


def test_the_policy_forbids_inline_code_and_no_page_needs_it(tab):
    page = tab.open("/workloads/")
    policy = page.request.get("/workloads/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert page.locator("[style], [onclick], script:not([src])").count() == 0
