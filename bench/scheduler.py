"""Times ``plan`` on the cases of the scheduler's table and checks what must come out.

One JSON object a line: case, size, wall and CPU seconds (best of ``--repeat``), seconds to build the snapshot, outcome,
peak memory.
"""

import argparse
import gc
import itertools
import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.domain.quantities import NANOSECONDS
from agent.scheduler import Config, Plan, Snapshot, plan
from bench import _scheduler_cases as cases
from bench._scheduler_live import live_cases

ALLOCATE = Config(actions=("allocate",))
RECLAIM = Config(actions=("reclaim",))
ALL = Config()


@dataclass(frozen=True)
class Case:
    """One line of the table. ``check`` returns what is wrong with the plan, or ""."""

    name: str
    size: tuple[int, ...]
    build: Callable[[], Snapshot]
    config: Config
    check: Callable[[Snapshot, Plan], str]


def over_capacity(snapshot: Snapshot, decided: Plan) -> str:
    """A node that would hold more GPUs than it has once all evictions are done."""
    pods = {pod.uid: pod for pod in snapshot.pods}
    gone = {eviction.pod for eviction in decided.evictions}
    held: dict[str, int] = {}
    for pod in snapshot.pods:
        if pod.node and pod.uid not in gone:
            held[pod.node] = held.get(pod.node, 0) + pod.request.gpus
    for placed in (*decided.binds, *decided.nominations):
        held[placed.node] = held.get(placed.node, 0) + pods[placed.pod].request.gpus
    return next((f"{name} holds {count} GPUs" for name, count in held.items() if count > cases.GPUS), "")


def expects(*, binds: int = 0, nominations: int = 0, evictions: int = 0, says: str = "") -> Callable:
    """A check of exact counts, capacity, and a word in the gang's reason."""

    def check(snapshot: Snapshot, decided: Plan) -> str:
        got = (len(decided.binds), len(decided.nominations), len(decided.evictions))
        if got != (binds, nominations, evictions):
            return f"binds, nominations, evictions {got}, must be {(binds, nominations, evictions)}"
        if says:
            text = "; ".join(why.text for reasons in decided.reasons.values() for why in reasons)
            if says not in text:
                return f"reason lacks {says!r}: {text}"
        return over_capacity(snapshot, decided)

    return check


def table(largest: int) -> Iterator[Case]:
    for count, jobs in ((10, 50), (50, 200), (100, 500), (200, 1600), (500, 4000), (1000, 8000)):
        build = lambda count=count, jobs=jobs: cases.allocate(count, jobs)  # noqa: E731
        yield Case("allocate", (count, jobs), build, ALLOCATE, expects(binds=min(jobs, 8 * count)))
    for count, jobs in ((100, 500), (500, 4000)):
        build = lambda count=count, jobs=jobs: cases.allocate(count, jobs, half_running=True)  # noqa: E731
        yield Case("mixed full cycle", (count, jobs), build, ALL, expects(binds=jobs // 2))
    for count in (10, 50, 100, 200, 500, 1000):
        build = lambda count=count: cases.reclaim_large(count)  # noqa: E731
        yield Case("reclaim large", (count,), build, RECLAIM, expects(nominations=count // 2, evictions=4 * count))
    for count in (10, 50, 100, 200, 500):
        build = lambda count=count: cases.reclaim_many(count)  # noqa: E731
        yield Case("reclaim many", (count,), build, ALL, expects(nominations=8 * count, evictions=8 * count))
    build = lambda: cases.reclaim_many(500, 30 * NANOSECONDS)  # noqa: E731
    yield Case("reclaim many, min runtime", (500,), build, ALL, expects(nominations=4000, evictions=4000))
    for count in (10, 50, 100, 200):
        build = lambda count=count: cases.unschedulable(count)  # noqa: E731
        yield Case("unschedulable reclaim", (count,), build, RECLAIM, expects(says="79"))
    for kind, word in (("anti-affinity", "rack"), ("topology", "rack")):
        build = lambda kind=kind: cases.unschedulable(100, kind)  # noqa: E731
        yield Case(f"unschedulable, {kind}", (100,), build, RECLAIM, expects(says=word))
    yield Case("many queues", (50, 200), lambda: cases.many_queues(50, 200, 20), ALLOCATE, expects(binds=200))
    yield Case("gangs", (50, 400), lambda: cases.gangs(50, 100, 4), ALLOCATE, expects(binds=400))
    if largest >= 5000:
        build = lambda: cases.large(5000, 40_000)  # noqa: E731
        yield Case("large", (5000, 40_000), build, ALLOCATE, expects(binds=40_000))


def measure(case: Case, repeat: int) -> dict:
    """Best of several cold plans on the same snapshot; the first one is checked."""
    begun = time.perf_counter()
    snapshot = case.build()
    building = time.perf_counter() - begun
    best, cpu, wrong = math.inf, math.inf, ""
    for attempt in range(repeat):
        gc.collect()
        begun, used = time.perf_counter(), time.process_time()
        decided = plan(snapshot, cases.NOW, case.config)
        best = min(best, time.perf_counter() - begun)
        cpu = min(cpu, time.process_time() - used)
        if attempt == 0:
            wrong = case.check(snapshot, decided)
    return {
        "case": case.name,
        "size": case.size,
        "seconds": round(best, 4),
        "cpu_seconds": round(cpu, 4),
        "snapshot_seconds": round(building, 4),
        "outcome": wrong or "ok",
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def exponents(lines: list[dict]) -> Iterator[dict]:
    """Growth between consecutive sizes of a case: log(CPU time ratio) / log(size ratio)."""
    for before, after in itertools.pairwise(lines):
        if before["case"] == after["case"] and before["cpu_seconds"] > 0:
            ratio = math.log(after["size"][-1] / before["size"][-1])
            growth = math.log(after["cpu_seconds"] / before["cpu_seconds"]) / ratio
            yield {
                "case": f"{after['case']}: growth",
                "from": before["size"],
                "to": after["size"],
                "exponent": round(growth, 2),
            }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench scheduler", description=__doc__)
    parser.add_argument("--size", type=int, default=5000, help="largest number of nodes (default: %(default)s)")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cycles", type=int, default=100, help="cycles of the churn case")
    parser.add_argument("--json", action="store_true", help="accepted for all benchmarks; the output is always JSON")
    args = parser.parse_args(argv)
    lines = []
    for case in table(args.size):
        if args.only in case.name and case.size[0] <= args.size:
            line = measure(case, args.repeat)
            print(json.dumps(line), flush=True)
            lines.append(line)
    for line in live_cases(args.only, args.size, args.cycles):
        print(json.dumps(line), flush=True)
        lines.append(line)
    for line in exponents(lines):
        print(json.dumps(line), flush=True)
    return int(any(line["outcome"] != "ok" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
