"""Command lines of etcd, API server, controller manager and KWOK, and the audit policy. Paths in, words out.

``cluster`` puts them into process specs, as root behind ``nsenter`` into the cluster's network namespace.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICE_RANGE = "10.43.0.0/16"
POD_RANGE = "10.42.0.0/16"
SIMULATED_POD_RANGE = "10.44.0.0/16"
KWOK_LABEL = "type=kwok"
"""Nodes with this label are played by KWOK; kubelet's own are left alone."""


@dataclass(frozen=True)
class Ports:
    """TCP ports of one control plane. In a network namespace of its own they are the usual ones."""

    api: int = 6443
    etcd: int = 2379
    etcd_peer: int = 2380
    etcd_health: int = 2381


@dataclass(frozen=True)
class Layout:
    """Where one cluster keeps its files, and where it answers. ``directory`` is absolute."""

    directory: Path
    address: str
    ports: Ports
    isolated: bool
    """True in a network namespace of its own: the API server then listens on every address of it."""

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    @property
    def audit_policy(self) -> Path:
        return self.directory / "audit-policy.yaml"

    @property
    def authentication(self) -> Path:
        return self.directory / "authentication.json"

    @property
    def api_url(self) -> str:
        return f"https://{self.address}:{self.ports.api}"

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.etcd}"

    @property
    def etcd_health_url(self) -> str:
        """Health and metrics only, so that it may be reachable from outside of the namespace."""
        return f"http://{self.address}:{self.ports.etcd_health}"

    def kubeconfig(self, name: str) -> Path:
        return self.directory / "kubeconfigs" / name


def etcd_argv(program: Path, layout: Layout) -> tuple[str, ...]:
    """etcd without fsync: a killed process loses nothing, a machine that loses power may."""
    peer = f"http://127.0.0.1:{layout.ports.etcd_peer}"
    return (
        str(program),
        "--name=local",
        f"--data-dir={layout.directory / 'etcd'}",
        f"--listen-client-urls={layout.etcd_url}",
        f"--advertise-client-urls={layout.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        f"--listen-metrics-urls={layout.etcd_health_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def etcd_healthy(layout: Layout) -> bool:
    """Whether etcd serves. Raises OSError while it does not answer."""
    with urllib.request.urlopen(f"{layout.etcd_health_url}/health", timeout=2) as answer:
        return bool(json.load(answer).get("health") == "true")


def api_server_argv(program: Path, layout: Layout) -> tuple[str, ...]:
    pki = layout.pki
    where: tuple[str, ...] = ("--bind-address=0.0.0.0",) if layout.isolated else ("--bind-address=127.0.0.1",)
    if not layout.isolated:
        # Endpoints must not be loopback addresses, so nothing is written into the service "kubernetes".
        where = (*where, "--endpoint-reconciler-type=none")
    return (
        str(program),
        *where,
        f"--advertise-address={layout.address}",
        f"--secure-port={layout.ports.api}",
        f"--etcd-servers={layout.etcd_url}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'sa.key'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--authentication-config={layout.authentication}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--cert-dir={layout.directory / 'run'}",
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=200",
        "--audit-log-maxbackup=2",
        "--profiling=false",
    )


def controller_manager_argv(program: Path, layout: Layout) -> tuple[str, ...]:
    config = layout.kubeconfig("controller-manager")
    return (
        str(program),
        f"--kubeconfig={config}",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.pki / 'sa.key'}",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--concurrent-gc-syncs=10",
        "--profiling=false",
    )


def kwok_argv(program: Path, layout: Layout, stages: Path) -> tuple[str, ...]:
    return (
        str(program),
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--config={stages}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-label-selector={KWOK_LABEL}",
        f"--cidr={SIMULATED_POD_RANGE}",
        "--node-ip=10.44.0.1",
        "--node-lease-duration-seconds=40",
    )


def audit_policy() -> dict[str, Any]:
    """Writes to pods, bindings and our own kinds, with bodies; of what else our roles make and remove, who and when."""
    writes = ["create", "update", "patch", "delete", "deletecollection"]
    ours = [{"group": group} for group in ("run.ai", "scheduling.run.ai")]
    pods = [{"group": "", "resources": ["pods", "pods/binding", "pods/eviction", "bindings"]}]
    made = [{"group": "", "resources": ["namespaces", "services", "configmaps"]}]
    made += [{"group": "rbac.authorization.k8s.io", "resources": ["rolebindings"]}]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "Request", "verbs": writes, "resources": pods + ours},
            {"level": "Metadata", "verbs": writes, "resources": [{"group": "", "resources": ["pods/status"]}]},
            {"level": "Metadata", "verbs": ["create", "patch"], "resources": made},
            {"level": "Metadata", "verbs": ["delete", "deletecollection"]},
            {"level": "None"},
        ],
    }
