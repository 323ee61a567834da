"""One workload, four doors: form in a real browser, REST, ``runai`` and kubectl. It is the same workload each time.

All four are submitted once for this file and looked at twice in every view: while they run, and when they are done.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.e2e.doors import (
    NAMESPACE,
    Cli,
    Wanted,
    Words,
    by_form,
    by_kubectl,
    by_rest,
    console_words,
    eventually,
    find,
    rest_words,
    sign_in_cli,
    sign_in_console,
    wait_words,
)
from tests.fixtures_stack import RunningStack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.node,
    pytest.mark.browser,
    pytest.mark.usefixtures("real_node"),
    pytest.mark.timeout(600),
]
WANTED = Wanted(script="echo MARKER journey; sleep 32")
"""Longer than two samples of the metrics role (15 s each) are apart."""
METRICS = ("GPU_UTILIZATION", "CPU_USAGE_CORES", "CPU_MEMORY_USAGE_BYTES")
DOORS = ("form", "rest", "cli", "kubectl")
VIEWS = ("console", "rest", "cli")


@dataclass
class Journey:
    """Where each of the four is, and what every view said of it in both moments."""

    page: Page
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    running: dict[tuple[str, str], Words] = field(default_factory=dict)
    done: dict[tuple[str, str], Words] = field(default_factory=dict)


@pytest.fixture(scope="module")
def page(stack: RunningStack) -> Iterator[Page]:
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"no browser at {CHROMIUM}; name one in RUNAI_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(base_url=stack.facts["tenants"][0]["console"]).new_page()
        sign_in_console(stack, page)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def journey(stack: RunningStack, page: Page, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    if not stack.has_real_node:
        pytest.skip("this stack has no real node")
    cli = sign_in_cli(stack, Path(tmp_path_factory.mktemp("runai")))
    tail = secrets.token_hex(2)
    journey = Journey(page, names={door: f"way-{door}-{tail}" for door in DOORS})
    names = journey.names
    applied = by_kubectl(stack, names["kubectl"], WANTED)
    assert applied.returncode == 0, applied.stderr
    told = cli.submit(names["cli"], WANTED)
    assert told.returncode == 0, told.stderr
    journey.ids["rest"] = by_rest(stack, names["rest"], WANTED)
    journey.ids["form"] = by_form(page, names["form"], WANTED)
    journey.ids |= {door: find(stack, names[door]) for door in ("cli", "kubectl")}
    for phase, seen in (("Running", journey.running), ("Completed", journey.done)):
        for door in DOORS:
            wait_words(stack, journey.ids[door], lambda words, phase=phase: words[0] == phase)
        seen |= look(stack, journey, cli)
    return journey


def look(stack: RunningStack, journey: Journey, cli: Cli) -> dict[tuple[str, str], Words]:
    """What each view says of each workload now."""
    said = {}
    for door, one in journey.ids.items():
        said[door, "rest"] = rest_words(stack, one)
        said[door, "cli"] = cli.words(journey.names[door])
        said[door, "console"] = console_words(journey.page, one)
    return said


def test_all_four_reach_completed(journey: Journey) -> None:
    assert {words[0] for words in journey.done.values()} == {"Completed"}


@pytest.mark.parametrize("moment", ["running", "done"])
def test_console_rest_and_cli_say_the_same_words(journey: Journey, moment: str) -> None:
    said = getattr(journey, moment)
    assert {door: {said[door, view] for view in VIEWS} for door in DOORS} == {
        door: {said[door, "rest"]} for door in DOORS
    }
    assert all(sentence for _, sentence in said.values())


@pytest.mark.parametrize("moment", ["running", "done"])
def test_the_words_are_the_same_whatever_the_door(journey: Journey, moment: str) -> None:
    said = getattr(journey, moment)
    assert len({said[door, "console"] for door in DOORS}) == 1, said


def test_kubernetes_holds_the_same_specification(stack: RunningStack, journey: Journey) -> None:
    specs = {door: spec_of(stack, journey.names[door]) for door in DOORS}
    assert specs == dict.fromkeys(DOORS, specs["rest"])


def spec_of(stack: RunningStack, name: str) -> dict[str, Any]:
    """What a person asked for, of the pod that really ran: without names and what Kubernetes adds."""
    done = stack.kubectl("get", "pods", "-n", NAMESPACE, "-l", f"run.ai/workload-name={name}", "-o", "json")
    assert done.returncode == 0, done.stderr
    container = json.loads(done.stdout)["items"][0]["spec"]["containers"][0]
    return {key: container[key] for key in ("image", "command", "args", "resources")}


@pytest.mark.parametrize("door", DOORS)
def test_the_log_is_the_containers(stack: RunningStack, journey: Journey, door: str) -> None:
    with stack.rest() as rest:
        part = rest.get(f"/workloads/{journey.ids[door]}/logs", wait=5)
    assert part["text"] == "MARKER journey\n"


@pytest.mark.parametrize("door", DOORS)
def test_the_list_shows_it_with_its_status(journey: Journey, door: str) -> None:
    journey.page.goto(f"/workloads/?q={journey.names[door]}")
    row = journey.page.locator("tbody tr")
    assert row.count() == 1
    assert "Completed" in row.inner_text()


@pytest.mark.parametrize("door", DOORS)
def test_its_metrics_chart_has_points(stack: RunningStack, journey: Journey, door: str) -> None:
    """In REST and as rows of the chart's table; the last sample may arrive a little after the end."""
    end = datetime.now(UTC) + timedelta(minutes=1)
    span = {"start": (end - timedelta(minutes=30)).isoformat(), "end": end.isoformat()}

    def points() -> int:
        path = f"/workloads/{journey.ids[door]}/metrics"
        with stack.rest() as rest:
            found = [line for kind in METRICS for line in rest.get(path, **span, metricType=kind)["measurements"]]
        return sum(len(line["values"]) for line in found)

    assert eventually(points, 30, f"a sample of the workload by {door}") >= 1
    journey.page.goto(f"/workloads/{journey.ids[door]}/metrics/")
    assert journey.page.locator(".chart-data tbody tr").count() >= 1
