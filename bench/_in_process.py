"""What benchmarks of the control plane in this process share: its databases, timing, and a line of JSON.

Loaded after Django's settings.
"""

import json
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test.utils import override_settings, setup_databases, teardown_databases

_QUERIES = re.compile(r'desc="(\d+) queries"')


@contextmanager
def control_plane(**more: Any) -> Iterator[None]:
    """Fresh test databases, an empty cache and no limits of requests; ``more`` are settings.

    Not ``setup_test_environment``: it copies the context of every template of a page.
    """
    names = setup_databases(verbosity=0, interactive=False)
    try:
        with override_settings(API_RATES=dict.fromkeys(settings.API_RATES, 10**9), **more):
            cache.clear()
            yield
    finally:
        connection.set_schema_to_public()  # type: ignore[attr-defined]
        teardown_databases(names, verbosity=0)


def timed(call: Any, repeats: int) -> dict[str, float]:
    """Three requests to warm up, then ``repeats``. Milliseconds; ``cpu_*`` are of this process alone, without the
    database, which a busy machine changes little; queries of the last.
    """
    for _ in range(3):
        answer = call()
    took, processor = [], []
    for _ in range(repeats):
        started, own = time.perf_counter(), time.process_time()
        answer = call()
        took.append((time.perf_counter() - started) * 1000)
        processor.append((time.process_time() - own) * 1000)
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code}: {answer.content[:300]!r}")
    return {
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": _p95(took),
        "mean_ms": round(statistics.fmean(took), 2),
        "cpu_ms": round(statistics.fmean(processor), 2),
        "cpu_p95_ms": _p95(processor),
        "queries": queries(answer),
    }


def _p95(values: list[float]) -> float:
    return round(sorted(values)[max(0, round(len(values) * 0.95) - 1)], 1)


def queries(answer: Any) -> int:
    found = _QUERIES.search(answer.headers.get("Server-Timing", ""))
    return int(found[1]) if found else 0


def show(figure: str, **values: Any) -> None:
    print(json.dumps({"figure": figure, **values}), flush=True)
