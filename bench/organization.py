"""``python -m bench organization [--repeats N] [--parts …]``: supply and entitlement of a large tenant, many tenants.

One JSON object a line, targets beside the figures: lists of 300 projects x 12 node pools, 1,000 nodes and 3 clusters; a
quota change until its document is owed; the preview with 8,000 workloads; opening a tenant; migrating 200. Stores are
its own unless RUNAI_TEST_DATABASE_URL and RUNAI_TEST_REDIS_URL name others. The part ``seen``, which has to be named,
measures on a whole stack (one of its own, or ``--stack DIR``) how soon changes and their status are on the page.
"""

import argparse
import importlib
import os
from pathlib import Path

import django

from bench import _organization_seen
from bench._main_stack import target
from local.testing import prepare_environment

PARTS = ("lists", "changes", "tenants")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench organization")
    parser.add_argument("--repeats", type=int, default=30, help="requests of each kind")
    parser.add_argument("--workloads", type=int, default=8_000)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--parts", nargs="+", choices=(*PARTS, "seen"), default=PARTS)
    parser.add_argument("--stack", type=Path, help="of the part seen: directory of a running stack; it is left running")
    parser.add_argument("--changes", type=int, default=5, help="of the part seen: changes of each kind")
    options = parser.parse_args(argv)
    if "seen" in options.parts:
        with target(options.stack) as stack:
            _organization_seen.measure(stack, options.changes)
    return _in_process(options) if set(options.parts) & set(PARTS) else 0


def _in_process(options: argparse.Namespace) -> int:
    services = prepare_environment()
    services.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")
    try:
        django.setup()
        return int(importlib.import_module("bench._organization_run").run(options))  # models load only now
    finally:
        services.stop()
