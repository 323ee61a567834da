"""One local Kubernetes cluster as files, processes and a few objects: prepare, run ``processes()``, ``after_start``.

Whoever runs the processes (the stack's supervisor, or ``launcher``) restarts them; all state is in ``dir``, so a second
start is warm. As root the cluster lives in its own network namespace; as an ordinary user on loopback, KWOK nodes only.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from local.files import free_ports, port_is_free, read_json, write_json, write_private
from local.kube import authentication, cleanup, control_plane, netns, node, node_config, packages, simulated, sysctls
from local.kube.api import Api, ApiError
from local.kube.binaries import Binaries
from local.kube.cache import Progress
from local.kube.certs import Authority, leaves
from local.kube.control_plane import Layout, Ports
from local.kube.errors import KubeError
from local.process import ProcessSpec

STAGES = Path(__file__).resolve().parent / "stages.yaml"
KUBECONFIGS = ("controller-manager", "kwok", "kubelet", "kube-proxy", "coredns")
LONG_TOKEN_S = 365 * 24 * 3600


class ClusterError(KubeError):
    """The cluster did not come up as asked; the message says what is missing."""


def silent(_: str) -> None:
    """The progress of nobody."""


@dataclass
class LocalCluster:
    """A cluster named ``name`` in ``dir``: ``nodes`` KWOK nodes of ``gpus`` devices, and a real node if asked for.

    ``index`` (0-based) is where the search for a free network slot starts. ``host_address``, ``api_url`` and
    ``processes()`` are known after ``prepare()``. Every method may be repeated; ``teardown`` works after any crash.
    """

    name: str
    index: int
    dir: Path
    nodes: int
    gpus: int
    real_node: bool
    binaries: Binaries
    progress: Progress = silent
    _layout: Layout | None = field(default=None, init=False)
    _plan: netns.Plan | None = field(default=None, init=False)
    _prepared: datetime = field(default=node.LONG_AGO, init=False)

    def __post_init__(self) -> None:
        self.dir = self.dir.resolve()
        for label, value, most in (("nodes", self.nodes, 5000), ("gpus", self.gpus, 64)):
            if not 0 <= value <= most:
                raise ValueError(f"{label}: {value} is not between 0 and {most}")
        if self.real_node and (why := packages.refusal()):
            raise ValueError(f"real_node: {why}")

    @property
    def layout(self) -> Layout:
        if self._layout is None:
            raise ClusterError(f"cluster {self.name} is not prepared")
        return self._layout

    @property
    def api_url(self) -> str:
        return self.layout.api_url

    @property
    def host_address(self) -> str:
        """Where programs in the cluster reach the host: the host's end of the link, or loopback without one."""
        return self._plan.host_address if self._plan else self.layout.address

    @property
    def link_interface(self) -> str | None:
        """The host's end of the link, for tests that cut or delay it (``ip link set … down``, ``tc``)."""
        return self._plan.interface if self._plan else None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, usable from the host."""
        return self.dir / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """JSON lines: writes to pods, bindings and our own kinds."""
        return self.layout.audit_log

    @property
    def mark(self) -> str:
        """Name of the cluster's cgroup and of its directory of sockets, unique on this machine."""
        return "runai-" + hashlib.sha256(str(self.dir).encode()).hexdigest()[:10]

    @property
    def sockets(self) -> Path:
        """Short, because a socket's path may have 107 characters only."""
        return Path("/run") / self.mark

    def prepare(self) -> None:
        """Clean up after a crash, then make network, certificates, kubeconfigs, policies. Raises NetworkError."""
        self.teardown()
        if self.real_node:
            packages.ensure(self.progress)
        self.dir.mkdir(parents=True, exist_ok=True)
        self._prepared = datetime.now(UTC).replace(microsecond=0)
        state = read_json(self.dir / "network.json") or {}
        if netns.available():
            self._plan = netns.create(self.dir, self.index, state.get("slot"))
            self._layout = Layout(self.dir, self._plan.address, Ports(), isolated=True)
            write_json(self.dir / "network.json", {"slot": self._plan.slot})
        else:
            ports = _loopback_ports(state.get("ports"))
            self._layout = Layout(self.dir, "127.0.0.1", Ports(*ports), isolated=False)
            write_json(self.dir / "network.json", {"ports": ports})
        authority = Authority(self.layout.pki)
        authority.ensure()
        authority.issue(leaves(self.layout.address, node_config.NODE_NAME))
        authority.kubeconfig(self.kubeconfig, self.api_url, leaf="admin")
        for name in KUBECONFIGS:
            authority.kubeconfig(self.layout.kubeconfig(name), self.api_url, leaf=name)
        write_private(self.layout.audit_policy, yaml.safe_dump(control_plane.audit_policy(), sort_keys=False))
        if not self.layout.authentication.exists():
            authentication.write(self.layout.authentication)
        if self.real_node:
            node.prepare(self._node())

    def processes(self) -> list[ProcessSpec]:
        """Everything that runs, named ``CLUSTER.PROGRAM``, with probes and the order of start."""
        layout, programs = self.layout, self.binaries
        api = self._probe_api()
        specs = [
            self._spec(
                "etcd",
                control_plane.etcd_argv(programs["etcd"], layout),
                (),
                lambda: control_plane.etcd_healthy(layout),
            ),
            self._spec(
                "kube-apiserver",
                control_plane.api_server_argv(programs["kube-apiserver"], layout),
                ("etcd",),
                lambda: api().ready(),
            ),
            self._spec(
                "kube-controller-manager",
                control_plane.controller_manager_argv(programs["kube-controller-manager"], layout),
                ("kube-apiserver",),
                lambda: api().find("/api/v1/namespaces/default/serviceaccounts/default") is not None,
            ),
        ]
        if self.nodes:
            argv = control_plane.kwok_argv(programs["kwok"], layout, STAGES)
            specs.append(self._spec("kwok", argv, ("kube-apiserver",), None))
        if self.real_node:
            specs += [
                self._spec(one.program, one.argv, one.depends_on, one.probe, dict(one.env))
                for one in node.processes(self._node(), programs, api)
            ]
        return specs

    def after_start(self) -> None:
        """Nodes, GPUs and images; returns when every node is Ready. Raises ClusterError, ApiError, OSError."""
        api = Api(self.kubeconfig)
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(self._simulated_nodes, api)]
            if self.real_node:
                jobs.append(pool.submit(node.after_start, self._node(), api, self.progress, self._prepared))
            for job in jobs:
                job.result()

    def teardown(self) -> int:
        """End every process of it, orphans of a crash too, and remove what they left. ``dir`` keeps its data."""
        ended = cleanup.leave_nothing(self.dir, self.mark) if self.dir.is_dir() else 0
        if self.sockets.is_dir():
            shutil.rmtree(self.sockets, ignore_errors=True)
            sysctls.restore()
        self._plan = None
        return ended

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig that logs in as that ServiceAccount (made where missing) with a token valid for a year.

        Raises ApiError, for instance 404 where the namespace does not exist.
        """
        api = Api(self.kubeconfig)
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        api.create(account, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": LONG_TOKEN_S},
        }
        token = api.call("POST", f"{account}/{name}/token", request)["status"]["token"]
        path = self.dir / "kubeconfigs" / f"serviceaccount-{namespace}-{name}"
        return Authority(self.layout.pki).kubeconfig(path, self.api_url, token=token, namespace=namespace)

    def _node(self) -> node_config.NodeLayout:
        if self._plan is None:
            raise ClusterError(f"cluster {self.name} has no network namespace")
        return node_config.NodeLayout(self.layout, self._plan, self.sockets, self.mark, self.gpus, self.kubeconfig)

    def _spec(
        self,
        program: str,
        argv: tuple[str, ...],
        after: tuple[str, ...],
        probe: Callable[[], bool] | None,
        env: dict[str, str] | None = None,
    ) -> ProcessSpec:
        enter = self._plan.enter() if self._plan else ()
        return ProcessSpec(
            name=f"{self.name}.{program}",
            argv=(*enter, *argv),
            log=self.dir / "logs" / f"{program}.log",
            env={cleanup.MARK: str(self.dir)} | (env or {}),
            cwd=self.dir,
            probe=probe,
            depends_on=tuple(f"{self.name}.{one}" for one in after),
            stop_timeout_s=5,
        )

    def _probe_api(self) -> Callable[[], Api]:
        made: list[Api] = []

        def api() -> Api:
            if not made:
                made.append(Api(self.kubeconfig, timeout_s=3))
            return made[0]

        return api

    def _simulated_nodes(self, api: Api) -> None:
        wanted = {simulated.node_name(number): number for number in range(1, self.nodes + 1)}
        present = {item["metadata"]["name"] for item in _kwok_nodes(api)}
        for surplus in sorted(present - set(wanted)):
            api.call("DELETE", f"/api/v1/nodes/{surplus}")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self._simulated_node(api, number), wanted.values()))
        deadline = time.monotonic() + 60
        while True:
            ready = sum(node.is_ready(item) for item in _kwok_nodes(api))
            if ready >= self.nodes:
                return
            if time.monotonic() > deadline:
                raise ClusterError(f"{ready} of {self.nodes} simulated nodes are Ready after 60 s; see logs/kwok.log")
            time.sleep(0.2)

    def _simulated_node(self, api: Api, number: int) -> None:
        wanted = simulated.kwok_node(number, self.gpus)
        if api.create("/api/v1/nodes", wanted):
            return
        path = f"/api/v1/nodes/{wanted['metadata']['name']}"
        api.patch(path, {"metadata": {"labels": wanted["metadata"]["labels"]}, "spec": wanted["spec"]})
        api.patch(f"{path}/status", {"status": wanted["status"]})


def _kwok_nodes(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.call("GET", "/api/v1/nodes?labelSelector=type%3Dkwok")["items"]
    return found


def _loopback_ports(recorded: Any) -> list[int]:
    if isinstance(recorded, list) and len(recorded) == 4 and all(port_is_free(port) for port in recorded):
        return recorded
    return free_ports(4)


__all__ = ["ApiError", "ClusterError", "LocalCluster"]
