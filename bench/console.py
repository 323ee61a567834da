"""``python -m bench console [--parts access] [--users N] [--rules N] [--projects N] [--repeats N]``: console pages.

One JSON object a line: p50, p95, CPU time, queries and KiB of each page, for an administrator and for a person with
rights in fifty projects. Requests go through the whole stack of the control plane in this process, so a figure is
what the server does; a browser's own work is not in it. A part is a module ``bench._console_PART`` with
``measure(options)``, which makes a tenant of its own and prints its lines. Stores are its own unless
RUNAI_TEST_DATABASE_URL and RUNAI_TEST_REDIS_URL name others.
"""

import argparse
import importlib
import os
from pathlib import Path

import django

from local.testing import prepare_environment

PREFIX = "_console_"


def parts() -> list[str]:
    """The parts there are, in order of their names."""
    return sorted(path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench console")
    parser.add_argument("--parts", nargs="+", choices=parts(), default=parts(), help="all, unless named")
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--rules", type=int, default=20_000)
    parser.add_argument("--projects", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=40, help="requests of each kind")
    parser.add_argument("--json", action="store_true", help="lines are JSON in any case")
    options = parser.parse_args(argv)
    services = prepare_environment()
    services.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")
    try:
        django.setup()
        control_plane = importlib.import_module("bench._in_process").control_plane  # models load only now
        with control_plane():
            for part in options.parts:
                importlib.import_module(f"bench.{PREFIX}{part}").measure(options)
        return 0
    finally:
        services.stop()
