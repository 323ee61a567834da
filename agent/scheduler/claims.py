"""The rules of reclaim: who may ask for capacity back, from whom, and how far.

"R" is the claiming queue and "V" the giving one, both seen just below their lowest common ancestor.
"""

from collections.abc import Iterable, Mapping, Sequence

from agent.domain.quantities import UNLIMITED, at_most
from agent.scheduler.entitlement import QueueState, Vector
from agent.scheduler.gangs import JobState

Request = tuple[int, int, int]
THREE = range(3)


def divergence(claimer: QueueState, victim: QueueState) -> tuple[QueueState, QueueState]:
    """The first differing ancestors of two different leaf queues."""
    for mine, theirs in zip(reversed(claimer.path), reversed(victim.path), strict=False):
        if mine is not theirs:
            return mine, theirs
    return claimer, victim


def may_reclaim(job: JobState, request: Request) -> tuple[QueueState, int] | None:
    """None when the job stays within its queue's fair share; else the queue and the resource it would exceed."""
    queue = job.queue
    for index in THREE:
        if not at_most(queue.allocated[index] + request[index], queue.fair[index]):
            return queue, index
    if job.nonpreemptible:
        for ancestor in queue.path:
            for index in THREE:
                if not at_most(ancestor.nonpreemptible[index] + request[index], ancestor.deserved[index]):
                    return ancestor, index
    return None


def within_quota(queue: QueueState, request: Request) -> bool:
    return all(at_most(queue.allocated[index] + request[index], queue.deserved[index]) for index in THREE)


def exceeds(held: Iterable[int], share: Iterable[int]) -> bool:
    """Whether something held is more than its share, in at least one resource."""
    return any(limit != UNLIMITED and amount > limit for amount, limit in zip(held, share, strict=True))


def may_give(claimer: QueueState, victim: QueueState, request: Request) -> bool:
    """Whether the victim's queue holds anything that this claimer could have at all."""
    mine, theirs = divergence(claimer, victim)
    return _gives(theirs, request, within_quota(mine, request))


def _gives(theirs: QueueState, request: Request, within: bool) -> bool:
    """``within``: the claim stays within its own quota, so that what others hold beyond theirs is its to have."""
    held = theirs.allocated
    if not within:
        return exceeds(held, theirs.allocatable)
    under = False
    for index in THREE:
        quota = theirs.deserved[index]
        if request[index] > 0 and quota != UNLIMITED:
            if held[index] > quota:
                return True
            under = under or held[index] < quota
    return not under


def giving_queues(claimer: QueueState, queues: Iterable[QueueState], request: Request) -> list[QueueState]:
    """The queues that may give, asked once per sibling of the claimer's path and not per leaf."""
    within = {queue.parent: within_quota(queue, request) for queue in claimer.path}
    known: dict[QueueState, bool] = {}
    found = []
    for queue in queues:
        if queue is claimer:
            continue
        theirs = queue
        while theirs.parent is not None and theirs.parent not in within:
            theirs = theirs.parent
        gives = known.get(theirs)
        if gives is None:
            gives = known[theirs] = _gives(theirs, request, within[theirs.parent])
        if gives:
            found.append(queue)
    return found


class Ledger:
    """What queues would still hold while victims are taken from them one bundle after another."""

    def __init__(self, before: Mapping[QueueState, Vector]) -> None:
        self._before = before
        self.remaining: dict[QueueState, Vector] = {}

    def held(self, queue: QueueState) -> Vector:
        return self.remaining.get(queue) or self._before.get(queue) or queue.allocated

    def take(self, queue: QueueState, amount: Iterable[int]) -> None:
        amounts = list(amount)
        for ancestor in queue.path:
            held = self.held(ancestor)
            self.remaining[ancestor] = [held[index] - amounts[index] for index in THREE]


def bundles_allowed(
    claimer: QueueState, request: Request, bundles: Iterable[tuple[QueueState, Sequence[int]]], ledger: Ledger
) -> bool:
    """Whether every bundle may be taken: its queue is above its share, or above its quota for a claim within quota."""
    for victim, amount in bundles:
        mine, theirs = divergence(claimer, victim)
        held = ledger.held(theirs)
        entitled = all(at_most(ledger.held(mine)[index] + request[index], mine.deserved[index]) for index in THREE)
        if not exceeds(held, theirs.allocatable) and not (entitled and exceeds(held, theirs.deserved)):
            return False
        ledger.take(victim, amount)
    return True


def stays_fair(job: JobState, request: Request, ledger: Ledger, involved: Iterable[int], multiplier: int) -> bool:
    """Whether afterwards no queue on the claimer's path is more over its share than a sibling that gave.

    ``multiplier`` in thousandths makes the claimer count as fuller than it is.
    """
    touched = set(ledger.remaining)
    involved = list(involved)
    for queue in job.queue.path:
        held = ledger.held(queue)
        siblings = queue.parent.children if queue.parent is not None else [q for q in touched if q.parent is None]
        for sibling in siblings:
            if sibling is queue or sibling not in touched:
                continue
            theirs = ledger.held(sibling)
            if any(_unfair(queue, held, sibling, theirs, request, index, multiplier) for index in involved):
                return False
    return True


def _unfair(
    queue: QueueState,
    held: Vector,
    sibling: QueueState,
    theirs: Vector,
    request: Request,
    index: int,
    multiplier: int,
) -> bool:
    """Compare used/fair-share of both sides as exact fractions (cross multiplied)."""
    fair, other = queue.fair[index], sibling.fair[index]
    after = held[index] + request[index]
    if other <= 0 or fair == UNLIMITED:
        return False
    if fair > 0 and after <= fair:
        return False
    if fair == 0:
        return after > 0
    return after * multiplier * other >= theirs[index] * 1000 * fair
