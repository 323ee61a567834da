"""One whole local stack for all stack and browser tests: two tenants of equal contents, a cluster each.

RUNAI_TEST_STACK_DIR names a directory whose stack is used if it runs, and is left running: quick while developing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import postgres
from local.files import ROOT
from local.kube.binaries import ensure
from local.machine import obstacle_to_a_real_node
from local.rest import Rest

SIZE = ("--tenants", "2", "--clusters", "2", "--nodes", "4", "--data", "demo")


@dataclass(frozen=True)
class RunningStack:
    """A stack as another program sees it: the ``up --json`` document and the commands."""

    directory: Path
    facts: dict[str, Any]

    @property
    def has_real_node(self) -> bool:
        return bool(self.facts["clusters"][0]["real_node"])

    def local(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """``python -m local …`` for this stack."""
        return local(self.directory, *words, timeout=timeout)

    def rest(self, tenant: int = 0) -> Rest:
        """The API of a tenant as its first application (an administrator)."""
        facts = self.facts["tenants"][tenant]
        return Rest(facts["api"], facts["application"]["id"], facts["application"]["secret"])

    def kubectl(self, *words: str, tenant: int = 0, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl as administrator of the tenant's cluster; ``text`` is its standard input."""
        name = self.facts["tenants"][tenant]["tenant"]
        kubeconfig = next(item["kubeconfig"] for item in self.facts["clusters"] if item["tenant"] == name)
        program = ensure(lambda _: None, ("kubectl",))["kubectl"]
        argv = [str(program), "--kubeconfig", kubeconfig, *words]
        return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=120, check=False)

    def pid(self, process: str) -> int:
        """Pid of a process of the stack right now, as ``status --json`` says."""
        found = json.loads(self.local("status", "--json").stdout)["processes"]
        return int(next(item["pid"] for item in found if item["name"] == process))


def clean_environment(directory: Path) -> dict[str, str]:
    """Without the settings of this test session: a stack makes its own."""
    ours = ("RUNAI_", "DJANGO_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours) or key == "RUNAI_LOCAL_CACHE"}
    return {**kept, "RUNAI_LOCAL_DIR": str(directory)}


def local(directory: Path, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *words],
        cwd=ROOT,
        env=clean_environment(directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(directory: Path, *words: str) -> None:
    """Like ``local``, its progress shown past pytest's capture: silence for minutes looks like a hang."""
    argv = [sys.executable, "-m", "local", *words]
    seen: list[str] = []
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env=clean_environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            print(f"  stack {line}", end="", file=sys.__stderr__, flush=True)
    if process.returncode:
        pytest.fail(f"the stack did not come up:\n{''.join(seen)[-6000:]}")


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    given = os.environ.get("RUNAI_TEST_STACK_DIR")
    directory = Path(given or tempfile.mkdtemp(prefix="runai-stack-")).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    facts = directory / "up.json"
    try:
        start(directory, "up", "--json", str(facts), *SIZE)
        yield RunningStack(directory, json.loads(facts.read_text()))
    finally:
        if not given:
            local(directory, "down")
            shutil.rmtree(postgres.home_of(directory), ignore_errors=True)
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def real_node(stack: RunningStack) -> None:
    """Skips where the machine cannot run containers."""
    if not stack.has_real_node:
        pytest.skip(obstacle_to_a_real_node() or "this stack has no real node")


__all__ = ["RunningStack", "clean_environment", "local", "real_node", "stack"]
