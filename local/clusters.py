"""One cluster of the stack from nothing to Connected: Kubernetes up, enrolled through REST, the agent running.

The steps are those of any customer: create the cluster, fetch the manifest, ``kubectl apply``, start the agent with its
ServiceAccount. Each step is safe to repeat; what was done is kept in ``state.json``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.wire.install import crd_text, render_manifest
from local.files import ROOT, listens
from local.kube import authentication
from local.kube.api import Api
from local.kube.binaries import Binaries
from local.kube.cluster import LocalCluster
from local.process import ProcessSpec
from local.rest import Rest, RestError
from local.state import State

ROLES = ("link", "operator", "scheduler", "metrics", "webhook", "activator")
NAMESPACE, ACCOUNT = "runai", "runai-agent"
_API = "rbac.authorization.k8s.io"
HOST_ACCESS = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": f"{_API}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "local-host-access"},
                "rules": [{"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["*"]}],
            },
            {
                "apiVersion": f"{_API}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "local-host-access"},
                "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
                "roleRef": {"apiGroup": _API, "kind": "ClusterRole", "name": "local-host-access"},
            },
        ],
    }
)
"""Roles that run on the host reach pods through the API server only: the activator needs it, no customer's does."""


class JoinFailed(Exception):
    """The cluster runs but did not become Connected; the text says at which step."""


@dataclass(frozen=True)
class Member:
    """A cluster of the stack and the tenant it belongs to."""

    name: str
    tenant: str
    kubernetes: LocalCluster


def clean_up_command(directory: Path) -> list[str]:
    """What the reaper runs for a cluster after a crash of the supervisor."""
    return [sys.executable, "-m", "local.kube", "down", "--dir", str(directory)]


def own_environment() -> dict[str, str]:
    """Children that are Python modules of ours find them whatever their directory."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def create(rest: Rest, state: State, member: Member) -> str:
    """The cluster's row in the control plane; returns its UUID."""
    known = state.get("clusters", {}).get(member.name, {})
    if known.get("uuid") and _exists(rest, known["uuid"]):
        return str(known["uuid"])
    key = str(uuid.uuid4())
    try:
        found = rest.post("/clusters", {"name": member.name}, key=key).json()["uuid"]
    except RestError as error:
        if error.status != 409:
            raise
        found = next(item["uuid"] for item in rest.get("/clusters") if item["name"] == member.name)
    state.put("clusters", member.name, {"uuid": found, "tenant": member.tenant})
    return str(found)


def _exists(rest: Rest, cluster: str) -> bool:
    try:
        rest.get(f"/clusters/{cluster}")
    except RestError as error:
        if error.status == 404:
            return False
        raise
    return True


def identity_of(kubeconfig: Path) -> str:
    """UID of ``kube-system`` and a hash of what we install: tells whether this cluster has this release's manifest."""
    found = Api(kubeconfig).call("GET", "/api/v1/namespaces/kube-system")
    installed = render_manifest(
        cluster_id="", cluster_name="", link_url="", ca_pem="", enrolment_token="", crd_yaml=crd_text()
    )
    return f"{found['metadata']['uid']}/{hashlib.sha256(installed.encode()).hexdigest()[:16]}"


