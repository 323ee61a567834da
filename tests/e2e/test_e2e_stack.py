"""The stack as a whole: what ``up --json`` promises is true, nothing is world-readable, what dies comes back."""

import json
import os
import re
import signal
import socket
import stat
import time
import urllib.request
from pathlib import Path

import pytest

from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def test_the_console_answers_by_host_name_and_by_address(stack: RunningStack) -> None:
    for tenant in stack.facts["tenants"]:
        port = tenant["console"].rpartition(":")[2]
        host = tenant["console"].removeprefix("http://")
        request = urllib.request.Request(f"http://127.0.0.1:{port}/login/", headers={"Host": host})
        assert urllib.request.urlopen(request, timeout=10).status == 200
        assert urllib.request.urlopen(f"{tenant['api']}/login/", timeout=10).status == 200


def test_every_cluster_is_connected_and_belongs_to_its_tenant(stack: RunningStack) -> None:
    for number, tenant in enumerate(stack.facts["tenants"]):
        with stack.rest(number) as rest:
            states = {item["uuid"]: item["status"]["state"] for item in rest.get("/clusters")}
        wanted = {item["uuid"] for item in stack.facts["clusters"] if item["tenant"] == tenant["tenant"]}
        assert states == dict.fromkeys(wanted, "Connected")


def test_every_process_lives(stack: RunningStack) -> None:
    assert {"web", "link", "worker", "beat", "postgres", "valkey"} <= {
        item["name"] for item in stack.facts["processes"]
    }
    # By the pids of now: other tests of the session kill processes on purpose, and they come back with new ones.
    for process in json.loads(stack.local("status", "--json").stdout)["processes"]:
        os.kill(process["pid"], 0)
        assert Path(process["log"]).exists()


def test_secrets_and_the_document_are_private(stack: RunningStack) -> None:
    private = [
        stack.directory / "up.json",
        stack.directory / "state.json",
        stack.directory / "secrets" / "tenants.json",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_nothing_listens_beyond_this_machine(stack: RunningStack) -> None:
    """Web and link are bound to loopback addresses; a relay hands the link on at this machine's ends of the clusters'
    own cables, which no other machine reaches."""
    ports = {int(stack.facts["console"].rpartition(":")[2]), int(stack.facts["link"].rpartition(":")[2])}
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    bound = {fields[1] for fields in listening if fields[3] == "0A" and int(fields[1][9:], 16) in ports}
    assert bound
    addresses = {socket.inet_ntoa(bytes.fromhex(address[:8])[::-1]) for address in bound}
    cables = {address for address in addresses if re.fullmatch(r"10\.213\.\d+\.1", address)}
    assert all(address.startswith("127.") for address in addresses - cables)


def test_a_second_up_finds_the_first(stack: RunningStack) -> None:
    done = stack.local("up")
    assert done.returncode == 0, done.stdout


def test_an_up_of_another_size_is_refused(stack: RunningStack) -> None:
    done = stack.local("up", "--clusters", "7")
    assert done.returncode == 2
    assert "--clusters 2 runs already" in done.stdout


@pytest.mark.parametrize("name", ["web", "link", "worker", "beat", "cluster-1.agent"])
def test_what_is_killed_comes_back(stack: RunningStack, name: str) -> None:
    before = stack.pid(name)
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while stack.local("status").returncode or stack.local("status", "--json").stdout.count(f'"pid": {before},'):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "signal SIGKILL" in stack.local("status").stdout
