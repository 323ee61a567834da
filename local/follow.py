"""``python -m local run FILE``: submit through REST, show each change of status and the log, end as it ends."""

from __future__ import annotations

import secrets
import sys
import time
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


def run(directory: Path, given: dict[str, Any], file: Path, *, timeout: float) -> int:
    """0 when it Completed, 1 when it did not (with the cause), 2 for a bad manifest, 3 where a real node is missing."""
    try:
        wanted = manifest.read(file)
    except (BadManifest, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if code := commands.up(directory, given, None):
        return code
    facts = document(State(directory))
    if wanted.needs_a_real_node and not facts["clusters"][0].get("real_node"):
        print(f"{file} needs a real node to run its container, and this stack has simulated nodes only")
        return NEEDS_A_REAL_NODE
    application = facts["application"]
    with Rest(facts["api"], application["id"], application["secret"]) as rest:
        try:
            path, workload = submit(rest, wanted, facts["cluster"]["uuid"])
            commands.say(f"\n{workload['name']} is submitted to project {wanted.project}: {facts['console']}")
            return Follower(rest, path, str(workload["workloadId"]), timeout).to_the_end()
        except (RestError, httpx.HTTPError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1


def submit(rest: Rest, wanted: Manifest, cluster: str) -> tuple[str, dict[str, Any]]:
    """POST it under a fresh name, so that the same file can be run again; returns its path and the answer."""
    projects = rest.get("/org-unit/projects", filterBy=f"name=={wanted.project},clusterId=={cluster}")["projects"]
    if not projects:
        raise RestError("GET", "/org-unit/projects", 404, f"there is no project {wanted.project!r} in this cluster")
    name = f"{wanted.name}-{secrets.token_hex(3)}"
    path, body = manifest.request(wanted, name=name, project_id=str(projects[0]["id"]), cluster_id=cluster)
    return path, rest.post(path, body, key=name).json()


class Follower:
    """Watches one workload: prints what changes, streams its log, and knows how it ended."""

    def __init__(self, rest: Rest, path: str, workload_id: str, timeout: float) -> None:
        self._rest, self._path, self._id = rest, path, workload_id
        self._deadline = time.monotonic() + timeout
        self._shown = ""
        self._log_shown = 0

    def to_the_end(self) -> int:
        """Exit status: 0 Completed; 1 otherwise, after the cause was printed."""
        while True:
            workload = self._rest.get(f"/workloads/{self._id}")
            self._show_status(workload)
            self._show_log()
            phase = workload.get("phase", "")
            if phase in FINAL:
                return self._ended(workload)
            if time.monotonic() > self._deadline:
                commands.say(f"still {phase} when the time was over: {sentence(workload)}")
                return 1
            time.sleep(POLL_S)

    def _show_status(self, workload: dict[str, Any]) -> None:
        line = f"{workload.get('phase', 'Unknown')}: {sentence(workload)}".removesuffix(": ")
        if line != self._shown:
            self._shown = line
            commands.say(f"[{time.strftime('%H:%M:%S')}] {line}")

    def _show_log(self) -> None:
        """Print what the log has gained since the last look."""
        try:
            text = self._rest.text(f"/workloads/{self._id}/logs")
        except RestError as error:
            if error.status in (404, 409, 503):
                return
            raise
        for line in text.splitlines()[self._log_shown :]:
            commands.say(f"  | {line}")
        self._log_shown = max(self._log_shown, len(text.splitlines()))

    def _ended(self, workload: dict[str, Any]) -> int:
        if workload.get("phase") == Phase.COMPLETED:
            return 0
        print(f"{workload.get('phase')}: {sentence(workload) or 'no cause was reported'}", file=sys.stderr)
        return 1


def sentence(workload: dict[str, Any]) -> str:
    """The status sentence, wherever this version of the API puts it."""
    return str(workload.get("phaseMessage") or "")
