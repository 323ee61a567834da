"""The live scheduler in figures: pods on a real API server with KWOK nodes, submitted to bound, targets beside them.

Every case has a fresh control plane. ``fill`` and ``steady`` run with kube-scheduler too, ``fill`` and ``gangs`` with a
bare loop that binds and decides nothing, in the same run, on the same objects: what a machine can do is told by what
its neighbours did on it. One JSON object a line with ``--json``; else a line a run and the table of all at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from agent.kube.client import KubeClient
from bench import _cluster_loads as loads
from bench._cluster_loads import World
from bench._cluster_machine import FLOOR, OURS, THEIRS, ground
from bench._cluster_table import table
from bench._cluster_takeover import takeover
from bench._cluster_watch import Bindings
from bench._main_figures import Line, line, text


@dataclass(frozen=True)
class Case:
    """One line of the table. ``targets`` are for the full size, by figure: at most so much."""

    nodes: int
    load: Callable[[World, int], Awaitable[dict[str, Any]]]
    amount: int
    targets: dict[str, float] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    """Who runs before ours."""


async def _reclaim(world: World, count: int) -> dict[str, Any]:
    return await loads.gangs(world, count, "team-b", filled=loads.GPUS)


CASES = {
    "fill": Case(
        500, loads.fill, 4000, {"api_cpu_ms_per_pod_last_bind": 7, "scheduler_writes_per_pod": 2.2}, (FLOOR, THEIRS)
    ),
    "gangs": Case(100, loads.gangs, 100, {"last_bind_s": 4}, (FLOOR,)),
    "steady": Case(500, loads.steady, 200, {"bound_p50_ms": 20, "bound_p99_ms": 60}, (THEIRS,)),
    "reclaim": Case(100, _reclaim, 50, {"last_bind_s": 7, "evictions": 400, "evictions_missing": 0}),
    "idle": Case(1000, loads.idle, 60, {"core_percent": 3, "scheduler_peak_mib": 300}),
    "takeover": Case(100, takeover, 5, {"takeover_max_s": 5, "bound_twice": 0}),
}


async def measure(case: Case, which: str, scale: float) -> dict[str, Any]:
    """One case on a fresh control plane. ``scale`` 1 is the full size."""
    nodes, amount = max(1, round(case.nodes * scale)), max(1, round(case.amount * scale))
    with ground(nodes) as made:
        async with (
            KubeClient.connect(made.kubeconfig, user_agent="bench", in_flight=loads.AT_ONCE) as kube,
            Bindings(made.kubeconfig) as bindings,
        ):
            made.load.append(bindings.pid)
            return await case.load(World(made, kube, bindings, which, nodes), amount)


def lines(name: str, case: Case, scale: float, peers: bool) -> list[Line]:
    """The peers first, ours after them, with the ratios of their speeds where they ran."""
    made, beside = list[Line](), dict[str, dict[str, Any]]()
    facts = {"nodes": max(1, round(case.nodes * scale))}
    for which in case.beside if peers else ():
        beside[which] = asyncio.run(measure(case, which, scale))
        made.append(line(f"cluster {name}", beside[which], scheduler=which, **facts))
    ours = asyncio.run(measure(case, OURS, scale))
    targets = dict(case.targets) if scale == 1 else {}
    if FLOOR in beside:
        ours["of_floor"] = round(ours["pods_per_s"] / beside[FLOOR]["pods_per_s"], 2)
    if THEIRS in beside and name == "fill":
        ours["of_kube_scheduler"] = round(ours["pods_per_s"] / beside[THEIRS]["pods_per_s"], 2)
        ours["behind_kube_scheduler"] = round(max(0.0, 1 - ours["of_kube_scheduler"]), 2)
        ours["api_cpu_of_kube_scheduler"] = round(_api(ours) / _api(beside[THEIRS]), 2)
        targets["behind_kube_scheduler"] = 0
    made.append(line(f"cluster {name}", ours, targets, scheduler=OURS, **facts))
    return made


def _api(figures: dict[str, Any]) -> float:
    """The API server's time a pod once all pods run and all is told: the same work around every scheduler."""
    return float(figures["api_cpu_ms_per_pod_all_running"])


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench cluster", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--only", choices=CASES, action="append", help="only this case; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size, above 0 and at most 1")
    parser.add_argument("--no-kube-scheduler", action="store_true", help="do not run peers beside ours")
    args = parser.parse_args(argv)
    if not 0 < args.scale <= 1:
        parser.error(f"--scale: {args.scale} is not above 0 and at most 1")
    seen: list[Line] = []
    for name in args.only or CASES:
        for made in lines(name, CASES[name], args.scale, not args.no_kube_scheduler):
            seen.append(made)
            print(json.dumps(made) if args.json else text(made), flush=True)
    if not args.json:
        print("\n" + table(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
