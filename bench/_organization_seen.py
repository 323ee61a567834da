"""How soon a change, and what becomes of it, is on the page: on a stack with a real control plane and a real agent.

A tab asks as the browser's does (``static/js/live.js``): its page, then its fragment with the tag of the last one, as
often as the page itself says. Times are of one clock, from before the change is sent to after the answer that shows it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from agent.wire.labels import NODE_POOL
from bench._main_stack import Target
from local.console import Console
from local.kube.binaries import ensure

PATIENCE_S = 120.0
TARGET_MS = 2000
NOT_TAKEN = "has not taken the last change yet"
_EVERY = re.compile(r'data-every="([0-9.]+)"')
_TITLE = re.compile(r'<h1 id="title">.*?</h1>', re.DOTALL)


class Tab:
    """A live page that somebody looks at."""

    def __init__(self, console: Console, path: str) -> None:
        self._console, self._path, self._tag = console, path, ""
        self.shown = console.get(path).text
        self._next = time.monotonic() + min(2.0, self._every)

    @property
    def _every(self) -> float:
        found = _EVERY.search(self.shown)
        return float(found[1]) if found else 4.0

    def until(self, begun: float, shows: Callable[[str], bool]) -> float:
        """Milliseconds after ``begun`` when the page has it. Raises ``TimeoutError`` after ``PATIENCE_S``."""
        while not shows(self.shown):
            if time.monotonic() - begun > PATIENCE_S:
                raise TimeoutError(f"{self._path} does not show it: {self.shown[:2000]}")
            time.sleep(max(0.0, self._next - time.monotonic()))
            answer = self._console.fragment(self._path, self._tag)
            if answer.status_code != 304:
                self._tag, self.shown = answer.headers["ETag"], answer.text
            self._next = time.monotonic() + self._every
        return (time.monotonic() - begun) * 1000


class Place:
    """The stack as an administrator has it: REST, a console session, kubectl."""

    def __init__(self, target: Target, console: Console, http: httpx.Client) -> None:
        self.target, self.console, self._http = target, console, http
        self.cluster = str(target.facts["cluster"]["uuid"])
        self._kubectl = str(ensure(lambda _: None, ("kubectl",))["kubectl"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"/api/v1{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def kubectl(self, *words: str) -> str:
        argv = [self._kubectl, "--kubeconfig", str(self.target.facts["kubeconfig"]), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def measure(target: Target, repeats: int) -> None:
    """A line for each kind of change; ``*_ms`` are of the page, ``cluster_ms`` of the cluster itself."""
    tenant = target.facts["tenants"][0]
    with target.rest() as rest:
        headers = {"Authorization": f"Bearer {rest.token()}"}
    with (
        Console(tenant, tenant["admin"]) as console,
        httpx.Client(base_url=target.facts["api"], headers=headers, timeout=30, trust_env=False) as http,
    ):
        place = Place(target, console, http)
        ready, ruled, gone, ended = zip(*(_project(place) for _ in range(repeats)), strict=True)
        _show("project made, until Ready", **_spread(ready))
        _show("scheduling rule, until the cluster has it", **_spread(ruled))
        late = [seen - end for seen, end in zip(gone, ended, strict=True)]
        cluster_ms = round(statistics.median(ended), 1)
        _show("project deleted, after its namespace has gone", **_spread(late), cluster_ms=cluster_ms)
        with _own_node(place) as node:
            moved = [_label(place, node) for _ in range(repeats)]
        _show("node pool's label, until its node is in it", **_spread(moved))
        _show("cluster disconnected", **_spread([_silence(place)]))


def _project(place: Place) -> tuple[float, float, float, float]:
    """Milliseconds: made until Ready; a rule until taken; deleted until off the list; until the namespace is gone."""
    name = f"seen-{secrets.token_hex(3)}"
    begun = time.monotonic()
    made = place.ask("POST", "/org-unit/projects", {"name": name, "clusterId": place.cluster, "resources": []})
    one = f"/projects/{made['id']}/"
    ready = Tab(place.console, one).until(begun, lambda page: _titled(page, "Ready"))
    begun = time.monotonic()
    rule = {"resources": [], "schedulingRules": {"trainingJobTimeLimitSeconds": 7200}}
    place.ask("PUT", f"/org-unit/projects/{made['id']}", rule)
    ruled = Tab(place.console, one).until(begun, lambda page: "<dd>2 h</dd>" in page and NOT_TAKEN not in page)
    begun = time.monotonic()
    place.ask("DELETE", f"/org-unit/projects/{made['id']}")
    ended = _watch(lambda: not place.kubectl("get", "namespace", f"runai-{name}", "--ignore-not-found"))
    row = f'id="projects-{made["id"]}"'
    gone = Tab(place.console, f"/projects/?q={name}").until(begun, lambda page: row not in page)
    return ready, ruled, gone, (ended() - begun) * 1000


def _titled(page: str, word: str) -> bool:
    found = _TITLE.search(page)
    return bool(found and re.search(rf">{word}<|{word}</span>", found[0]))


@contextmanager
def _own_node(place: Place) -> Iterator[str]:
    """A simulated node that belongs to no pool by its own label; as it was, afterwards."""
    nodes = place.ask("GET", "/nodes?limit=500")["nodes"]
    node = next(row for row in nodes if row["simulated"] and row["clusterUuid"] == place.cluster)
    name, pool = str(node["name"]), str(node["nodePool"])
    place.kubectl("label", "node", name, "bench-seen=here", f"{NODE_POOL}-")
    try:
        yield name
    finally:
        place.kubectl("label", "node", name, "bench-seen-", f"{NODE_POOL}={pool}", "--overwrite")


def _label(place: Place, node: str) -> float:
    """Milliseconds from the change of a pool's label until the page of its nodes has the node."""
    name = f"seen-{secrets.token_hex(3)}"
    body = {"name": name, "labelKey": "bench-seen", "labelValue": "elsewhere", "clusterId": place.cluster}
    pool = place.ask("POST", "/node-pools", body)
    time.sleep(3)  # the pool is in the cluster: this is about its label
    begun = time.monotonic()
    place.ask("PATCH", f"/node-pools/{pool['id']}", {"labelKey": "bench-seen", "labelValue": "here"})
    moved = Tab(place.console, f"/nodes/?pool={name}").until(begun, lambda page: f">{node}</a>" in page)
    place.ask("DELETE", f"/node-pools/{pool['id']}")
    _until(lambda: all(row["name"] != name for row in place.ask("GET", "/node-pools?limit=500")["nodepools"]))
    return moved


