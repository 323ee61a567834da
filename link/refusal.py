"""The one exception by which a request of an agent is refused; the door makes a problem answer of it."""

from __future__ import annotations

from typing import Any

from agent.wire.messages import Problem


class Refused(Exception):
    """``more``: ``retry_after_ms``, ``permanent`` and the other members of ``Problem``."""

    def __init__(self, status: int, code: str, detail: str = "", **more: Any) -> None:
        super().__init__(code)
        self.problem = Problem(code, detail, status, **more)
