"""``python -m local up|down|status|run|demo``: the command line of the local stack."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from local import commands, follow
from local.assets import AssetsFailed, ensure_assets
from local.files import state_dir
from local.kube.errors import KubeError
from local.lock import Taken
from local.machine import prepare_machine
from local.options import DATA, Options
from local.serve import serve

SIZES = ("clusters", "nodes", "gpus", "tenants", "data", "real_node")


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 a wrong command line; ``run`` adds the workload's own."""
    arguments = _parser().parse_args(argv)
    directory = state_dir()
    given = {name: getattr(arguments, name) for name in SIZES if getattr(arguments, name, None) is not None}
    if "tenants" in given and "clusters" not in given:
        given["clusters"] = given["tenants"]
    try:
        options = Options(**given)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.command == "up":
        return commands.up(directory, given, arguments.json)
    if arguments.command == "down":
        return commands.down(directory, purge=arguments.purge)
    if arguments.command == "status":
        return commands.status(directory, as_json=arguments.json)
    if arguments.command == "run":
        return follow.run(directory, given, arguments.file, timeout=arguments.timeout)
    if arguments.command in ("assets", "machine"):
        return _prepare(arguments.command)
    return _serve(directory, options, given, terminal=arguments.command == "demo")


def _serve(directory: Path, options: Options, given: dict[str, Any], *, terminal: bool) -> int:
    try:
        return serve(directory, options, terminal=terminal)
    except Taken:
        if not terminal:
            return commands.TAKEN
        return commands.attend(directory, given)


def _prepare(what: str) -> int:
    """Set-up steps of the Makefile."""
    try:
        if what == "assets":
            ensure_assets(commands.say)
        else:
            prepare_machine(commands.say)
    except (AssetsFailed, KubeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole system on one machine.")
    sub = parser.add_subparsers(dest="command", required=True)
    up = sub.add_parser("up", help="start in the background; returns when everything is ready")
    up.add_argument(
        "--json", type=Path, metavar="FILE", help="write addresses, logins and processes to FILE (mode 0600)"
    )
    down = sub.add_parser("down", help="stop, and clean up after a crash")
    down.add_argument("--purge", action="store_true", help="remove the data as well")
    state = sub.add_parser("status", help="what runs; exit status 0 when all is ready")
    state.add_argument("--json", action="store_true", help="the same document as up --json, with the state")
    run = sub.add_parser("run", help="submit a manifest and follow it to its end")
    run.add_argument("file", type=Path, help="a Workload manifest such as examples/hello.yaml")
    run.add_argument("--timeout", type=float, default=600, help="seconds to wait for the end (default 600)")
    demo = sub.add_parser("demo", help="start in this terminal; Ctrl-C stops it all")
    serving = sub.add_parser("serve", help="what up runs in the background")
    sub.add_parser("assets", help="build the console's browser assets")
    sub.add_parser("machine", help="install the Debian packages and build the Kubernetes programs that a stack needs")
    for one in (up, run, demo, serving):
        _add_sizes(one)
    return parser


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    defaults = Options()
    for name, words in (
        ("clusters", "clusters, dealt out to the tenants"),
        ("nodes", "simulated nodes of each cluster"),
        ("gpus", "simulated GPUs of each node"),
        ("tenants", "customers"),
    ):
        parser.add_argument(f"--{name}", type=int, help=f"{words} (default {getattr(defaults, name)})")
    parser.add_argument("--data", choices=DATA, help=f"what to fill it with (default {defaults.data})")
    parser.add_argument(
        "--no-real-node", dest="real_node", action="store_const", const=False, help="simulated nodes only"
    )


if __name__ == "__main__":
    sys.exit(main())
