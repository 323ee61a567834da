"""Fair share: quota first, then over-quota by priority and weight in whole units, then remainders."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.scheduler.division import Claim, divide


def claim(uid: str, deserved=0, request=100, limit=-1, weight=1, **more) -> Claim:
    return Claim(uid, deserved, limit, request, weight, **more)


TABLE = [
    ("quota is given first", 10, [claim("a", 6), claim("b", 4)], {"a": 6, "b": 4}, 0),
    ("no more than is requested", 10, [claim("a", 6, request=2)], {"a": 2}, 8),
    ("no more than the limit", 10, [claim("a", 6, limit=3)], {"a": 3}, 7),
    ("quota oversubscribes", 10, [claim("a", 8), claim("b", 8)], {"a": 8, "b": 8}, 0),
    ("unlimited quota takes all", 10, [claim("a", -1)], {"a": 10}, 0),
    ("over-quota by weight", 9, [claim("a", weight=2), claim("b", weight=1)], {"a": 6, "b": 3}, 0),
    ("weight 0 gets nothing over quota", 9, [claim("a", 1, weight=0), claim("b", weight=1)], {"a": 1, "b": 8}, 0),
    ("what one does not need goes on", 10, [claim("a", request=2), claim("b")], {"a": 2, "b": 8}, 0),
    ("priority before weight", 9, [claim("a", priority=1, request=8), claim("b", weight=5)], {"a": 8, "b": 1}, 0),
    ("larger remainder gets the unit", 10, [claim("a", weight=2), claim("b")], {"a": 7, "b": 3}, 0),
    ("the larger remainder, not the larger part", 9, [claim("a", weight=7), claim("b", weight=3)], {"a": 6, "b": 3}, 0),
    ("equal remainders: the older", 3, [claim("b", created=1), claim("a", created=2)], {"b": 2, "a": 1}, 0),
    ("equal age: the smaller uid", 3, [claim("b"), claim("a")], {"a": 2, "b": 1}, 0),
    ("limit caps over-quota", 10, [claim("a", limit=2), claim("b", limit=3)], {"a": 2, "b": 3}, 5),
    ("nothing to divide", 0, [claim("a"), claim("b", 1)], {"a": 0, "b": 1}, 0),
    ("nobody asks", 10, [claim("a", request=0)], {"a": 0}, 10),
]


@pytest.mark.parametrize(("name", "total", "claims", "shares", "left"), TABLE, ids=[row[0] for row in TABLE])
def test_divides(name, total, claims, shares, left):
    assert divide(total, claims) == (shares, left)


def test_whole_gpus_and_the_last_part():
    """2.5 GPUs for three equals: whole GPUs first, then the half."""
    shares, left = divide(2500, [claim(uid, request=9000) for uid in "abc"], unit=1000)
    assert (shares, left) == ({"a": 1000, "b": 1000, "c": 500}, 0)


USAGE = [
    ("k 0 ignores usage", 0, Fraction(9, 10), {"a": 5, "b": 5}),
    ("k 1 halves who used its part", 1, Fraction(1, 2), {"a": 3, "b": 7}),
    ("k 1 shuts out who used twice its part", 1, Fraction(1), {"a": 0, "b": 10}),
    ("k 10 is stricter", 10, Fraction(11, 20), {"a": 0, "b": 10}),
]


@pytest.mark.parametrize(("name", "k", "usage", "shares"), USAGE, ids=[row[0] for row in USAGE])
def test_past_usage_lowers_the_weight(name, k, usage, shares):
    assert divide(10, [claim("a", usage=usage), claim("b")], k=k)[0] == shares


@pytest.mark.parametrize("k", [0, 1, 3])
def test_without_past_usage_weights_count_as_they_are(k):
    assert divide(8, [claim("a", weight=3), claim("b", weight=1)], k=k)[0] == {"a": 6, "b": 2}


amounts = st.integers(0, 50)
claims = st.lists(
    st.builds(
        Claim,
        uid=st.uuids().map(str),
        deserved=st.integers(-1, 20),
        limit=st.integers(-1, 40),
        request=amounts,
        weight=st.integers(0, 5),
        priority=st.integers(0, 2),
        created=st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.uid,
)


@given(total=st.integers(0, 120), parties=claims)
def test_shares_add_up_or_are_all_quota(total, parties):
    shares, left = divide(total, parties)
    quota = sum(min(total if p.deserved == -1 else p.deserved, p.requestable) for p in parties)
    assert sum(shares.values()) + left == max(total, quota)


@given(total=st.integers(0, 120), parties=claims)
def test_nobody_gets_more_than_asked_or_allowed(total, parties):
    shares, _ = divide(total, parties)
    assert all(shares[party.uid] <= party.requestable for party in parties)


@given(total=st.integers(0, 120), parties=claims)
def test_nothing_is_left_while_a_weighted_queue_wants_more(total, parties):
    shares, left = divide(total, parties)
    assert left == 0 or all(p.weight == 0 or shares[p.uid] == p.requestable for p in parties)


@given(total=st.integers(0, 120), parties=claims, data=st.data())
def test_order_of_queues_does_not_matter(total, parties, data):
    assert divide(total, parties) == divide(total, data.draw(st.permutations(parties)))


@given(total=st.integers(0, 60), more=st.integers(0, 20), parties=claims)
def test_a_larger_total_never_shrinks_the_sum(total, more, parties):
    assert sum(divide(total + more, parties)[0].values()) >= sum(divide(total, parties)[0].values())
