"""Starts process specs detached from the caller, for a cluster without the stack's supervisor (tests, ``local.kube``).

Nobody restarts what dies here. Ending is ``cleanup``'s work, which finds the processes by the cluster's mark.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from local.files import tail
from local.kube.cluster import LocalCluster
from local.kube.errors import KubeError
from local.process import ProcessSpec


def up(cluster: LocalCluster) -> None:
    """Bring a cluster up and return when all its nodes are Ready; what was started is stopped again on failure."""
    started = time.monotonic()
    try:
        cluster.prepare()
        start_all(cluster.processes())
        cluster.progress(f"API server {cluster.api_url} ready after {time.monotonic() - started:.1f} s")
        cluster.after_start()
    except BaseException:
        cluster.teardown()
        raise
    cluster.progress(f"all nodes Ready after {time.monotonic() - started:.1f} s; KUBECONFIG={cluster.kubeconfig}")


class StartError(KubeError):
    """A process ended or did not become ready in time; the message holds the end of its log."""


def start_all(specs: Sequence[ProcessSpec]) -> dict[str, int]:
    """Start in dependency order, as parallel as that allows, and wait for every probe. Raises StartError."""
    pids: dict[str, int] = {}
    waiting = {spec.name: spec for spec in specs}
    ready: set[str] = set()
    while waiting:
        wave = [spec for spec in waiting.values() if set(spec.depends_on) <= ready]
        if not wave:
            raise StartError(f"processes wait for each other or for unknown ones: {', '.join(sorted(waiting))}")
        with ThreadPoolExecutor(len(wave)) as pool:
            for spec, pid in zip(wave, pool.map(_start, wave), strict=True):
                pids[spec.name] = pid
                ready.add(spec.name)
                del waiting[spec.name]
    return pids


def _start(spec: ProcessSpec) -> int:
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("ab") as log:
        child = subprocess.Popen(
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | dict(spec.env),
            cwd=spec.cwd,
            user=spec.user,
            start_new_session=True,
        )
    deadline = time.monotonic() + spec.ready_timeout_s
    while not _probed(spec):
        if child.poll() is not None:
            raise StartError(f"{spec.name} ended with status {child.returncode}:\n{tail(spec.log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{spec.name} is not ready after {spec.ready_timeout_s:.0f} s:\n{tail(spec.log)}")
        time.sleep(0.1)
    return child.pid


def _probed(spec: ProcessSpec) -> bool:
    try:
        return spec.probe is None or spec.probe()
    except OSError:
        return False
