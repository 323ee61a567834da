"""``python -m local.kube up|down --dir DIR``: one cluster without the rest of the stack, in the background."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from local.kube import launcher, packages
from local.kube.binaries import CONTROL_PLANE, NODE, Binaries, ensure
from local.kube.cluster import LocalCluster
from local.kube.errors import KubeError


def main(argv: list[str] | None = None) -> int:
    """0 when done, 1 when the cluster did not come up, 2 for a wrong command line."""
    arguments = _parser().parse_args(argv)
    directory = Path(arguments.dir)
    if arguments.command == "down":
        cluster = LocalCluster("", 0, directory, 0, 0, False, Binaries({}))
        ended = cluster.teardown()
        _say(f"stopped {ended} processes")
        if arguments.purge and cluster.dir.is_dir():
            shutil.rmtree(cluster.dir)
        return 0
    if arguments.real_node and (why := packages.refusal()):
        print(f"--real-node: {why}", file=sys.stderr)
        return 2
    try:
        binaries = ensure(_say, (*CONTROL_PLANE, *(NODE if arguments.real_node else ())))
        shape = (arguments.nodes, arguments.gpus, arguments.real_node)
        launcher.up(LocalCluster(arguments.name, 0, directory, *shape, binaries, _say))
    except (KubeError, ValueError, OSError) as error:
        print(f"the cluster did not come up: {error}", file=sys.stderr)
        return 1
    return 0


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.kube", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start a cluster in the background and return when it is ready")
    starting.add_argument("--dir", required=True, help="where it keeps everything; kubeconfig is written there")
    starting.add_argument("--name", default="local")
    starting.add_argument("--nodes", type=int, default=8, help="KWOK nodes (default 8)")
    starting.add_argument("--gpus", type=int, default=8, help="simulated GPUs a node (default 8)")
    starting.add_argument("--real-node", action="store_true", help="a node that runs containers too (needs root)")
    stopping = commands.add_parser("down", help="stop the cluster and leave nothing behind but its data")
    stopping.add_argument("--dir", required=True)
    stopping.add_argument("--purge", action="store_true", help="remove the directory too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
