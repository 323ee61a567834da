"""A tenant that has nothing yet, on the running stack, and clusters that nobody has joined: for whoever sets them up.

A cluster is an API server with simulated nodes; its agent is a process of the host with the manifest's ServiceAccount.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.wire.labels import NODE_POOL
from local import clusters
from local.clusters import Member
from local.files import ROOT, free_ports
from local.kube.binaries import CONTROL_PLANE, ensure
from local.kube.cluster import LocalCluster
from local.rest import Rest
from local.supervisor import Supervisor
from tests.fixtures_stack import RunningStack

TAINT = "kwok.x-k8s.io/node"
"""Of simulated nodes."""
FIRST_SLOT = 4
"""Where the search for a network begins: past those of the stack's own clusters."""


@dataclass(frozen=True)
class Newcomer:
    """The tenant: its host and the secrets that ``create_tenant`` told once."""

    stack: RunningStack
    name: str
    email: str
    password: str
    application: dict[str, str]

    @property
    def port(self) -> int:
        return int(urlsplit(self.stack.facts["tenants"][0]["api"]).port or 80)

    @property
    def host(self) -> str:
        return f"{self.name}.localhost:{self.port}"

    def rest(self) -> Rest:
        base = f"http://127.0.0.1:{self.port}"
        return Rest(base, self.application["id"], self.application["secret"], host=self.host)


@contextmanager
def newcomer(stack: RunningStack) -> Iterator[Newcomer]:
    """Made with ``manage.py``, as a provider does it; deleted at the end."""
    name = f"new-{secrets.token_hex(3)}"
    words = ("--domain", f"{name}.localhost", "--admin-email", f"admin@{name}.example", "--json")
    made = json.loads(manage(stack, "create_tenant", name, *words).strip().splitlines()[-1])
    try:
        yield Newcomer(stack, name, made["admin"]["email"], made["admin"]["password"], made["application"])
    finally:
        manage(stack, "delete_tenant", name, "--confirm", name)


def manage(stack: RunningStack, *words: str) -> str:
    """``manage.py`` with the settings of the stack's web process."""
    raw = Path(f"/proc/{stack.pid('web')}/environ").read_bytes().decode()
    theirs = dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)
    argv = [sys.executable, str(ROOT / "manage.py"), *words]
    done = subprocess.run(argv, cwd=ROOT, env=theirs, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@dataclass
class Ground:
    """A Kubernetes cluster, and the agent's roles once it was joined."""

    name: str
    directory: Path
    kubernetes: LocalCluster
    supervisor: Supervisor
    programs: Any
    agent: Supervisor | None = field(default=None)

    def environment(self) -> dict[str, str]:
        """Of a shell of the cluster's administrator."""
        folder = str(Path(str(self.programs["kubectl"])).parent)
        tools = self.directory / "bin"
        tools.mkdir(exist_ok=True)
        if not (tools / "kubectl").exists():
            (tools / "kubectl").symlink_to(self.programs["kubectl"])
        return {"PATH": f"{tools}:{folder}:/usr/bin:/bin", "KUBECONFIG": str(self.kubernetes.kubeconfig)}

    def shell(self, command: str, where: Path | None = None, text: str | None = None) -> str:
        """What the command line prints. Fails with what it complains of."""
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=where or self.directory, env=self.environment(), input=text, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        return list(json.loads(self.shell(f"kubectl get {' '.join(words)} -o json"))["items"])

    def start_agent(self) -> None:
        """Its roles as one process, once the manifest is applied."""
        member = Member(self.name, "newcomer", self.kubernetes)
        port, dcgm_port = free_ports(2)
        specs = [
            clusters.dcgm_simulator(member, self.directory, dcgm_port),
            clusters.agent(member, self.directory, port, dcgm_port, ()),
        ]
        alone = [_without_dependencies(spec) for spec in specs]
        self.agent = Supervisor(self.directory / "agent", say=lambda line: None)
        self.agent.add(alone)
        self.agent.wait_ready([spec.name for spec in alone])

    def stop_agent(self) -> None:
        if self.agent is not None:
            self.agent.stop()
            self.agent = None

    @property
    def agent_log(self) -> str:
        return (self.directory / "logs" / f"{self.name}-agent.log").read_text()


def _without_dependencies(spec: Any) -> Any:
    """The API server belongs to another supervisor, and runs."""
    return type(spec)(**{**{name: getattr(spec, name) for name in spec.__dataclass_fields__}, "depends_on": ()})


@contextmanager
def ground(name: str, slot: int = FIRST_SLOT, nodes: int = 2, gpus: int = 4) -> Iterator[Ground]:
    """A cluster with simulated nodes of the pool default that take any pod; gone without a trace at the end."""
    programs = ensure(lambda line: None, CONTROL_PLANE)
    directory = Path(tempfile.mkdtemp(prefix=f"runai-{name}-"))
    for part in ("logs", "agent"):
        (directory / part).mkdir()
    kubernetes = LocalCluster(name, slot, directory / "cluster", nodes, gpus, False, programs)
    kubernetes.prepare()
    supervisor = Supervisor(directory, say=lambda line: None)
    made = Ground(name, directory, kubernetes, supervisor, programs)
    try:
        specs = kubernetes.processes()
        supervisor.add(specs, cleanup=[clusters.clean_up_command(kubernetes.dir)])
        supervisor.wait_ready([spec.name for spec in specs])
        kubernetes.after_start()
        made.shell(f"kubectl taint node --all {TAINT}- && kubectl label node --all {NODE_POOL}-")
        yield made
    finally:
        made.stop_agent()
        supervisor.stop()
        kubernetes.teardown()
        shutil.rmtree(directory, ignore_errors=True)
