"""The ground of ``bench cluster``: a fresh API server with KWOK nodes, one scheduler, and what each of them uses."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from bench import _cluster_floor as floor
from local.files import free_ports, tail, write_private
from local.kube.api import Api
from local.kube.binaries import CONTROL_PLANE, ensure
from local.kube.certs import Authority
from local.kube.cluster import STAGES, LocalCluster
from local.kube.launcher import start_all

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = (*CONTROL_PLANE, "kube-scheduler")
OURS, THEIRS, FLOOR = "runai", "kube-scheduler", "floor"
NAMES = {OURS: "runai-scheduler", THEIRS: "default-scheduler", FLOOR: floor.NAME}
"""Scheduler → ``schedulerName`` of its pods."""
_TICK = os.sysconf("SC_CLK_TCK")
_REQUEST = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.M)
_BODY = re.compile(r"^apiserver_request_body_size_bytes_sum\{.*\} (\S+)$", re.M)
_BYTES = re.compile(r'^runai_api_bytes_total\{direction="(\w+)"\} (\S+)$', re.M)
_WRITES = re.compile(r'^runai_api_requests_total\{code="2\d\d",method="(?:POST|PUT|PATCH|DELETE)"\} (\S+)$', re.M)
_WRITING = ("POST ", "PUT ", "PATCH ", "DELETE ")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Ground:
    """A running control plane and scheduler."""

    cluster: LocalCluster
    pids: dict[str, int]
    load: list[int] = field(default_factory=lambda: [os.getpid()])
    """The processes that make the load and watch it."""
    schedulers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def kubeconfig(self) -> str:
        return str(_token_kubeconfig(self.cluster))

    def start(self, which: str, *, host: str = "") -> subprocess.Popen[bytes]:
        """Start the scheduler; its log lies beside the others. ``host``: ours, with leader election, as a process of a
        machine of that name."""
        argv = self._elected(host) if host else self._alone(which)
        with (self.cluster.dir / "logs" / "scheduler.log").open("ab") as log:
            env = {**os.environ, "KUBECONFIG": self.kubeconfig}
            self.schedulers.append(subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log))
        self.pids["scheduler"] = self.schedulers[-1].pid
        return self.schedulers[-1]

    def _elected(self, host: str) -> list[str]:
        return [sys.executable, "-m", "bench._cluster_elsewhere", host, "scheduler"]

    def _alone(self, which: str) -> list[str]:
        if which == OURS:
            self.port = free_ports(1)[0]
            argv = [sys.executable, "-m", "agent", "scheduler", "--no-leader-election", "--port", str(self.port)]
        elif which == FLOOR:
            argv = [sys.executable, "-m", "bench._cluster_floor", self.kubeconfig]
        else:
            program = str(self.cluster.binaries["kube-scheduler"])
            limits = ["--kube-api-qps=5000", "--kube-api-burst=5000", "--leader-elect=false", "--secure-port=0"]
            argv = [program, f"--kubeconfig={self.kubeconfig}", *limits]
        return argv

    def last_words(self) -> str:
        """The end of the scheduler's log."""
        return tail(self.cluster.dir / "logs" / "scheduler.log")

    def stop(self) -> None:
        for one in self.schedulers:
            one.terminate()
        for one in self.schedulers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(5)
            one.kill()
            one.wait()


@contextlib.contextmanager
def ground(nodes: int) -> Iterator[Ground]:
    """A control plane without audit log and controllers: etcd, API server and KWOK. ``nodes`` are made by the load."""
    binaries = ensure(lambda line: print(line, file=sys.stderr), PROGRAMS)
    with tempfile.TemporaryDirectory(prefix="runai-bench-") as folder:
        cluster = LocalCluster("bench", 150, Path(folder) / "cluster", nodes, 8, False, binaries)
        cluster.prepare()
        try:
            wanted = [spec for spec in cluster.processes() if not spec.name.endswith("controller-manager")]
            stages = _quiet_stages(cluster.dir)
            sign_in = _sign_in(cluster)
            wanted = [replace(spec, argv=_lean(spec.argv, stages, sign_in)) for spec in wanted]
            pids = {name.partition(".")[2]: pid for name, pid in start_all(wanted).items()}
            made = Ground(cluster, pids)
            try:
                yield made
            finally:
                made.stop()
        finally:
            cluster.teardown()


def _quiet_stages(folder: Path) -> Path:
    """KWOK's stages without their Events, so that all Events are the scheduler's."""
    stages = list(yaml.safe_load_all(STAGES.read_text()))
    for stage in stages:
        stage["spec"]["next"].pop("event", None)
    found = folder / "stages.yaml"
    found.write_text(yaml.safe_dump_all(stages))
    return found


def _token_kubeconfig(cluster: LocalCluster) -> Path:
    return cluster.dir / "kubeconfigs" / "bench"


