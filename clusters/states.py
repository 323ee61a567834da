"""The state of a cluster (runai-features.md section 1.7), with its cause, since when, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from clusters.skew import UNKNOWN, Skew


class State(StrEnum):
    WAITING = "WaitingToConnect"
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"
    MISSING_PREREQUISITES = "MissingPrerequisites"
    SERVICE_ISSUES = "ServiceIssues"
    UNKNOWN = "Unknown"


TITLES: dict[State, str] = {
    State.WAITING: "Waiting to connect",
    State.CONNECTED: "Connected",
    State.DISCONNECTED: "Disconnected",
    State.MISSING_PREREQUISITES: "Missing prerequisites",
    State.SERVICE_ISSUES: "Service issues",
    State.UNKNOWN: "Unknown",
}
HEALTHY = frozenset({State.CONNECTED})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the state is derived from: the link's liveness and the agent's last report."""

    created_at: datetime
    enrolled_at: datetime | None
    last_seen: datetime | None
    connected: bool
    reported_at: datetime | None
    roles: tuple[Mapping[str, Any], ...] = ()
    """``RoleHealth`` as JSON."""
    dependencies: tuple[Mapping[str, Any], ...] = ()
    """``Dependency`` as JSON."""
    skew: Skew = UNKNOWN
    leaving: bool = False
    """Its deletion was asked for."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    state: State
    since: datetime | None
    cause: str
    """One sentence; empty while all is well."""
    remedy: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.state]

    @property
    def healthy(self) -> bool:
        return self.state in HEALTHY


def cluster_status(facts: Facts) -> ClusterStatus:
    """The worst thing first: not there yet, gone, lacking something, something broken."""
    if facts.enrolled_at is None or facts.last_seen is None:
        cause = "No agent has connected with this cluster's manifest yet."
        return ClusterStatus(State.WAITING, facts.created_at, cause, "Apply the install manifest to the cluster.")
    if not facts.connected and facts.leaving:
        cause = "Its deletion waits for the agent, which is away: it first removes what came from here."
        remedy = "Bring the agent back, or delete the cluster by force: what runs there then goes on without us."
        return ClusterStatus(State.DISCONNECTED, facts.last_seen, cause, remedy)
    if not facts.connected:
        cause = "The agent has not been heard; workloads in the cluster go on, and new actions wait for it."
        return ClusterStatus(State.DISCONNECTED, facts.last_seen, cause, "Check the agent's link role and its network.")
    if facts.reported_at is None:
        return ClusterStatus(
            State.WAITING, facts.enrolled_at, "The agent is connected; its first report is on the way."
        )
    missing = [item for item in facts.dependencies if item.get("required") and not item.get("available")]
    if missing:
        remedy = " ".join(str(item["remedy"]) for item in missing if item.get("remedy"))
        return ClusterStatus(State.MISSING_PREREQUISITES, facts.reported_at, " ".join(_sentences(missing)), remedy)
    broken = [item for item in facts.roles if not item.get("healthy", True)]
    if broken:
        return ClusterStatus(State.SERVICE_ISSUES, _since(broken) or facts.reported_at, " ".join(_sentences(broken)))
    if not facts.skew.supported:
        remedy = "Apply the install manifest of this version to the cluster."
        return ClusterStatus(State.SERVICE_ISSUES, facts.reported_at, facts.skew.sentence, remedy)
    return ClusterStatus(State.CONNECTED, facts.enrolled_at, "")


def _sentences(items: list[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        yield f"{item.get('name', '?')}: {item.get('message') or 'not available'}.".replace("..", ".")


def _since(items: list[Mapping[str, Any]]) -> datetime | None:
    times = sorted(str(item["since"]) for item in items if item.get("since"))
    try:
        return datetime.fromisoformat(times[0]) if times else None
    except ValueError:
        return None