def enrol(rest: Rest, state: State, member: Member, binaries: Binaries, cluster: str) -> bool:
    """Apply a fresh manifest unless this very cluster has it already. The token never touches the disk.

    A cluster of an older release gets the new definitions and permissions; its agent keeps its identity.
    """
    identity = identity_of(member.kubernetes.kubeconfig)
    known = state.get("clusters", {}).get(member.name, {})
    if known.get("enrolled") == identity:
        return False
    manifest = rest.post(f"/clusters/{cluster}/manifest").text + "\n---\n" + HOST_ACCESS
    argv = [str(binaries["kubectl"]), "--kubeconfig", str(member.kubernetes.kubeconfig), "apply", "-f", "-"]
    done = subprocess.run(argv, input=manifest, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise JoinFailed(f"kubectl apply of the manifest of {member.name} failed:\n{done.stderr[-2000:]}")
    return True


def trust_people(rest: Rest, member: Member, cluster: str, link_port: int, ca: Path) -> None:
    """Tell the cluster's API server who issues our people's tokens, and where it can be asked from inside."""
    document = rest.get(f"/kubernetes/clusters/{cluster}/authentication")
    base = f"https://{member.kubernetes.host_address}:{link_port}"
    found = [authentication.reached_at(item, base, ca.read_text()) for item in document["jwt"]]
    authentication.write(member.kubernetes.layout.authentication, found)


def link_relay(member: Member, directory: Path, link_port: int) -> ProcessSpec | None:
    """The link at the host's end of the cluster's veth pair; None where the cluster lives on loopback itself."""
    host = member.kubernetes.host_address
    if host == "127.0.0.1":
        return None
    return ProcessSpec(
        name=f"{member.name}.link-relay",
        argv=(sys.executable, "-m", "local.relay", host, str(link_port), "127.0.0.1", str(link_port)),
        log=directory / "logs" / f"{member.name}-link-relay.log",
        env=own_environment(),
        cwd=directory,
        probe=functools.partial(listens, host, link_port),
        depends_on=("link",),
    )


def dcgm_simulator(member: Member, directory: Path, port: int) -> ProcessSpec:
    """A DCGM exporter for the GPUs that exist in name only, so that charts of their use have points."""
    kubeconfig = str(member.kubernetes.kubeconfig)
    return ProcessSpec(
        name=f"{member.name}.dcgm-simulator",
        argv=(sys.executable, "-m", "local.dcgm_simulator", "--kubeconfig", kubeconfig, "--port", str(port)),
        log=directory / "logs" / f"{member.name}-dcgm-simulator.log",
        env=own_environment(),
        cwd=directory,
        probe=functools.partial(listens, "127.0.0.1", port),
        depends_on=(f"{member.name}.kube-apiserver",),
    )


def agent(member: Member, directory: Path, port: int, dcgm_port: int, depends_on: tuple[str, ...]) -> ProcessSpec:
    """The agent's roles as one process with the ServiceAccount that the manifest made; its health is on ``port``."""
    environment = {
        "RUNAI_LOCAL": "1",
        "RUNAI_AGENT_PORT": str(port),
        "RUNAI_DCGM_URL": f"http://127.0.0.1:{dcgm_port}/metrics",
        "PYTHONUNBUFFERED": "1",
        **own_environment(),
    }
    kubeconfig = member.kubernetes.service_account_kubeconfig(NAMESPACE, ACCOUNT)
    return ProcessSpec(
        name=f"{member.name}.agent",
        argv=(sys.executable, "-m", "agent", *ROLES),
        log=directory / "logs" / f"{member.name}-agent.log",
        env={"KUBECONFIG": str(kubeconfig), **environment},
        cwd=directory,
        probe=functools.partial(listens, "127.0.0.1", port),
        depends_on=(f"{member.name}.kube-apiserver", *depends_on),
    )


def wait_connected(
    rest: Rest, member: Member, cluster: str, since: datetime, say: Callable[[str], None], timeout: float = 120
) -> None:
    """Until the control plane says Connected and has heard the agent after ``since``: an earlier run does not count.

    Raises ``JoinFailed`` with the last state it saw.
    """
    deadline, last = time.monotonic() + timeout, ""
    while time.monotonic() < deadline:
        found = rest.get(f"/clusters/{cluster}")
        state = _state(found)
        if state == "Connected" and not _heard_after(found, since):
            state = "not heard yet"
        if state != last:
            say(f"{member.name} is {state}")
            last = state
        if state == "Connected":
            return
        time.sleep(0.3)
    raise JoinFailed(f"{member.name} is not Connected after {timeout:.0f} s: {last or 'unknown'}")


def _state(document: dict[str, Any]) -> str:
    return str((document.get("status") or {}).get("state", "Unknown"))


def _heard_after(document: dict[str, Any], since: datetime) -> bool:
    heard = document.get("lastLiveness")
    return heard is not None and datetime.fromisoformat(heard) >= since
