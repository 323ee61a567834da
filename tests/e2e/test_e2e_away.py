"""An agent that is away, and a stranger at the door: what the console says, what waits, what is refused and audited."""

from __future__ import annotations

import html
import json
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.link.client import LinkClient, LinkError
from agent.link.identity import Identity
from local.console import Console
from tests.e2e.doors import IMAGE, eventually, project_id, rest_words, wait_words
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
AGENT = "cluster-1.agent"
TOKEN = re.compile(r"rne_[0-9A-Za-z]{12}_[0-9A-Za-z_-]{43}")


@contextmanager
def held_down(stack: RunningStack, name: str) -> Iterator[None]:
    """The process is killed as often as its supervisor starts it. Afterwards it comes back by itself."""
    enough = threading.Event()

    def hold() -> None:
        while not enough.wait(0.1):
            with suppress(json.JSONDecodeError, ProcessLookupError):
                for process in json.loads((stack.directory / "state.json").read_text())["processes"]:
                    if process["name"] == name and process["pid"]:
                        os.kill(process["pid"], signal.SIGKILL)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def state_of(stack: RunningStack) -> str:
    with stack.rest() as rest:
        return str(rest.get(f"/clusters/{stack.facts['cluster']['uuid']}")["status"]["state"])


def submit(stack: RunningStack, name: str) -> str:
    """A workload that ends after a second on a simulated node: no real node is needed."""
    cluster = stack.facts["cluster"]["uuid"]
    spec = {
        "image": IMAGE, "nodePools": ["simulated"], "compute": {"gpuDevicesRequest": 1},
        "annotations": [{"name": "local.run.ai/run-seconds", "value": "1"}],
    }  # fmt: skip
    with stack.rest() as rest:
        body = {"name": name, "projectId": project_id(rest, cluster), "clusterId": cluster, "spec": spec}
        return str(rest.post("/workloads/trainings", body, key=name).json()["workloadId"])


def test_an_agent_that_is_away_is_said_and_a_submit_waits_for_it(stack: RunningStack) -> None:
    tenant = stack.facts["tenants"][0]
    with Console(tenant, tenant["users"][0]) as console:
        with held_down(stack, AGENT):
            eventually(lambda: state_of(stack) == "Disconnected", 60, "the cluster is Disconnected")
            one = submit(stack, f"meanwhile-{secrets.token_hex(2)}")
            page = html.unescape(console.get(f"/workloads/{one}/").text)
            assert re.search(
                r"not heard since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; this waits for it and is not lost", page
            )
            listed = html.unescape(re.sub("<[^>]+>", "", console.get("/workloads/").text))
            assert re.search(r"cluster-1 is disconnected since .*\d\d:\d\d", listed)
            assert rest_words(stack, one)[0] == "Creating"
        eventually(lambda: state_of(stack) == "Connected", 90, "the cluster is Connected again")
        wait_words(stack, one, lambda words: words[0] == "Completed")
        assert "not heard since" not in console.get(f"/workloads/{one}/").text


@pytest.fixture
def invitation(stack: RunningStack) -> Iterator[tuple[str, str]]:
    """Id and enrolment token of a cluster that is made for the test and removed after it."""
    with stack.rest() as rest:
        made = rest.post("/clusters", {"name": f"stranger-{secrets.token_hex(2)}"}).json()["uuid"]
        manifest = rest.post(f"/clusters/{made}/manifest").text
        yield made, TOKEN.search(manifest)[0]
        rest.delete(f"/clusters/{made}?force=true")


async def enrol(stack: RunningStack, token: str) -> LinkError | None:
    """As a fresh agent of some Kubernetes would; the refusal, if it was one."""
    async with LinkClient(stack.facts["link"], Path(stack.facts["link_ca"]).read_text()) as link:
        try:
            await link.enrol(token, Identity.new().enrol_request("kube-of-a-stranger", "test"))
        except LinkError as refused:
            return refused
    return None


def audited(stack: RunningStack, cluster: str) -> list[dict[str, Any]]:
    """What the link had written about this cluster, oldest first."""
    with stack.rest() as rest:
        entries = rest.get("/audit/log", limit=100)["audit_logs"]
    return [item for item in reversed(entries) if (item["entity_id"], item["subject"]) == (cluster, "link")]


async def test_a_wrong_and_a_reused_token_are_refused_and_audited(
    stack: RunningStack, invitation: tuple[str, str]
) -> None:
    cluster, token = invitation
    forged = await enrol(stack, token[:-6] + "AAAAAA")
    assert forged and (forged.status, forged.code) == (401, "enrolment_refused")
    assert await enrol(stack, token) is None
    reused = await enrol(stack, token)
    assert reused and (reused.status, reused.code) == (409, "enrolment_used")

    entries = eventually(lambda: len(found := audited(stack, cluster)) == 3 and found, 20, "three entries")
    assert [(item["metadata"]["verb"], item["result"]) for item in entries] == [
        ("enrolment_refused", "Failed"), ("enrolled", "Succeeded"), ("enrolment_refused", "Failed")
    ]  # fmt: skip
    assert {item["source_ip"] for item in entries} == {"127.0.0.1"}
    assert token.rpartition("_")[2] not in json.dumps(entries)
