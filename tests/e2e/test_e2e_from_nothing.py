"""From an empty tenant to the first running workload, in a real browser; then a second cluster beside the first.

The tests are the chapters of one story: each goes on where the one before it ended.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from agent.wire import labels
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.e2e.doors import IMAGE, eventually
from tests.e2e.looks import WIDE, look
from tests.e2e.newcomer import FIRST_SLOT, Ground, Newcomer, ground, newcomer
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(600)]
PASSWORD = secrets.token_urlsafe(16)
PROJECT = "team"
"""Of the same name, and in the same namespace, in both clusters."""
NAMESPACE = f"runai-{PROJECT}"
SOON = 60


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Iterator[Newcomer]:
    with newcomer(stack) as made:
        yield made


@pytest.fixture(scope="module")
def north() -> Iterator[Ground]:
    with ground("north") as made:
        yield made


@pytest.fixture(scope="module")
def south() -> Iterator[Ground]:
    with ground("south", FIRST_SLOT + 1) as made:
        yield made


@pytest.fixture(scope="module")
def page(tenant: Newcomer) -> Iterator[Page]:
    """The administrator, signed in with the password that was told once and changed at once."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(base_url=f"http://{tenant.host}", viewport=WIDE)
        page.set_default_timeout(20_000)
        page.goto("/login/")
        page.fill("input[name=email]", tenant.email)
        page.fill("input[name=password]", tenant.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: not url.endswith("/login/"))
        if "/login/password/" in page.url:
            page.fill("input[name=new]", PASSWORD)
            page.fill("input[name=again]", PASSWORD)
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "/login/" not in url)
        yield page
        browser.close()


def test_an_empty_tenant_says_what_is_left_and_where(page):
    page.goto("/home/")
    expect(page.locator("#sentence")).to_contain_text("5 steps are left")
    look(page, "home of an empty tenant")
    page.locator("#rows li", has_text="Connect a cluster").get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("New cluster")
    look(page, "new cluster")


def test_the_wizard_follows_the_cluster_from_the_shown_command_to_its_first_node(page, north, tmp_path):
    page.fill("[name=name]", north.name)
    page.get_by_role("button", name="Continue").click()
    steps = page.locator("#steps li")
    expect(steps.nth(1)).to_have_attribute("aria-current", "step")
    look(page, "cluster that waits")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download manifest").click()
    download.value.save_as(Path(tmp_path) / download.value.suggested_filename)
    north.shell(page.locator("#install").inner_text(), Path(tmp_path))
    north.start_agent()
    expect(steps.nth(1)).to_contain_text("the agent enrolled", timeout=SOON * 1000)
    expect(steps.nth(2)).to_contain_text("Kubernetes v", timeout=SOON * 1000)
    expect(steps.nth(3)).to_contain_text("2 nodes seen", timeout=SOON * 1000)
    expect(page.locator("#title")).to_contain_text("Connected", timeout=SOON * 1000)
    look(page, "cluster that has arrived")


def test_a_department_and_a_project_get_quota_in_the_grid(page, north):
    page.goto("/departments/new/")
    page.fill("[name=name]", "research")
    page.get_by_label("Quota in default").fill("8")
    page.get_by_role("button", name="Create department").click()
    expect(page.locator("h1")).to_have_text("research")
    page.goto("/projects/new/")
    page.fill("[name=name]", PROJECT)
    page.select_option("[name=department]", label="research")
    look(page, "new project")
    page.get_by_role("button", name="Create project").click()
    expect(page.locator("h1")).to_contain_text(PROJECT)
    page.goto("/projects/quotas/")
    page.locator(f"tr[data-name={PROJECT}] td").first.click()
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    look(page, "quota grid")
    page.get_by_role("button", name="Review and save").click()
    expect(page.locator("#review-effect")).to_contain_text("What it does")
    look(page, "review of the quota grid")
    page.get_by_role("button", name="Save", exact=True).click()
    began = time.monotonic()
    expect(page.locator(".toasts")).to_contain_text("1 change was saved")
    eventually(lambda: queue_quota(north) == 2, SOON, "the queue has the quota")
    print(f"in the queue {time.monotonic() - began:.1f} s after the save")


def queue_quota(place: Ground) -> float | None:
    """GPUs that the cluster's own queue of the project deserves."""
    found = place.shell(f"kubectl get queue {PROJECT} --ignore-not-found -o jsonpath={{.spec.resources.gpu.quota}}")
    return float(found) if found else None


def test_the_first_workload_runs_and_home_says_so(page, north):
    page.goto("/workloads/new/")
    page.evaluate("document.querySelectorAll('details').forEach((el) => { el.open = true })")
    page.select_option("[name=project]", label=PROJECT)
    values = {"name": "first", "image": IMAGE, "command": "sleep 3600", "gpus": "1", "cpu": "0.1", "memory": "32Mi"}
    for what, value in values.items():
        page.fill(f"[name={what}]", value)
    look(page, "new workload")
    page.get_by_role("button", name="Submit workload").click()
    page.wait_for_url(re.compile(r"/workloads/[0-9a-f-]{36}/"))
    expect(page.locator("#main")).to_contain_text("Running", timeout=SOON * 1000)
    look(page, "workload that runs")
    page.goto("/home/")
    expect(page.locator("#sentence")).to_contain_text("1 running, 0 waiting")
    expect(page.locator("#sentence")).to_contain_text("1 step is left")  # let people in
    assert [pod["status"]["phase"] for pod in north.objects("pods", "-n", NAMESPACE)] == ["Running"]


