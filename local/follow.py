"""``python -m local run FILE``: submit through REST, show each change of status and the log, end as it ends."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from agent.wire.phases import FINAL, Phase
from local import commands, manifest
from local.document import document
from local.manifest import BadManifest, Manifest
from local.rest import Rest, RestError
from local.state import State

NEEDS_A_REAL_NODE = 3
POLL_S = 0.4
DRAIN_S = 15.0
"""How long the end of a log may come after the end of its workload."""
STARTED = frozenset({"Running", "Succeeded", "Failed"})
"""Phases of a pod that may have a log."""


def run(directory: Path, given: dict[str, Any], file: Path, *, timeout: float) -> int:
    """0 when it Completed, or Running for what has no end; 1 when it did not (with the cause), 2 for a bad manifest, 3
    where a real node is missing."""
    try:
        wanted = manifest.read(file)
    except (BadManifest, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if code := commands.ensure_up(directory, given):
        return code
    facts = document(State(directory))
    if wanted.needs_a_real_node and not (facts["clusters"] and facts["clusters"][0].get("real_node")):
        print(f"{file} needs a real node to run its container, and this stack has none: its nodes are simulated")
        return NEEDS_A_REAL_NODE
    application = facts["application"]
    with Rest(facts["api"], application["id"], application["secret"]) as rest:
        try:
            workload = submit(rest, wanted, facts["cluster"]["uuid"])
            commands.say(f"\n{workload['name']} is submitted to project {wanted.project}: {facts['console']}")
            return Follower(rest, str(workload["id"]), timeout, endless=wanted.endless).to_the_end()
        except (RestError, httpx.HTTPError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1


def submit(rest: Rest, wanted: Manifest, cluster: str) -> dict[str, Any]:
    """POST it under a fresh name, so that the same file can be run again; returns the metadata of the answer."""
    projects = rest.get("/org-unit/projects", filterBy=f"name=={wanted.project},clusterId=={cluster}")["projects"]
    if not projects:
        raise RestError("GET", "/org-unit/projects", 404, f"there is no project {wanted.project!r} in this cluster")
    name = f"{wanted.name}-{secrets.token_hex(3)}"
    path, body = manifest.request(wanted, name=name, project_id=str(projects[0]["id"]), cluster_id=cluster)
    answer: dict[str, Any] = rest.post(path, body, key=name).json()["metadata"]
    return answer


@dataclass
class PodLog:
    """How far the log of one pod has been read."""

    pod: str
    stream: str = ""
    offset: int = 0
    rest: str = ""
    """The beginning of a line whose end has not come."""
    ended: bool = False


class Follower:
    """Watches one workload: prints what changes, streams its pods' logs, and knows how it ended."""

    def __init__(self, rest: Rest, workload_id: str, timeout: float, *, endless: bool = False) -> None:
        """``endless``: a workspace or a service; it is followed until it is Running, and left so."""
        self._endless = endless
        self._rest, self._path = rest, f"/workloads/{workload_id}"
        self._deadline = time.monotonic() + timeout
        self._shown = ""
        self._logs: dict[str, PodLog] = {}

    def to_the_end(self) -> int:
        """Exit status: 0 Completed; 1 otherwise, after the cause was printed."""
        while True:
            workload = self._rest.get(self._path)
            final = workload.get("phase") in FINAL
            if final:
                self._drain()
            else:
                self._read_logs()
            self._show_status(workload)
            if final:
                return self._ended(workload)
            if self._endless and workload.get("phase") == Phase.RUNNING:
                commands.say(f"it stays up until you delete it: {workload.get('name', '')}")
                return 0
            if time.monotonic() > self._deadline:
                commands.say(f"still {workload.get('phase')} when the time was over: {sentence(workload)}")
                return 1
            time.sleep(POLL_S)

    def _show_status(self, workload: dict[str, Any]) -> None:
        line = f"{workload.get('phase', 'Unknown')}: {sentence(workload)}".removesuffix(": ")
        if line != self._shown:
            self._shown = line
            commands.say(f"[{time.strftime('%H:%M:%S')}] {line}")

    def _read_logs(self) -> None:
        """Print what the logs have gained since the last look. A log that cannot be read now is asked for again."""
        for pod in self._rest.get(f"{self._path}/pods")["pods"]:
            if pod["k8sPhase"] in STARTED:
                self._logs.setdefault(pod["name"], PodLog(pod["name"]))
        for log in self._logs.values():
            if not log.ended:
                self._read_log(log)

    def _read_log(self, log: PodLog) -> None:
        more = {"stream": log.stream, "offset": log.offset} if log.stream else {"follow": "true"}
        try:
            part = self._rest.get(f"{self._path}/logs", pod=log.pod, wait=0, **more)
        except RestError as error:
            if error.status in (404, 409, 503):
                return
            raise
        if log.stream:
            log.offset = part["nextOffset"]
        # A new stream of the same log has the same bytes, so after a fault reading goes on where it was.
        log.stream, log.ended = "" if part["error"] else part["stream"] or "", bool(part["ended"])
        *lines, log.rest = (log.rest + part["text"]).split("\n")
        if log.ended and log.rest:
            lines.append(log.rest)
        prefix = f"{log.pod} | " if len(self._logs) > 1 else "| "
        for line in lines:
            commands.say(f"  {prefix}{line}")

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        self._read_logs()
        while not all(log.ended for log in self._logs.values()) and time.monotonic() < deadline:
            time.sleep(POLL_S / 2)
            self._read_logs()

    def _ended(self, workload: dict[str, Any]) -> int:
        if workload.get("phase") == Phase.COMPLETED:
            return 0
        print(f"{workload.get('phase')}: {sentence(workload) or 'no cause was reported'}", file=sys.stderr)
        return 1


def sentence(workload: dict[str, Any]) -> str:
    """The status sentence, the same as in the console and in ``kubectl describe``."""
    return str(workload.get("phaseMessage") or "")
