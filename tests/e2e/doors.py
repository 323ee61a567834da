"""The four doors by which a workload comes in (form, REST, ``runai``, kubectl) and the three views that speak of it.

Each view answers with the same pair: the phase and the sentence, as that view shows them to a person.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page

from agent.wire.phases import FINAL
from local.files import ROOT
from local.rest import Rest
from tests.fixtures_stack import RunningStack, clean_environment

PROJECT, NAMESPACE = "vision", "runai-vision"
IMAGE = "example.local/busybox:1"
Words = tuple[str, str]
"""Phase and sentence."""


@dataclass(frozen=True)
class Wanted:
    """A workload as a person thinks of it, before it takes the form of one of the doors."""

    script: str
    gpus: int = 1
    cpu: str = "0.1"
    memory: str = "32Mi"
    backoff_limit: int | None = None


def project_id(rest: Rest, cluster: str, name: str = PROJECT) -> str:
    found = rest.get("/org-unit/projects", filterBy=f"name=={name},clusterId=={cluster}")["projects"]
    return str(found[0]["id"])


def rest_body(rest: Rest, cluster: str, name: str, wanted: Wanted) -> dict[str, Any]:
    compute = {"gpuDevicesRequest": wanted.gpus, "cpuCoreRequest": float(wanted.cpu), "cpuMemoryRequest": wanted.memory}
    spec = {"image": IMAGE, "command": "sh", "args": shlex.join(["-c", wanted.script]), "compute": compute}
    if wanted.backoff_limit is not None:
        spec["backoffLimit"] = wanted.backoff_limit
    return {"name": name, "projectId": project_id(rest, cluster), "clusterId": cluster, "spec": spec}


def by_rest(stack: RunningStack, name: str, wanted: Wanted) -> str:
    """Returns the workload's id, as every door does that knows it."""
    with stack.rest() as rest:
        body = rest_body(rest, stack.facts["cluster"]["uuid"], name, wanted)
        return str(rest.post("/workloads/trainings", body, key=name).json()["workloadId"])


def by_kubectl(stack: RunningStack, name: str, wanted: Wanted) -> subprocess.CompletedProcess[str]:
    compute = {"gpuDevices": wanted.gpus, "cpuMilli": round(float(wanted.cpu) * 1000), "memoryBytes": 32 << 20}
    manifest = {
        "apiVersion": "run.ai/v1",
        "kind": "Workload",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"type": "training", "image": IMAGE, "command": ["sh"], "args": ["-c", wanted.script],
                 "compute": compute},
    }  # fmt: skip
    return stack.kubectl("apply", "-f", "-", text=yaml.safe_dump(manifest))


@dataclass(frozen=True)
class Cli:
    """The ``runai`` command of a person who is signed in."""

    folder: Path

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**clean_environment(self.folder), "RUNAI_CLI_CONFIG_PATH": str(self.folder)}
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def submit(self, name: str, wanted: Wanted) -> subprocess.CompletedProcess[str]:
        return self(
            "training", "submit", name, "-p", PROJECT, "-i", IMAGE, "-g", str(wanted.gpus),
            "--cpu-core-request", wanted.cpu, "--cpu-memory-request", wanted.memory,
            "-c", "--", "sh", "-c", wanted.script,
        )  # fmt: skip

    def words(self, name: str) -> Words:
        """From the table that people read, not from its JSON."""
        told = self("workload", "describe", name, "-p", PROJECT).stdout
        facts = dict(line.split(":", 1) for line in told.splitlines() if re.match(r"\w[\w ]*:", line))
        return facts["Status"].strip(), facts["Message"].strip()


def sign_in_cli(stack: RunningStack, folder: Path) -> Cli:
    """As the researcher that the demo data made."""
    tenant, user = stack.facts["tenants"][0], stack.facts["tenants"][0]["users"][0]
    cli = Cli(folder)
    done = cli("login", "--url", tenant["api"], "user", "-u", user["email"], "-p", user["password"])
    assert done.returncode == 0, done.stderr
    return cli


def sign_in_console(stack: RunningStack, page: Page) -> None:
    user = stack.facts["tenants"][0]["users"][0]
    page.goto("/login/")
    page.fill("input[name=email]", user["email"])
    page.fill("input[name=password]", user["password"])
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/login/" not in url)


def by_form(page: Page, name: str, wanted: Wanted) -> str:
    page.goto("/workloads/new/")
    page.evaluate("document.querySelectorAll('details').forEach((el) => { el.open = true })")
    page.select_option("[name=project]", label=PROJECT)
    values = {"name": name, "image": IMAGE, "command": "sh", "arguments": shlex.join(["-c", wanted.script]),
              "gpus": str(wanted.gpus), "cpu": wanted.cpu, "memory": wanted.memory}  # fmt: skip
    for field, value in values.items():
        page.fill(f"[name={field}]", value)
    page.get_by_role("button", name="Submit workload").click()
    page.wait_for_url(re.compile(r"/workloads/[0-9a-f-]{36}/"))
    return page.url.rstrip("/").rpartition("/")[2]


def console_words(page: Page, workload_id: str) -> Words:
    """From ``Running for 5 s: running on node node-1``."""
    page.goto(f"/workloads/{workload_id}/")
    text = page.locator("#sentence").inner_text()
    match = re.fullmatch(r"(\w+) for (?:[^:]+?)(?:: (.*))?", text, re.DOTALL)
    assert match, text
    return match.group(1), match.group(2) or ""


def rest_words(stack: RunningStack, workload_id: str) -> Words:
    with stack.rest() as rest:
        found = rest.get(f"/workloads/{workload_id}")
    return found["phase"], found.get("phaseMessage") or ""


def find(stack: RunningStack, name: str) -> str:
    """Id of a workload by name, once the control plane knows it."""
    with stack.rest() as rest:
        rows = eventually(lambda: rest.get("/workloads", filterBy=f"name=={name}")["workloads"], 30, f"{name} in REST")
    return str(rows[0]["id"])


def wait_words(stack: RunningStack, workload_id: str, good: Callable[[Words], bool], seconds: float = 90) -> Words:
    """The first words that are ``good``; a workload that ends otherwise fails at once."""
    deadline = time.monotonic() + seconds
    while not good(words := rest_words(stack, workload_id)):
        if words[0] in FINAL or time.monotonic() > deadline:
            pytest.fail(f"workload {workload_id} is {words}")
        time.sleep(0.3)
    return words


def eventually(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first truthy answer of ``look``."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.3)
    return found


def pods_of(stack: RunningStack, workload_id: str) -> list[dict[str, Any]]:
    """Pod objects as Kubernetes has them."""
    label = f"run.ai/workload-id={workload_id}"
    done = stack.kubectl("get", "pods", "-n", NAMESPACE, "-l", label, "-o", "json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["items"])
