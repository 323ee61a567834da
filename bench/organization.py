"""``python -m bench organization [--repeats N]``: supply and entitlement of a large tenant, and many tenants.

One JSON object a line, targets beside the figures: lists of 300 projects x 12 node pools, 1,000 nodes and 3 clusters; a
quota change until its document is owed; the preview with 8,000 workloads; opening a tenant; migrating 200. With
``--parts`` only some of these. Stores are its own unless RUNAI_TEST_DATABASE_URL and RUNAI_TEST_REDIS_URL name others.
"""

import argparse
import importlib
import os

import django

from local.testing import prepare_environment


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench organization")
    parser.add_argument("--repeats", type=int, default=30, help="requests of each kind")
    parser.add_argument("--workloads", type=int, default=8_000)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument(
        "--parts", nargs="+", choices=("lists", "changes", "tenants"), default=("lists", "changes", "tenants")
    )
    options = parser.parse_args(argv)
    services = prepare_environment()
    services.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")
    try:
        django.setup()
        return int(importlib.import_module("bench._organization_run").run(options))  # models load only now
    finally:
        services.stop()
