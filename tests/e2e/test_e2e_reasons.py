"""What cannot run says why, with numbers, and says the same in console, REST, CLI and ``kubectl describe pod``.

On simulated nodes, so that it holds on every machine: the scheduler treats them like any other.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.console import Console
from local.rest import RestError
from tests.e2e.doors import (
    IMAGE,
    NAMESPACE,
    Words,
    eventually,
    pods_of,
    project_id,
    rest_words,
    sign_in_cli,
    wait_words,
)
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
NODES, GPUS = 4, 8
"""Simulated nodes of the cluster, GPUs a node."""


def submit(stack: RunningStack, name: str, gpus: int, kind: str = "trainings", **spec: Any) -> str:
    """On the simulated nodes, where a pod runs until it is deleted. Returns the id."""
    cluster = stack.facts["cluster"]["uuid"]
    with stack.rest() as rest:
        wanted = {"image": IMAGE, "nodePools": ["simulated"], "compute": {"gpuDevicesRequest": gpus}, **spec}
        body = {"name": name, "projectId": project_id(rest, cluster), "clusterId": cluster, "spec": wanted}
        return str(rest.post(f"/workloads/{kind}", body, key=name).json()["workloadId"])


@pytest.fixture
def cleaner(stack: RunningStack) -> Iterator[list[str]]:
    """Ids to delete at the end: what never ends would hold its GPUs for the tests that follow."""
    made: list[str] = []
    yield made
    with stack.rest() as rest:
        for one in made:
            try:
                rest.delete(f"/workloads/trainings/{one}")
            except RestError:
                rest.delete(f"/workloads/distributed/{one}")
    eventually(lambda: not any(pods_of(stack, one) for one in made), 60, "its pods are gone")


@dataclass(frozen=True)
class Told:
    """The same workload in every view."""

    rest: Words
    cli: Words
    page: str
    described: str


@pytest.fixture(scope="module")
def told(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    name = f"too-large-{secrets.token_hex(2)}"
    one = submit(stack, name, 64)
    said = wait_words(stack, one, lambda words: words[0] == "Pending" and "64" in words[1])
    cli = sign_in_cli(stack, Path(tmp_path_factory.mktemp("runai")))
    tenant = stack.facts["tenants"][0]
    with Console(tenant, tenant["users"][0]) as console:
        page = html.unescape(console.get(f"/workloads/{one}/").text)
    described = stack.kubectl("describe", "pod", "-n", NAMESPACE, pods_of(stack, one)[0]["metadata"]["name"]).stdout
    yield Told(said, cli.words(name), page, described)
    with stack.rest() as rest:
        rest.delete(f"/workloads/trainings/{one}")


def test_the_sentence_has_the_numbers(told: Told) -> None:
    """How many nodes were looked at, how much was asked, how much the best of them has."""
    assert {str(NODES), "64", str(GPUS)} <= set(re.findall(r"\d+", told.rest[1])), told.rest


def test_the_command_line_says_it(told: Told) -> None:
    assert told.cli == told.rest


def test_the_console_says_it_at_the_top_and_as_the_cause(told: Told) -> None:
    sentence = re.search(r'id="sentence">([^<]*)<', told.page)
    assert sentence and sentence.group(1).startswith("Pending for ") and sentence.group(1).endswith(told.rest[1])
    cause = re.search(r'class="why-said">([^<]*)<', told.page)
    assert cause and cause.group(1) == told.rest[1]


def test_kubectl_describe_pod_says_it(told: Told) -> None:
    assert "FailedScheduling" in told.described
    assert told.rest[1] in told.described


def test_a_gang_starts_all_or_none(stack: RunningStack, cleaner: list[str]) -> None:
    """Four pods of a whole node each, while one of the four nodes is taken: none starts. It is freed: all start."""
    tail = secrets.token_hex(2)
    taken = submit(stack, f"holder-{tail}", GPUS)
    cleaner.append(taken)
    wait_words(stack, taken, lambda words: words[0] == "Running")
    gang = submit(stack, f"gang-{tail}", GPUS, "distributed", numWorkers=NODES, distributedFramework="PyTorch")
    cleaner.append(gang)
    said = wait_words(stack, gang, lambda words: words[0] == "Pending" and bool(re.search(r"\d", words[1])))
    pods = eventually(lambda: len(found := pods_of(stack, gang)) == NODES and found, 30, "four pods")
    assert [pod["spec"].get("nodeName") for pod in pods] == [None] * NODES, said

    with stack.rest() as rest:
        rest.delete(f"/workloads/trainings/{taken}")
    cleaner.remove(taken)
    wait_words(stack, gang, lambda words: words[0] == "Running")
    assert len({pod["spec"]["nodeName"] for pod in pods_of(stack, gang)}) == NODES


def test_a_failure_says_the_cause_everywhere(stack: RunningStack, tmp_path: Path) -> None:
    """A simulated pod that ends with status 7: REST, CLI and console name it."""
    name = f"fails-{secrets.token_hex(2)}"
    one = submit(stack, name, 1, backoffLimit=0, annotations=[{"name": "local.run.ai/fail", "value": "7"}])
    words = eventually(lambda: (said := rest_words(stack, one))[0] == "Failed" and said, 60, "it has failed")
    assert "7" in words[1]
    assert sign_in_cli(stack, tmp_path).words(name) == words
    tenant = stack.facts["tenants"][0]
    with Console(tenant, tenant["users"][0]) as console:
        assert words[1] in html.unescape(console.get(f"/workloads/{one}/").text)