def _silence(place: Place) -> float:
    """Milliseconds from when REST says that the cluster is disconnected until its page does: its agent is killed as
    often as it is started again."""
    tab, agent = Tab(place.console, f"/clusters/{place.cluster}/"), f"{place.target.facts['cluster']['name']}.agent"
    stop = threading.Event()

    def keep_down() -> None:
        while not stop.wait(0.2):
            pid = place.target.processes().get(agent)
            if pid:
                _kill(pid)

    killer = threading.Thread(target=keep_down, daemon=True)
    killer.start()
    try:
        known = _watch(lambda: _state(place) == "Disconnected")
        tab.until(time.monotonic(), lambda page: _titled(page, "Disconnected"))
        return max(0.0, time.monotonic() - known()) * 1000
    finally:
        stop.set()
        killer.join()
        _until(lambda: _state(place) == "Connected")


def _state(place: Place) -> str:
    return str((place.ask("GET", f"/clusters/{place.cluster}").get("status") or {}).get("state"))


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _watch(ended: Callable[[], bool]) -> Callable[[], float]:
    """Look ten times a second, beside the tab. What it returns waits for the end and gives its monotonic seconds."""
    found: list[float] = []

    def look() -> None:
        _until(ended)
        found.append(time.monotonic())

    looking = threading.Thread(target=look, daemon=True)
    looking.start()

    def result() -> float:
        looking.join(PATIENCE_S)
        return found[0]

    return result


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.1)


def _show(seen: str, **figures: Any) -> None:
    print(json.dumps({"figure": f"seen: {seen}", **figures, "target_ms": TARGET_MS}), flush=True)


def _spread(values: Any) -> dict[str, float]:
    """Milliseconds: median and the largest."""
    return {"p50_ms": round(statistics.median(values), 1), "max_ms": round(max(values), 1), "times": len(values)}
