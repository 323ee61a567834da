"""Console and REST with many workloads: time and queries as the server says them, bytes, and the client's time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from bench._main_figures import Line, line, spread
from bench._main_stack import Target
from local.console import Console

_TOTAL = re.compile(r"total;dur=([\d.]+)")
_QUERIES = re.compile(r'desc="(\d+) queries"')
LIST_TARGETS = {"p95": 150.0, "queries": 15.0, "kib": 200.0}


def fill(target: Target, workloads: int) -> int:
    """Rows up to ``workloads`` in the first tenant. Returns how many there are."""
    with target.rest() as rest:
        have = int(rest.get("/workloads/count")["count"])
        if have < workloads:
            target.manage("fill_workloads", target.facts["tenant"], "--workloads", str(workloads - have))
        return int(rest.get("/workloads/count")["count"])


def measure(target: Target, rounds: int, workloads: int) -> Iterator[Line]:
    """Lines ``console_list``, ``console_detail``, ``rest_list`` …; ``p*`` are server milliseconds."""
    tenant = target.facts["tenants"][0]
    with Console(tenant, tenant["admin"]) as console, target.rest() as rest:
        newest = rest.get("/workloads", limit=1, sortBy="createdAt", sortOrder="desc")["workloads"][0]
        rows = rest.get("/workloads/count")["count"]
        pages = {
            "console_list": ("/workloads/", LIST_TARGETS),
            "console_list_filtered": ("/workloads/?phase=Failed&q=sweep", LIST_TARGETS),
            "console_list_sorted": ("/workloads/?sort=name&page=20", LIST_TARGETS),
            "console_list_refresh": ("/workloads/", {"p95": 150.0}),
            "console_detail": (f"/workloads/{newest['id']}/", None),
            "console_overview": ("/", None),
            "console_nodes": ("/nodes/", None),
        }
        for name, (path, limits) in pages.items():
            fragment = {"HX-Request": "true", "HX-Request-Type": "partial"} if name.endswith("refresh") else {}
            yield _line(name, lambda path=path, more=fragment: console.get(path, **more), rounds, limits, rows, path)
        for name, path in (("rest_list", "/workloads"), ("rest_detail", f"/workloads/{newest['id']}")):
            yield _line(name, lambda path=path: rest.response(path), rounds, None, rows, path)


def _line(name: str, fetch: Callable[[], httpx.Response], rounds: int, limits: Any, rows: int, path: str) -> Line:
    """The first request of a page is not counted: it compiles templates and opens connections."""
    fetch()
    server, client = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        answer = fetch()
        client.append(1000 * (time.perf_counter() - begun))
        server.append(float(_TOTAL.search(answer.headers["Server-Timing"])[1]))  # type: ignore[index]
    figures = {
        **spread(server),
        "client_p95": spread(client)["p95"],
        "queries": int(_QUERIES.search(answer.headers["Server-Timing"])[1]),  # type: ignore[index]
        "kib": round(len(answer.content) / 1024, 1),
    }
    return line(name, figures, limits, unit="ms", workloads=rows, path=path)
