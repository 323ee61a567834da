"""How long to wait before the next try. Pure: chance and time come in as arguments; milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.wire import limits
from agent.wire.messages import Problem

FIRST_WINDOW_MS = 1_000
LAST_WINDOW_MS = 30_000
"""Short enough that one fault of the server costs no more than a hold and a few seconds."""
REVOKED_MS = 300_000


class Move(Enum):
    """What the agent does about a refusal."""

    RETRY = "retry"
    REFRESH = "refresh the access token"
    NEW_SESSION = "stop acting, open a new session"
    REVOKED = "wait long; workloads stay"
    STOP = "stop for good; workloads stay"
    DROP_ITEM = "give this item up, go on with the rest"
    RESEND = "send again from what the server has"


@dataclass(frozen=True, slots=True)
class Reaction:
    move: Move
    wait_ms: int


def window_ms(failures: int) -> int:
    """Back-off window after so many failures in a row: 1 s, doubling to 30 s."""
    return int(min(FIRST_WINDOW_MS * 2 ** max(0, min(failures - 1, 10)), LAST_WINDOW_MS))


def react(status: int, problem: Problem | None, failures: int, chance: float) -> Reaction:
    """Table of agent-link.md section 3.9. ``status`` 0 is a network error, or a 2xx whose body does not parse."""
    code = problem.code if problem else ""
    backoff = int(window_ms(failures) * chance)
    if status == 401:
        if code == "revoked":
            return Reaction(Move.REVOKED, REVOKED_MS)
        return Reaction(Move.REFRESH, 0 if failures <= 1 else backoff)
    if status == 409:
        if code == "stale_epoch":
            return Reaction(Move.NEW_SESSION, 1_000 + int(9_000 * chance))
        return Reaction(Move.RESEND, 0 if failures <= 3 else backoff)
    if status == 410:
        return Reaction(Move.STOP, 0)
    if status in (413, 415, 422):
        return Reaction(Move.DROP_ITEM, 0)
    if status in (429, 503) and problem is not None and problem.retry_after_ms is not None:
        return Reaction(Move.RETRY, int(problem.retry_after_ms * (1 + 0.2 * chance)))
    return Reaction(Move.RETRY, backoff)


def hopeless(last_success_ms: int, now_ms: int) -> bool:
    """True when nothing worked for so long that a fresh process is the better try."""
    return now_ms - last_success_ms > limits.WATCHDOG_MS
