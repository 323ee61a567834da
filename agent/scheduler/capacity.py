"""May the queue hold that much more: limits for everything, quota for what cannot be preempted."""

from agent.domain.quantities import RESOURCES, UNLIMITED
from agent.domain.reasons import Reason, reason
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState


def over_capacity(job: JobState, request: tuple[int, int, int]) -> tuple[str, QueueState, int] | None:
    """The first rule broken on the way up: (code, queue, resource index), or None when the job may have it."""
    for queue in job.queue.path:
        limit, held = queue.limit, queue.allocated
        for index in range(3):
            wanted = request[index]
            if wanted > 0 and limit[index] != UNLIMITED and limit[index] < held[index] + wanted:
                return "OverLimit", queue, index
        if job.nonpreemptible:
            quota, fixed = queue.deserved, queue.nonpreemptible
            for index in range(3):
                wanted = request[index]
                if wanted > 0 and quota[index] != UNLIMITED and quota[index] < fixed[index] + wanted:
                    return "NonPreemptibleOverQuota", queue, index
    return None


def explain_capacity(code: str, queue: QueueState, index: int, request: tuple[int, int, int]) -> Reason:
    """The broken rule as a reason with its numbers."""
    known = queue.queue
    facts: dict[str, int | str | tuple[str, ...]] = {
        "queue": queue.name,
        "label": known.label,
        "kind": known.kind,
        "pool": known.pool,
        "resource": RESOURCES[index],
        "requested": request[index],
    }
    if code == "OverLimit":
        facts |= {"used": queue.allocated[index], "limit": queue.limit[index]}
    else:
        facts |= {"used": queue.nonpreemptible[index], "quota": queue.deserved[index]}
    return reason(code, **facts)