def test_a_namespace_of_somebody_else_is_not_taken_and_the_project_says_so(page, north):
    north.shell(f"kubectl create namespace runai-taken && kubectl label namespace runai-taken {labels.PROJECT}=others")
    page.goto("/projects/new/")
    page.fill("[name=name]", "taken")
    page.get_by_role("button", name="Create project").click()
    expect(page.locator("#sentence")).to_contain_text('"runai-taken" belongs to project "others"', timeout=SOON * 1000)
    look(page, "project whose namespace is taken")
    condition = north.shell("kubectl get projects.run.ai taken -o jsonpath={.status.phase}:{.status.message}")
    assert condition == 'NotReady:namespace "runai-taken" belongs to project "others"'
    assert north.shell(f"kubectl get namespace -l {labels.PROJECT}=others -o name").strip() == "namespace/runai-taken"
    north.shell(f"kubectl label namespace runai-taken {labels.PROJECT}-")
    expect(page.locator("#title")).to_contain_text(re.compile(r"\bReady\b"), timeout=SOON * 1000)


@pytest.fixture(scope="module")
def both(tenant: Newcomer, north: Ground, south: Ground) -> dict[str, str]:
    """Both clusters' ids; the second one joined over REST, with a project of the same name in it."""
    with tenant.rest() as rest:
        made = rest.post("/clusters", {"name": south.name}).json()["uuid"]
        south.shell("kubectl apply -f -", text=rest.post(f"/clusters/{made}/manifest").text)
        south.start_agent()
        eventually(lambda: state(rest, made) == "Connected", SOON, "south is connected")
        body = {"name": PROJECT, "clusterId": made, "resources": [{"gpu": {"deserved": 3}}]}
        eventually(lambda: departments(rest, made), SOON, "south has its first department")
        rest.post("/org-unit/projects", body)
        found = {row["name"]: row["uuid"] for row in rest.get("/clusters")}
    eventually(lambda: queue_quota(south) == 3, SOON, "south's queue has its own quota")
    return found


def departments(rest: Any, cluster: str) -> list[Any]:
    return list(rest.get("/org-unit/departments", filterBy=f"clusterId=={cluster}")["departments"])


def state(rest: Any, cluster: str) -> str:
    return str((rest.get(f"/clusters/{cluster}").get("status") or {}).get("state"))


def submit(rest: Any, cluster: str, name: str) -> str:
    projects = rest.get("/org-unit/projects", filterBy=f"name=={PROJECT},clusterId=={cluster}")["projects"]
    spec = {"image": IMAGE, "command": "sleep", "args": "3600", "compute": {"gpuDevicesRequest": 1}}
    body = {"name": name, "projectId": str(projects[0]["id"]), "clusterId": cluster, "spec": spec}
    return str(rest.post("/workloads/trainings", body).json()["workloadId"])


def phase(rest: Any, workload: str) -> str:
    return str(rest.get(f"/workloads/{workload}")["phase"])


def test_work_goes_to_the_cluster_that_was_asked_for(tenant, north, south, both):
    with tenant.rest() as rest:
        ids = {name: submit(rest, both[name], "same-name") for name in ("north", "south")}
        eventually(lambda: [phase(rest, one) for one in ids.values()] == ["Running"] * 2, SOON, "both run")
    for place in (north, south):
        pods = place.objects("pods", "-n", NAMESPACE, "-l", f"run.ai/workload-id={ids[place.name]}")
        other = next(one for name, one in ids.items() if name != place.name)
        assert len(pods) == 1
        assert place.objects("pods", "-n", NAMESPACE, "-l", f"run.ai/workload-id={other}") == []


def test_quotas_are_each_clusters_own(tenant, north, south, both):
    with tenant.rest() as rest:
        projects = rest.get("/org-unit/projects", filterBy=f"name=={PROJECT}")["projects"]
        shares = {row["clusterId"]: row["totalResources"]["gpuQuota"] for row in projects}
    assert shares == {both["north"]: 2, both["south"]: 3}
    assert (queue_quota(north), queue_quota(south)) == (2, 3)


def test_a_cluster_whose_agent_is_away_does_not_touch_the_other(tenant, north, south, both):
    south.stop_agent()
    with tenant.rest() as rest:
        eventually(lambda: state(rest, both["south"]) == "Disconnected", 90, "south is disconnected")
        assert state(rest, both["north"]) == "Connected"
        one = submit(rest, both["north"], "while-south-is-away")
        eventually(lambda: phase(rest, one) == "Running", SOON, "north goes on")


def test_an_agent_that_returns_to_a_deleted_cluster_is_told_and_stops(page, tenant, south, both):
    """Without force the deletion waits for the agent, in words; with it the cluster is gone, and its work goes on."""
    with tenant.rest() as rest:
        rest.delete(f"/clusters/{both['south']}")
        page.goto(f"/clusters/{both['south']}/")
        expect(page.locator("#sentence")).to_contain_text("waits for the agent, which is away")
        look(page, "cluster whose deletion waits")
        rest.delete(f"/clusters/{both['south']}?force=true")
        assert [row["name"] for row in rest.get("/clusters")] == ["north"]
    south.start_agent()
    eventually(lambda: "this cluster was removed" in south.agent_log, SOON, "the agent is told")
    assert [pod["status"]["phase"] for pod in south.objects("pods", "-n", NAMESPACE)] == ["Running"]
