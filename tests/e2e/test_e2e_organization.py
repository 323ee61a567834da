"""From a department to a quota that comes true, in a real browser on the local cluster.

An administrator makes a node pool and a department and delegates it; its administrator works inside it and sees nothing
else; a quota is changed in the grid, its effect read, saved, and seen in the cluster.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agent.wire.labels import NODE_POOL
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.e2e.doors import IMAGE, eventually, rest_words
from tests.e2e.looks import WIDE, look
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(600)]
PASSWORD, OWN_PASSWORD = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
DELEGATE = "lena@lab.example"
SAVES = """([values, unit, pool]) => {
  const grid = document.querySelector('#quota-grid').dataset;
  const row = document.querySelector(`tr[data-unit=${unit}]`).dataset;
  const headers = {
    'Content-Type': 'application/json', 'X-CSRFToken': document.querySelector('meta[name=csrf-token]').content,
  };
  return Promise.all(values.map(async (value) => {
    const cells = [{ pool, sheet: 'gpu.deserved', value, was: '' }];
    const units = [{ unit, version: Number(row.version), cells }];
    const body = JSON.stringify({ cluster: grid.cluster, units });
    return (await fetch(grid.save, { method: 'POST', headers, body })).status;
  }));
}"""
"""As many administrators save one cell of one version of the grid at once: the status of each."""
TAINT = "kwok.x-k8s.io/node"
"""Of simulated nodes."""


@dataclass
class Journey:
    """What one test leaves for the next: they are the chapters of one story."""

    stack: RunningStack
    browser: Browser
    suffix: str
    node: str
    gpus: int
    ids: dict[str, str] = field(default_factory=dict)
    password: str = PASSWORD
    """Of the delegate."""

    @property
    def pool(self) -> str:
        return f"lab-{self.suffix}"

    def sign_in(self, email: str, password: str) -> Page:
        page = self.browser.new_page(base_url=self.stack.facts["tenants"][0]["api"], viewport=WIDE)  # type: ignore[arg-type]
        page.set_default_timeout(20_000)
        page.goto("/login/")
        page.fill("input[name=email]", email)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: not url.endswith("/login/"))
        if "/login/password/" in page.url:  # the first password was told by somebody else
            page.fill("input[name=new]", OWN_PASSWORD)
            page.fill("input[name=again]", OWN_PASSWORD)
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "/login/" not in url)
            self.password = OWN_PASSWORD
        return page

    def administrator(self) -> Page:
        person = self.stack.facts["tenants"][0]["admin"]
        return self.sign_in(person["email"], person["password"])

    def delegate(self) -> Page:
        return self.sign_in(f"{self.suffix}.{DELEGATE}", self.password)


def _free_nodes(stack: RunningStack, cluster: str) -> list[dict[str, Any]]:
    """Simulated nodes of the cluster on which no GPU is taken; other tests' work may still be leaving."""
    with stack.rest() as rest:
        nodes = rest.get("/nodes", limit=500)["nodes"]
    return [row for row in nodes if row["simulated"] and row["clusterUuid"] == cluster and not row["gpuAllocated"]]


