"""Fair share: how a total of one resource is divided among sibling queues.

Exact arithmetic throughout (ints and Fractions), so equal inputs give equal shares whatever their order. Steps: quota
first, then what is left over by priority and weight in whole units, then the remainders one unit at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from agent.domain.quantities import UNLIMITED

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class Claim:
    """What one queue brings to the division of one resource, in raw units of that resource.

    ``usage``: its share of past capacity, 0..1. ``weight``: over-quota weight; only ratios matter.
    """

    uid: str
    deserved: Number
    limit: Number
    request: Number
    weight: Number = 1
    priority: int = 0
    created: int = 0
    usage: Number = 0

    @property
    def requestable(self) -> Number:
        return self.request if self.limit == UNLIMITED else min(self.limit, self.request)


class _Party:
    """A claim while it is being served: its share so far and the remainder its last round cut off."""

    __slots__ = ("claim", "leftover", "requestable", "share")

    def __init__(self, claim: Claim, total: Number) -> None:
        self.claim = claim
        self.requestable = claim.requestable
        self.share = min(total if claim.deserved == UNLIMITED else claim.deserved, self.requestable)
        self.leftover: Number = 0

    @property
    def need(self) -> Number:
        return self.requestable - self.share

    @property
    def satisfied(self) -> bool:
        claim = self.claim
        return claim.request <= self.share or (claim.limit != UNLIMITED and claim.limit <= self.share)


def divide(total: Number, claims: Iterable[Claim], *, k: Number = 0, unit: int = 1) -> tuple[dict[str, Number], Number]:
    """Shares by uid, and what nobody took (negative when quotas alone exceed the total is reported as 0).

    ``k``: how strongly past usage counts. ``unit``: shares over quota are whole multiples of it (1000 milli-GPU),
    but for the last remainder. Quota is given even when it oversubscribes the total.
    """
    parties = [_Party(claim, total) for claim in claims]
    remaining = total - sum(party.share for party in parties)
    if remaining > 0:
        parties.sort(key=lambda party: -party.claim.priority)
        levels = [list(level) for _, level in groupby(parties, key=lambda party: party.claim.priority)]
        for level in levels:
            remaining = _by_weight(level, remaining, k, unit)
        for level in levels:
            remaining = _remainders(level, remaining, unit)
    return {party.claim.uid: party.share for party in parties}, max(remaining, 0)


def _by_weight(level: Sequence[_Party], remaining: Number, k: Number, unit: int) -> Number:
    """Rounds of proportional division inside one priority, until no queue is satisfied with less than its part."""
    again = True
    while again and remaining > 0:
        total_weight = sum(party.claim.weight for party in level if party.need > 0)
        if total_weight == 0:
            break
        open_parties = [party for party in level if not party.satisfied]
        weights: list[Number] = [_effective_weight(party, total_weight, k) for party in open_parties]
        weight_sum = sum(weights)
        if weight_sum == 0:
            break
        again = False
        at_start = remaining
        for party, weight in zip(open_parties, weights, strict=True):
            if party.claim.weight <= 0:
                continue
            part = Fraction(at_start) * Fraction(weight) / Fraction(weight_sum)
            given, fully = _serve(party, part, unit)
            remaining -= given
            again = again or fully
    return remaining


def _effective_weight(party: _Party, total_weight: Number, k: Number) -> Number:
    """The queue's weight, lowered by k times what it used beyond its part (never negative)."""
    claim = party.claim
    if not k or not claim.usage:
        weight = claim.weight if total_weight > 0 else -claim.weight
        return weight + k * weight if weight > 0 else 0
    whole = Fraction(total_weight)
    normal = Fraction(claim.weight) / whole
    wanted = normal + Fraction(k) * (normal - Fraction(claim.usage))
    return wanted * abs(whole) if wanted > 0 else 0


def _serve(party: _Party, part: Fraction, unit: int) -> tuple[Number, bool]:
    """Give a queue its part in whole units. Returns what it got and whether it needed less than its part."""
    need = party.need
    if need <= part:
        party.share += need
        party.leftover = 0
        return need, need < part
    whole = part // unit * unit
    party.share += whole
    party.leftover = part - whole
    return whole, False


def _remainders(level: Sequence[_Party], remaining: Number, unit: int) -> Number:
    """The largest cut-off remainders get one more unit each, or whatever is left of one."""
    waiting = [party for party in level if party.leftover > 0]
    waiting.sort(key=lambda party: (-party.leftover, party.claim.created, party.claim.uid))
    for party in waiting:
        if remaining <= 0:
            break
        given = min(unit, remaining)
        party.share += given
        remaining -= given
    return remaining
