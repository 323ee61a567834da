"""What ``agent.main`` hands to every role, and where roles say how they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from agent.config import Settings
from agent.kube.protocol import Kube
from agent.kube.watch import Informers
from agent.loops.leases import Elector
from agent.loops.snapshots import Board


@dataclass(slots=True)
class RoleState:
    """How one role is: ``ok`` with a message for people, and since when (``time.time()``)."""

    name: str
    ok: bool = False
    message: str = "starting"
    since: float = field(default_factory=time.time)

    def set(self, ok: bool, message: str = "") -> None:
        if ok != self.ok:
            self.since = time.time()
        self.ok, self.message = ok, message


class Health:
    """The state of all roles of this process."""

    def __init__(self, roles: tuple[str, ...]) -> None:
        self.roles = {name: RoleState(name) for name in roles}

    def of(self, name: str) -> RoleState:
        return self.roles[name]


@dataclass(slots=True)
class Context:
    """``informers`` and ``board`` are shared by the roles of the process; no ``elector``: no leader election."""

    role: str
    kube: Kube
    informers: Informers
    settings: Settings
    health: RoleState
    elector: Elector | None = None
    board: Board = field(default_factory=Board)

    @property
    def leading(self) -> bool:
        """Whether this process may act for its role now. Ask right before writing."""
        return self.elector is None or self.elector.leading
