"""The main job in figures: submit to bound and started, the console with many workloads, memory and CPU when idle.

Starts a stack of its own (``--stack DIR`` takes a running one). One JSON object a line with ``--json``, else a line for
people. Targets stand beside the figures; nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import _main_console, _main_memory, _main_operator, _main_submit
from bench._main_figures import Line, text
from bench._main_stack import Target, target
from bench._main_submit import REAL, SIMULATED, Load

PARTS = ("idle", "submit", "console")
ALONE = {"operator": _main_operator.measure, "operator-idle": _main_operator.measure_idle}
"""Parts that bring a control plane of Kubernetes of their own and need no stack."""
SETTLE_S = 15.0


@dataclass(frozen=True)
class Size:
    submits: int
    real_submits: int
    rounds: int
    idle_s: float
    workloads: int = 10_000


SIZES = {"small": Size(100, 20, 30, 30.0), "full": Size(600, 100, 200, 60.0)}


def run(stack: Target, size: Size, parts: list[str]) -> Iterator[Line]:
    """Idle first, on a stack that has done nothing yet but settle; the many rows last."""
    if "idle" in parts:
        time.sleep(SETTLE_S)
        yield from _main_memory.measure(stack, size.idle_s, "fresh")
    if "submit" in parts:
        loads = [Load("simulated", size.submits, 5.0, SIMULATED)]
        if stack.facts["clusters"][0]["real_node"]:
            loads += [Load("real", size.real_submits, rate, REAL) for rate in (1.0, 5.0)]
        for load in loads:
            yield from _main_submit.measure(stack, load)
            time.sleep(5)
    if "console" in parts:
        workloads = _main_console.fill(stack, size.workloads)
        yield from _main_console.measure(stack, size.rounds, workloads)
        if "idle" in parts:
            time.sleep(SETTLE_S)
            yield from _main_memory.measure(stack, size.idle_s, "after the load")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench main", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--stack", type=Path, help="directory of a running stack; it is left running")
    parser.add_argument("--only", choices=(*PARTS, *ALONE), action="append", help="only this part; may be repeated")
    args = parser.parse_args(argv)
    for made in lines(args.stack, args.size, args.only or [*PARTS, *ALONE]):
        print(json.dumps(made) if args.json else text(made), flush=True)
    return 0


def lines(given: Path | None, size: str, parts: list[str]) -> Iterator[Line]:
    """The parts without a stack last: they run when nothing else of ours does."""
    if set(parts) & set(PARTS):
        with target(given) as stack:
            yield from run(stack, SIZES[size], parts)
    for name in ALONE:
        if name in parts:
            yield from ALONE[name](size)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