@pytest.fixture(scope="module")
def journey(stack: RunningStack) -> Iterator[Journey]:
    cluster = stack.facts["clusters"][0]["uuid"]
    node = eventually(lambda: _free_nodes(stack, cluster), 60, "a simulated node without work")[-1]
    suffix = secrets.token_hex(2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = Journey(stack, browser, suffix, node["name"], node["gpuInfo"]["gpuCount"])
        stack.kubectl("label", "node", made.node, f"lab={suffix}", f"{NODE_POOL}-")
        eventually(lambda: _pool_of(stack, cluster, made.node) == "default", 30, f"{made.node} is in no other pool")
        stack.kubectl("taint", "node", made.node, f"{TAINT}-")  # the pool is the journey's own
        yield made
        stack.kubectl("taint", "node", made.node, f"{TAINT}=fake:NoSchedule", "--overwrite")
        stack.kubectl("label", "node", made.node, "lab-", f"{NODE_POOL}={node['nodePool']}", "--overwrite")
        browser.close()


def _pool_of(stack: RunningStack, cluster: str, name: str) -> str:
    with stack.rest() as rest:
        nodes = rest.get("/nodes", limit=500)["nodes"]
    return next(str(row["nodePool"]) for row in nodes if row["name"] == name and row["clusterUuid"] == cluster)


def submit(page: Page, name: str, project: str, pool: str, gpus: int) -> str:
    """Through the form; returns the workload's id."""
    page.goto("/workloads/new/")
    page.evaluate("document.querySelectorAll('details').forEach((el) => { el.open = true })")
    page.select_option("[name=project]", label=project)
    page.select_option("[name=pool]", pool)
    values = {"name": name, "image": IMAGE, "command": "sleep 3600", "gpus": str(gpus), "cpu": "0.1", "memory": "32Mi"}
    for what, value in values.items():
        page.fill(f"[name={what}]", value)
    page.get_by_role("button", name="Submit workload").click()
    page.wait_for_url(re.compile(r"/workloads/[0-9a-f-]{36}/"))
    return page.url.rstrip("/").rpartition("/")[2]


def phase(journey: Journey, *names: str) -> list[str]:
    return [rest_words(journey.stack, journey.ids[name])[0] for name in names]


def wait(journey: Journey, name: str, wanted: str, seconds: float = 60) -> None:
    eventually(lambda: phase(journey, name) == [wanted], seconds, f"{name} is {wanted}")


def test_an_administrator_makes_a_node_pool_whose_node_moves_in(journey):
    page = journey.administrator()
    page.goto("/node-pools/new/")
    page.fill("[name=name]", journey.pool)
    page.fill("[name=label_key]", "lab")
    page.fill("[name=label_value]", journey.suffix)
    look(page, "new node pool")
    page.get_by_role("button", name="Create node pool").click()
    row = page.locator("tr", has_text=journey.pool)
    expect(row).to_contain_text("Ready", timeout=30_000)
    expect(row).to_contain_text("1 / 1", timeout=30_000)
    look(page, "node pools")
    page.context.close()


def test_and_delegates_a_department(journey):
    page = journey.administrator()
    page.goto("/departments/new/")
    name = f"lab-{journey.suffix}"
    page.fill("[name=name]", name)
    page.get_by_label(f"Quota in {journey.pool}").fill(str(journey.gpus))
    look(page, "new department")
    page.get_by_role("button", name="Create department").click()
    expect(page.locator("h1")).to_have_text(name)
    journey.ids[name] = page.url.rstrip("/").rpartition("/")[2]
    look(page, "department")
    page.goto("/access/users/new/")
    page.fill("[name=email]", f"{journey.suffix}.{DELEGATE}")
    page.fill("[name=password]", PASSWORD)
    page.select_option("[name=role]", "administrator")
    page.select_option("[name=scope]", label=f"department {name}")
    look(page, "new user")
    page.get_by_role("button", name="Create user").click()
    expect(page.locator("#main")).to_contain_text(f"{journey.suffix}.{DELEGATE}")
    look(page, "users")
    page.context.close()


def test_who_was_delegated_to_works_inside_and_sees_nothing_else(journey):
    page = journey.delegate()
    for project in (f"one-{journey.suffix}", f"two-{journey.suffix}"):
        page.goto("/projects/new/")
        page.fill("[name=name]", project)
        page.get_by_role("button", name="Create project").click()
        expect(page.locator("h1")).to_contain_text(project)
        look(page, "project of a delegate")
    page.goto("/projects/")
    expect(page.locator("tbody tr")).to_have_count(2)
    look(page, "projects of a delegate")
    page.goto("/projects/quotas/")
    expect(page.locator("tr[data-edit]")).to_have_count(3)
    look(page, "quota grid of a delegate")
    assert page.locator("tr[data-unit]:not([data-edit])").count() == 0
    assert page.request.get("/access/roles/").ok
    assert page.request.get("/clusters/new/").status == 403
    for number in range(journey.gpus):
        name = f"a{number}-{journey.suffix}"
        journey.ids[name] = submit(page, name, f"one-{journey.suffix}", journey.pool, 1)
    for number in range(journey.gpus):
        wait(journey, f"a{number}-{journey.suffix}", "Running", 90)
    page.context.close()


def test_the_preview_of_a_quota_comes_true(journey):
    """Two projects without quota share the pool evenly: who asks for three quarters waits until it is promised them."""
    page, waiting = journey.delegate(), f"b-{journey.suffix}"
    most = journey.gpus * 3 // 4
    journey.ids[waiting] = submit(page, waiting, f"two-{journey.suffix}", journey.pool, most)
    wait(journey, waiting, "Pending")
    page.goto("/projects/quotas/")
    columns = page.locator("thead [data-pool]").evaluate_all("all => all.map(th => th.dataset.name)")
    row = page.locator(f"tr[data-name=two-{journey.suffix}] td")
    row.nth(columns.index(journey.pool)).click()
    page.keyboard.type(str(most))
    page.keyboard.press("Enter")
    look(page, "quota grid with a change")
    page.get_by_role("button", name="Review and save").click()
    effect = page.locator("#review-effect")
    expect(effect).to_contain_text(f"{most} workloads make room")
    expect(effect).to_contain_text("1 workload starts")
    look(page, "preview of a quota")
    before = time.monotonic()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".toasts")).to_contain_text("1 change was saved")
    wait(journey, waiting, "Running", 90)
    print(f"running {time.monotonic() - before:.1f} s after the save")
    others = [f"a{number}-{journey.suffix}" for number in range(journey.gpus)]
    eventually(
        lambda: phase(journey, *others).count("Running") == journey.gpus - most, 60, f"{most} of theirs made room"
    )
    page.goto("/projects/")
    look(page, "projects after their quota changed hands")
    page.context.close()


