"""What one child process is: its command, log, probe and how it stops. Pure data; ``supervisor`` runs it.

Every part of ``local/`` (databases, clusters, control plane, agents) describes itself as a tuple of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM


@dataclass(frozen=True)
class ProcessSpec:
    """One child process of the local stack.

    ``env`` is added to the supervisor's own environment. ``probe`` answers True once the process can be used; it may
    raise ``OSError``, which counts as "not yet". ``depends_on`` names processes that must be ready before this one
    starts, and that stop only after it. ``user`` runs it as another account (only when the supervisor is root).
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    probe: Callable[[], bool] | None = None
    depends_on: tuple[str, ...] = ()
    ready_timeout_s: float = 60
    stop_timeout_s: float = 10
    stop_signal: int = SIGTERM
    user: str | None = None
