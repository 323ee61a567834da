"""Has the cluster taken what we asked? A sentence for a workload that waits for its agent rather than for GPUs."""

from dataclasses import dataclass
from datetime import datetime

from link import services as link
from workloads.models import Workload
from workloads.services.rows import document_key


@dataclass(frozen=True, slots=True)
class Delivery:
    """``waiting_since`` is when the agent was last heard, where it is away."""

    taken: bool
    connected: bool
    waiting_since: datetime | None
    message: str
    """One sentence; empty when there is nothing to say."""
    refused: bool = False


def delivery(workload: Workload) -> Delivery:
    """Two small queries. The row's cluster must be loaded with its scope."""
    alive = link.liveness([workload.cluster_id]).get(workload.cluster_id)
    connected = bool(alive and alive.connected)
    last_seen = alive.last_seen if alive else None
    known = (
        link.desired_status(cluster_id=workload.cluster_id, keys=[document_key(workload)]) if workload.managed else {}
    )
    status = known.get(document_key(workload))
    taken = status is None or status.applied
    message = ""
    if status is not None and status.error:
        message = f"The cluster {workload.cluster.name} refused it: {status.error}"
    elif not connected and (not taken or workload.deleted_at is None):
        heard = f"not heard since {last_seen:%Y-%m-%d %H:%M:%S} UTC" if last_seen else "never heard so far"
        message = f"The agent of the cluster {workload.cluster.name} was {heard}; "
        message += "what is shown may be old." if taken else "this waits for it and is not lost."
    refused = status is not None and bool(status.error)
    return Delivery(taken, connected, None if connected else last_seen, message, refused)
