"""Settings of one agent process, from environment and command line, read once at the start.

Every setting has an environment variable (``RUNAI_AGENT_…``) so that a Deployment can set it; flags win.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.wire.labels import NODE_POOL, QUEUE, SCHEDULER_NAMES

ROLES = ("link", "operator", "scheduler", "metrics", "webhook", "activator")
COMMANDS = ("install", "uninstall", "reserve", "diagnose")
PLACEMENTS = ("binpack", "spread")


@dataclass(frozen=True, slots=True)
class Settings:
    """``lease_namespace`` "" = ``runai`` where it exists, else ``kube-system``. ``port`` 0 = no HTTP at all.

    ``scheduler_names``: pods with one of these as ``spec.schedulerName`` are ours; no other pod is ever touched.
    ``placement_*``: for nodes of the default pool, where no NodePool object says otherwise.
    ``webhook_host``: where the API server reaches the webhook of a process outside of the cluster; "" = the address
    from which this process reaches the API server. ``webhook_port`` 0 = any free one.
    ``activator_host``, ``activator_port``: the same for requests to inference workloads; from pods, in their case.
    ``reservation_image``: of the pods that hold shared GPUs; this agent's own image. Not needed on simulated nodes.
    ``node_pools``: a scheduler plans only these; empty: all. ``given``: names of the settings that flags or environment
    set; for others the RunaiConfig's values count.
    """

    roles: tuple[str, ...] = ()
    kubeconfig: str | None = None
    scheduler_names: tuple[str, ...] = SCHEDULER_NAMES
    node_pool_label: str = NODE_POOL
    queue_label: str = QUEUE
    node_pools: tuple[str, ...] = ()
    placement_gpu: str = "binpack"
    placement_cpu: str = "binpack"
    lease_namespace: str = ""
    leader_election: bool = True
    address: str = "127.0.0.1"
    port: int = 0
    in_flight: int = 64
    log_level: str = "info"
    manifest: str | None = None
    definitions: bool = False
    gpu_reservations: bool = True
    reservation_image: str = ""
    webhook_host: str = ""
    webhook_port: int = 0
    activator_host: str = ""
    activator_port: int = 0
    given: frozenset[str] = frozenset()


class BadSetting(ValueError):
    """A setting that cannot be used; the message names it, what was given and what is allowed."""


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line (without the program's name). Exits 2 with a message on a wrong flag.

    Raises ``BadSetting`` for a value that is not allowed.
    """
    env = {key.removeprefix("RUNAI_AGENT_").lower(): value for key, value in environment.items() if value}
    given = _parser().parse_args(arguments)
    names = given.scheduler_name or _split(env.get("scheduler_names")) or SCHEDULER_NAMES
    settings = Settings(
        roles=tuple(dict.fromkeys(given.roles)),
        kubeconfig=given.kubeconfig,
        scheduler_names=tuple(names),
        node_pool_label=given.node_pool_label or env.get("node_pool_label", NODE_POOL),
        queue_label=env.get("queue_label", QUEUE),
        node_pools=tuple(given.node_pool or _split(env.get("node_pools"))),
        placement_gpu=given.placement_gpu or given.placement or env.get("placement_gpu", "binpack"),
        placement_cpu=given.placement_cpu or given.placement or env.get("placement_cpu", "binpack"),
        lease_namespace=given.lease_namespace or env.get("lease_namespace", ""),
        leader_election=not given.no_leader_election and env.get("leader_election", "true") == "true",
        address=given.address or env.get("address", "127.0.0.1"),
        port=_number("port", given.port if given.port is not None else env.get("port", "0"), 0, 65535),
        in_flight=_number("in_flight", given.in_flight or env.get("in_flight", "64"), 1, 1024),
        log_level=env.get("log_level", "info").lower(),
        manifest=given.filename,
        definitions=given.crds,
        gpu_reservations=env.get("gpu_reservations", "true") == "true",
        reservation_image=env.get("reservation_image", ""),
        webhook_host=env.get("webhook_host", ""),
        activator_host=env.get("activator_host", ""),
        activator_port=_number("activator_port", env.get("activator_port", "0"), 0, 65535),
        webhook_port=_number("webhook_port", env.get("webhook_port", "0"), 0, 65535),
        given=_given(given, env),
    )
    _check(settings)
    return settings


def _given(flags: argparse.Namespace, env: Mapping[str, str]) -> frozenset[str]:
    """Settings that this process was started with, whatever the cluster's configuration says."""
    named = {"scheduler_names": flags.scheduler_name, "node_pool_label": flags.node_pool_label}
    named |= {"placement_gpu": flags.placement_gpu or flags.placement}
    named |= {"placement_cpu": flags.placement_cpu or flags.placement}
    return frozenset({name for name, value in named.items() if value} | set(env))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agent",
        description="Run one role of the cluster agent or several in one process, or install it into a cluster.",
    )
    parser.add_argument("roles", nargs="+", choices=(*ROLES, *COMMANDS), metavar="ROLE", help=", ".join(ROLES))
    parser.add_argument("-f", "--filename", help="install: the manifest, - for standard input")
    parser.add_argument("--crds", action="store_true", help="uninstall: the definitions too, and all their objects")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, the pod's service account, ~/.kube/config")
    parser.add_argument("--scheduler-name", action="append", help="serve pods of this schedulerName; may be repeated")
    parser.add_argument("--placement", choices=PLACEMENTS, help="for GPU and CPU pods of the default pool")
    parser.add_argument("--placement-gpu", choices=PLACEMENTS)
    parser.add_argument("--placement-cpu", choices=PLACEMENTS)
    parser.add_argument("--node-pool-label", help="node label that names the pool")
    parser.add_argument("--node-pool", action="append", help="scheduler: plan only this node pool; may be repeated")
    parser.add_argument("--lease-namespace", help="namespace of the leader election leases")
    parser.add_argument("--no-leader-election", action="store_true", help="this process is the only one")
    parser.add_argument("--address", help="for /healthz and /metrics, default 127.0.0.1")
    parser.add_argument("--port", type=int, help="for /healthz and /metrics, default 0: off")
    parser.add_argument("--in-flight", type=int, help="API requests at the same time, default 64")
    return parser


def _check(settings: Settings) -> None:
    if len(settings.roles) > 1 and set(settings.roles) & set(COMMANDS):
        raise BadSetting(f"ROLE is {' '.join(settings.roles)}: install, uninstall, reserve and diagnose stand alone")
    if settings.roles == ("install",) and not settings.manifest:
        raise BadSetting("install needs -f MANIFEST, the file that the console gave (- for standard input)")
    for name in ("placement_gpu", "placement_cpu"):
        if getattr(settings, name) not in PLACEMENTS:
            raise BadSetting(f"{name} is {getattr(settings, name)!r}, allowed is {' or '.join(PLACEMENTS)}")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise BadSetting(f"log_level is {settings.log_level!r}, allowed is debug, info, warning or error")


def _number(name: str, given: int | str, low: int, high: int) -> int:
    try:
        value = int(given)
    except ValueError:
        raise BadSetting(f"{name} is {given!r}, allowed is a number from {low} to {high}") from None
    if not low <= value <= high:
        raise BadSetting(f"{name} is {value}, allowed is a number from {low} to {high}")
    return value


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
