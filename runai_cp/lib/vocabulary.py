"""The status words of the product with their silhouette, tone and loudness: one table for every screen.

A word that asks nothing of the reader is ``bare`` (icon and ink); one that asks for something is ``tinted``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    icon: str
    tone: str
    form: str = "bare"


STATUS: dict[str, Look] = {
    # phases of workloads
    "Creating": Look("st-creating", "info"),
    "Pending": Look("st-pending", "wait", "tinted"),
    "Initializing": Look("st-initializing", "info"),
    "Running": Look("st-running", "ok"),
    "Degraded": Look("st-degraded", "warn", "tinted"),
    "Updating": Look("st-updating", "info"),
    "Resuming": Look("st-resuming", "info"),
    "Stopping": Look("st-stopping", "idle"),
    "Stopped": Look("st-stopped", "idle"),
    "Terminating": Look("st-terminating", "warn", "tinted"),
    "Completed": Look("st-completed", "idle"),
    "Failed": Look("st-failed", "bad", "tinted"),
    "Deleting": Look("st-deleting", "idle"),
    "Unknown": Look("st-unknown", "warn", "tinted"),
    # clusters
    "Connected": Look("st-connected", "ok"),
    "Waiting to connect": Look("st-waiting", "info"),
    "Disconnected": Look("st-disconnected", "bad", "tinted"),
    "Missing prerequisites": Look("st-missing", "warn", "tinted"),
    "Service issues": Look("st-service", "warn", "tinted"),
    # nodes, projects
    "Ready": Look("st-ready", "ok"),
    "Not ready": Look("st-failed", "bad", "tinted"),
    "Cordoned": Look("st-cordoned", "wait", "tinted"),
    "Draining": Look("st-draining", "warn", "tinted"),
    # node pools
    "Empty": Look("st-unknown", "idle"),
    "Unschedulable": Look("st-failed", "bad", "tinted"),
    # pods
    "Succeeded": Look("st-completed", "idle"),
}

TYPES: dict[str, tuple[str, str]] = {
    "training": ("training", "Training"),
    "workspace": ("notebook", "Workspace"),
    "distributed": ("distributed", "Distributed training"),
    "inference": ("inference", "Inference"),
}
"""Workload type → icon, words."""
