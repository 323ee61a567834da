"""``python -m bench api [--users N] [--rules N] [--projects N] [--repeats N]``: the REST API on a full tenant.

Prints one JSON object a line: each list (p50, p95, queries), tokens, the permission check, and how much slower a list
is than a bare view of the same rows. PostgreSQL and Valkey are its own unless RUNAI_TEST_DATABASE_URL and
RUNAI_TEST_REDIS_URL name others; requests go through the whole stack of the control plane in this process.
"""

import argparse
import importlib
import os

import django

from local.testing import prepare_environment


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench api")
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--rules", type=int, default=20_000)
    parser.add_argument("--projects", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=60, help="requests of each kind")
    options = parser.parse_args(argv)
    services = prepare_environment()
    services.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")
    try:
        django.setup()
        return int(importlib.import_module("bench._api_run").run(options))  # models load only now
    finally:
        services.stop()