def _sign_in(cluster: LocalCluster) -> Path:
    """Everybody signs in by a token, as pods do: the chain of a client certificate is verified anew for each request,
    which takes a tenth of the API server's time. The API server's file of tokens."""
    token, tokens = secrets.token_hex(16), cluster.dir / "tokens.csv"
    write_private(tokens, f'{token},bench,bench,"system:masters"\n')
    Authority(cluster.layout.pki).kubeconfig(_token_kubeconfig(cluster), cluster.api_url, token=token)
    return tokens


def _lean(argv: Sequence[str], stages: Path, tokens: Path) -> tuple[str, ...]:
    """No audit log; no admission whose other half is a controller that does not run here."""
    kept = tuple(word for word in argv if not word.startswith("--audit-"))
    kept = tuple(f"--config={stages}" if word == f"--config={STAGES}" else word for word in kept)
    if any("kube-apiserver" in word for word in argv[:9]):
        lean = "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition"
        return (*kept, lean, f"--token-auth-file={tokens}")
    if any("kwok" in word for word in argv[:9]):
        config = f"--kubeconfig={tokens.parent / 'kubeconfigs' / 'bench'}"
        return tuple(config if word.startswith("--kubeconfig=") else word for word in kept)
    return kept


@dataclass(frozen=True)
class Usage:
    """Processor seconds by program and of the whole machine, requests and bytes, at one moment."""

    at: float
    cpu: dict[str, float]
    load: float
    busy: float
    requests: Counter[str]
    body_bytes: float
    agent: dict[str, float]
    """Our scheduler's own count of writes and of bytes sent and received."""


def usage(made: Ground) -> Usage:
    metrics = Api(_token_kubeconfig(made.cluster), timeout_s=60).call("GET", "/metrics")
    return Usage(
        time.monotonic(),
        {name: _cpu(pid) for name, pid in made.pids.items()},
        sum(map(_cpu, made.load)),
        _busy(),
        _requests(metrics),
        sum(float(value) for value in _BODY.findall(metrics)),
        _agent_counts(made.port),
    )


def spent(before: Usage, after: Usage, pods: int) -> dict[str, object]:
    """What lies between, per pod where that says more: processor ms, requests, bytes."""
    wall = after.at - before.at
    cpu = {name: after.cpu[name] - before.cpu[name] for name in after.cpu}
    load = after.load - before.load
    made = {key: int(count - before.requests[key]) for key, count in after.requests.items()}
    made = {key: count for key, count in sorted(made.items(), key=lambda pair: -pair[1]) if count > 0}
    figures: dict[str, object] = {
        "api_cpu_ms_per_pod": round(1000 * cpu["kube-apiserver"] / pods, 2),
        "all_cpu_ms_per_pod": round(1000 * sum(cpu.values()) / pods, 2),
        "scheduler_cpu_ms_per_pod": round(1000 * cpu.get("scheduler", 0.0) / pods, 2),
        "cpu_ms_per_pod": {name: round(1000 * used / pods, 2) for name, used in cpu.items()},
        "load_cpu_ms_per_pod": round(1000 * load / pods, 2),
        "requests": made,
        "requests_per_pod": round(sum(made.values()) / pods, 2),
        "request_bytes_per_pod": round((after.body_bytes - before.body_bytes) / pods),
        "foreign_cores": round((after.busy - before.busy - sum(cpu.values()) - load) / wall, 2),
    }
    others = made.get("POST pods", 0) + min(pods, made.get("PATCH pods/status", 0))  # the load's and KWOK's
    writes = sum(n for key, n in made.items() if key.startswith(_WRITING) and "leases" not in key) - others
    figures["scheduler_writes_per_pod"] = round(writes / pods, 2)
    for name, count in after.agent.items():
        figures[f"scheduler_{name}_per_pod"] = round((count - before.agent.get(name, 0)) / pods, 2)
    return figures


def api_ms(before: Usage, after: Usage, pods: int) -> float:
    """Milliseconds of the API server's processor time a pod between two moments."""
    return round(1000 * (after.cpu["kube-apiserver"] - before.cpu["kube-apiserver"]) / pods, 2)


def peak_mib(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return round(int(found[1]) / 1024, 1) if found else 0.0


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _busy() -> float:
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + soft) / _TICK


def _requests(metrics: str) -> Counter[str]:
    """Requests that were answered, by verb and resource; watches are not counted."""
    counts: Counter[str] = Counter()
    for labels, value in _REQUEST.findall(metrics):
        label = dict(_LABEL.findall(labels))
        if label["verb"] in ("WATCH", "CONNECT"):
            continue
        part = f"/{label['subresource']}" if label.get("subresource") else ""
        refused = f" ({label['code']})" if label["code"] >= "400" else ""
        counts[f"{label['verb']} {label['resource'] or '-'}{part}{refused}"] += int(float(value))
    return counts


def _agent_counts(port: int) -> dict[str, float]:
    if not port:
        return {}
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
        found = {f"bytes_{direction}": float(value) for direction, value in _BYTES.findall(text)}
        return found | {"writes": sum(float(value) for value in _WRITES.findall(text))}
    return {}
