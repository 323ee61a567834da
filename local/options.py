"""How large a local stack is: checked once, kept with its state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

DATA = ("empty", "demo", "big")
TENANT_NAMES = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell")
MOST_TENANTS = 200


@dataclass(frozen=True)
class Options:
    """``clusters`` are dealt out to the tenants in turn; ``nodes`` are simulated, ``gpus`` are per node."""

    clusters: int = 1
    nodes: int = 8
    gpus: int = 8
    tenants: int = 1
    data: str = "demo"
    real_node: bool = True

    def __post_init__(self) -> None:
        for name, least, most in (
            ("clusters", 0, 50), ("nodes", 0, 20000), ("gpus", 0, 64), ("tenants", 1, MOST_TENANTS)
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"--{name}: {value} is not between {least} and {most}")
        if self.data not in DATA:
            raise ValueError(f"--data: {self.data!r} is not one of {', '.join(DATA)}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def tenant_name(index: int) -> str:
    """``acme``, ``globex`` … then ``tenant9`` and on."""
    return TENANT_NAMES[index] if index < len(TENANT_NAMES) else f"tenant{index + 1}"


def tenant_address(index: int) -> str:
    """The loopback address on which programs reach a tenant: 127.0.0.1, 127.0.0.2 …"""
    return f"127.0.0.{index + 1}"


def cluster_name(index: int) -> str:
    return f"cluster-{index + 1}"


def cluster_tenant(index: int, options: Options) -> int:
    """Index of the tenant a cluster belongs to."""
    return index % options.tenants