def test_of_many_who_save_one_grid_at_once_one_is_first(journey):
    page = journey.delegate()
    for _ in range(3):
        page.goto("/projects/quotas/")
        pool = int(page.locator(f"thead [data-name={journey.pool}]").get_attribute("data-pool") or 0)
        unit = page.locator(f"tr[data-name=one-{journey.suffix}]").get_attribute("data-unit")
        assert sorted(page.evaluate(SAVES, [["0.1", "0.2", "0.3", "0.4"], unit, pool])) == [200, 412, 412, 412]
    page.context.close()


def test_what_was_made_can_be_taken_away_again(journey):
    """Projects with their workloads, then the pool, whose node goes back to the pool default, then the department."""
    page, department = journey.administrator(), f"lab-{journey.suffix}"
    projects = (f"one-{journey.suffix}", f"two-{journey.suffix}")
    for project in projects:
        page.goto("/projects/?q=" + project)
        page.get_by_role("link", name=project).first.click()
        page.get_by_role("link", name="Delete").click()
        page.fill("[name=typed]", project)
        look(page, "deletion of a project")
        page.get_by_role("button", name="Delete project").click()
    page.goto("/node-pools/?q=" + journey.pool)
    page.get_by_role("link", name=f"Edit {journey.pool}").click()
    page.get_by_role("button", name="Delete").first.click()
    page.fill("[name=typed]", journey.pool)
    look(page, "deletion of a node pool")
    page.get_by_role("button", name="Delete node pool").click()
    expect(page.locator(".toasts")).to_contain_text("is being deleted")
    eventually(lambda: journey.pool not in page.request.get("/node-pools/").text(), 120, "the pool is gone")
    with journey.stack.rest() as rest:
        left = f"departmentId=={journey.ids[department]}"
        eventually(lambda: not rest.get("/org-unit/projects", filterBy=left)["projects"], 60, "the projects are gone")
    page.goto("/departments/?q=" + department)
    page.get_by_role("link", name=department).first.click()
    page.get_by_role("button", name="Delete").first.click()
    page.fill("[name=typed]", department)
    look(page, "deletion of a department")
    page.get_by_role("button", name="Delete department").click()
    expect(page.locator(".toasts")).to_contain_text(f"{department} was deleted")
    page.context.close()
