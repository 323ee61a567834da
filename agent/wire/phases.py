"""Phases of a workload (runai-features.md section 5.3), the same words in cluster, API, console and CLI."""

from enum import StrEnum


class Phase(StrEnum):
    CREATING = "Creating"
    PENDING = "Pending"
    INITIALIZING = "Initializing"
    RUNNING = "Running"
    DEGRADED = "Degraded"
    UPDATING = "Updating"
    RESUMING = "Resuming"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    TERMINATING = "Terminating"
    COMPLETED = "Completed"
    FAILED = "Failed"
    DELETING = "Deleting"
    UNKNOWN = "Unknown"


FINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.STOPPED})
"""Phases that do not change without somebody's act."""
