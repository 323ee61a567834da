"""One network namespace a cluster, joined to the host by a veth pair: the plan (pure) and the commands that make it.

The host's end is an interface ``runaiN`` whose alias is the cluster's directory: creating it claims slot N for the
whole machine (the kernel refuses a second one), and what a crash left can be told from what is in use. Needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.kube.errors import KubeError

SLOTS = 250
PREFIX = "runai"


class NetworkError(KubeError):
    """The namespace or its link could not be made; the message carries the command's own words."""


@dataclass(frozen=True)
class Plan:
    """Addresses and names of the namespace in slot ``slot`` (1 to 250)."""

    slot: int
    namespace: Path
    """File that pins the namespace; processes enter with ``nsenter --net=FILE``."""

    def __post_init__(self) -> None:
        if not 1 <= self.slot <= SLOTS:
            raise ValueError(f"slot: {self.slot} is not between 1 and {SLOTS}")

    @property
    def interface(self) -> str:
        return f"{PREFIX}{self.slot}"

    @property
    def host_address(self) -> str:
        """The host's end: where pods and agents inside reach programs on the host."""
        return f"10.213.{self.slot}.1"

    @property
    def address(self) -> str:
        """The namespace's end: API server and node."""
        return f"10.213.{self.slot}.2"

    def enter(self) -> tuple[str, ...]:
        """Words to put before a command. ``nsenter``, because ``ip netns exec`` hides the cgroup mounts."""
        return ("nsenter", f"--net={self.namespace}", "--")


def available() -> bool:
    """Whether this process may make network namespaces: root, with the programs, not shut into a plain container."""
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("ip", "nsenter", "unshare")):
        return False
    return subprocess.run(("unshare", "--net", "true"), capture_output=True).returncode == 0


def slot_order(index: int, recorded: int | None) -> list[int]:
    """Slots to try: the one of the last start first, then from ``index`` (0-based) onwards, each once."""
    order = [(index + step) % SLOTS + 1 for step in range(SLOTS)]
    if recorded is not None and recorded in order:
        order.remove(recorded)
        order.insert(0, recorded)
    return order


def create(directory: Path, index: int, recorded: int | None) -> Plan:
    """Claim a slot and make namespace and link. ``directory`` must be absolute. Raises NetworkError."""
    reap()
    namespace = directory / "netns"
    for slot in slot_order(index, recorded):
        plan = Plan(slot, namespace)
        if (Path("/sys/class/net") / plan.interface).exists():
            continue
        namespace.touch()
        _run("unshare", f"--net={namespace}", "--", "true")
        pair = ("ip", "link", "add", plan.interface, "type", "veth", "peer", "name", "uplink", "netns", str(namespace))
        made = subprocess.run(pair, capture_output=True, text=True)
        if made.returncode:
            _run("umount", str(namespace))
            if "File exists" in made.stderr:
                continue
            raise NetworkError(f"{' '.join(pair)}: {made.stderr.strip()}")
        _configure(plan, directory)
        return plan
    raise NetworkError(f"all {SLOTS} network slots are in use; stop other clusters first")


def _configure(plan: Plan, directory: Path) -> None:
    _batch(
        [
            f"link set {plan.interface} alias {directory}",
            f"addr add {plan.host_address}/30 dev {plan.interface}",
            f"link set {plan.interface} up",
        ]
    )
    _batch(
        ["link set lo up", f"addr add {plan.address}/30 dev uplink", "link set uplink up",
         f"route add default via {plan.host_address}"],
        plan.enter(),
    )  # fmt: skip
    _run(*plan.enter(), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def add_address(plan: Plan, address: str) -> None:
    """Give the namespace's loopback one more address (the cluster's DNS server listens there)."""
    _batch([f"addr add {address}/32 dev lo"], plan.enter())


def destroy(directory: Path) -> None:
    """Delete the host's end of every link that belongs to ``directory``. The namespace file is a mount like others."""
    for interface, owner in _ours():
        if owner == str(directory):
            subprocess.run(("ip", "link", "del", interface), capture_output=True)


def reap() -> None:
    """Delete links whose cluster's directory is gone: nobody can stop those by name any more."""
    for interface, owner in _ours():
        if owner and not os.path.isdir(owner):
            subprocess.run(("ip", "link", "del", interface), capture_output=True)


def _ours() -> list[tuple[str, str]]:
    """Interfaces of all local clusters on this machine with the directory each belongs to."""
    if shutil.which("ip") is None:
        return []
    listed = subprocess.run(("ip", "-json", "link", "show"), capture_output=True, text=True)
    found = []
    for link in json.loads(listed.stdout or "[]"):
        name = link.get("ifname", "")
        if name.removeprefix(PREFIX).isdigit() and name.startswith(PREFIX):
            found.append((name, link.get("ifalias", "")))
    return found


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise NetworkError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")


def _batch(lines: list[str], before: tuple[str, ...] = ()) -> None:
    done = subprocess.run((*before, "ip", "-batch", "-"), input="\n".join(lines), capture_output=True, text=True)
    if done.returncode:
        raise NetworkError(f"ip -batch ({'; '.join(lines)}): {done.stderr.strip()}")
