"""The rules behind order, capacity and reclaim, each alone: keys of queues, who may give, how far, and until when."""

import random

import pytest

from agent.domain.queues import Queue
from agent.scheduler.capacity import over_capacity
from agent.scheduler.claims import (
    Ledger,
    bundles_allowed,
    divergence,
    exceeds,
    giving_queues,
    may_give,
    may_reclaim,
    stays_fair,
    within_quota,
)
from agent.scheduler.entitlement import QueueState
from agent.scheduler.gangs import JobState
from agent.scheduler.intake import take_in
from agent.scheduler.order import dominant_share, job_key, queue_key, rank_siblings
from tests.agent.scheduler.cluster import Cluster

TOTALS = [10_000, 100_000, 1_000]
UNLIMITED = [-1, -1, -1]


def queue(name="q", *, deserved=UNLIMITED, limit=UNLIMITED, fair=(0, 0, 0), held=(0, 0, 0), parent=None, **more):
    state = QueueState(0, Queue(name, **more))
    state.deserved, state.limit = list(deserved), list(limit)
    state.set_fair_share(fair)
    state.allocated = list(held)
    if parent is not None:
        state.parent = parent
        parent.children.append(state)
        state.path = (state, *parent.path)
    return state


def job(owner, *, nonpreemptible=False) -> JobState:
    cluster = Cluster().job("j", "q", preemptibility="non-preemptible" if nonpreemptible else "preemptible")
    return JobState(0, cluster.groups[0], owner)


OVER = [((4, 4, 4), True), ((3, 4, 4), False), ((4, 3, 4), False), ((4, 4, 3), False)]


@pytest.mark.parametrize(("held", "over"), OVER)
def test_over_utilised_means_strictly_in_all_three(held, over):
    state = queue(fair=(3, 3, 3))
    assert queue_key(state, list(held), list(held), TOTALS)[0] is over


STARVED = [
    ((2, 2, 2), (2, 2, 2), True),
    ((2, 2, 2), (3, 2, 2), False),
    ((2, 2, 2), (2, 3, 2), False),
    ((2, 2, 2), (2, 2, 3), False),
    ((-1, 2, 2), (9, 2, 2), True),
    ((2, -1, 2), (2, 9, 2), True),
    ((2, 2, -1), (2, 2, 9), True),
]


@pytest.mark.parametrize(("deserved", "after", "starved"), STARVED)
def test_starved_means_within_quota_with_the_next_job(deserved, after, starved):
    assert queue_key(queue(deserved=deserved), [0, 0, 0], list(after), TOTALS)[1] is not starved


SHARELESS = [
    ((0, 5, 5), (0, 1, 1), False),
    ((0, 5, 5), (1, 1, 1), True),
    ((5, 0, 5), (1, 0, 1), False),
    ((5, 0, 5), (1, 1, 1), True),
    ((5, 5, 0), (1, 1, 0), False),
    ((5, 5, 0), (1, 1, 1), True),
]


@pytest.mark.parametrize(("fair", "after", "last"), SHARELESS)
def test_using_what_it_has_no_share_of_goes_last(fair, after, last):
    state = queue(deserved=(0, 0, 0), fair=fair)
    assert queue_key(state, [0, 0, 0], list(after), TOTALS)[3] is last


DOMINANT = [
    ((2000, 0, 0), (4000, 1, 1), 0.5),
    ((2000, 30, 0), (4000, 40, 1), 0.75),
    ((2000, 0, 9), (4000, 1, 10), 0.9),
    ((0, 0, 0), (0, 0, 0), 0.0),
    ((2, 0, 0), (0, 1, 1), 2.0),
    ((0, 2, 0), (1, 0, 1), 2000.0),
]


@pytest.mark.parametrize(("held", "fair", "share"), DOMINANT)
def test_dominant_share(held, fair, share):
    assert dominant_share(queue(deserved=(0, 0, 0), fair=fair), list(held), TOTALS) == share


def test_an_unlimited_share_counts_against_the_whole_cluster():
    assert dominant_share(queue(), [5000, 0, 0], TOTALS) == 0.5


def test_priority_and_rank_are_in_the_key():
    state = queue(priority=7)
    state.rank = 3
    key = queue_key(state, [0, 0, 0], [1, 1, 1], TOTALS)
    assert (key[2], key[6]) == (-7, 3)


RANKS = [
    ("smaller share first", {"fair": (1, 5, 5)}, {"fair": (2, 5, 5)}, ["a", "b"]),
    ("larger share last", {"fair": (3, 5, 5)}, {"fair": (2, 5, 5)}, ["b", "a"]),
    ("neither smaller: the older", {"fair": (1, 5, 5), "created": 2}, {"fair": (2, 4, 5), "created": 1}, ["b", "a"]),
    ("neither larger: the older", {"fair": (1, 5, 5), "created": 1}, {"fair": (2, 4, 5), "created": 2}, ["a", "b"]),
    ("equal: the older", {"created": 2}, {"created": 1}, ["b", "a"]),
    ("equal age: by name", {}, {}, ["a", "b"]),
]


@pytest.mark.parametrize(("name", "a", "b", "order"), RANKS, ids=[row[0] for row in RANKS])
def test_ranks_of_siblings(name, a, b, order):
    zero = {"deserved": (0, 0, 0)}
    states = [queue("a", **zero, **a), queue("b", **zero, **b)]
    rank_siblings(states[::-1])
    assert [state.name for state in sorted(states, key=lambda state: state.rank)] == order


def test_many_siblings_are_ranked_by_share_whatever_their_age():
    """More than a sort compares one by one, in both directions."""
    shares = random.Random(7).sample(range(1_000), 300)
    zero = {"deserved": (0, 0, 0)}
    states = [queue(f"q{at:03}", created=at, fair=(share,) * 3, **zero) for at, share in enumerate(shares)]
    rank_siblings(states)
    ranked = [state.allocatable[0] for state in sorted(states, key=lambda state: state.rank)]
    assert ranked == sorted(ranked)


def test_jobs_below_their_minimum_come_first():
    cluster = Cluster().node("n1").queue("q", 9)
    cluster.job("above", "q", pods=3, least=1, on="n1").job("at", "q", pods=2, on="n1").job("below", "q", pods=2)
    jobs = take_in(cluster.snapshot()).sessions["default"].jobs.values()
    assert [one.group.name for one in sorted(jobs, key=job_key)] == ["below", "at", "above"]


LIMITS = [
    ((2, -1, -1), (1, 0, 0), (1, 0, 0), None),
    ((2, -1, -1), (2, 0, 0), (1, 0, 0), ("OverLimit", 0)),
    ((2, -1, -1), (3, 0, 0), (0, 5, 0), None),
    ((-1, 4, -1), (0, 4, 0), (1, 1, 0), ("OverLimit", 1)),
    ((-1, -1, 4), (0, 0, 4), (1, 0, 1), ("OverLimit", 2)),
]


@pytest.mark.parametrize(("limit", "held", "request_", "broken"), LIMITS)
def test_limits(limit, held, request_, broken):
    found = over_capacity(job(queue(limit=limit, held=held)), request_)
    assert (found and (found[0], found[2])) == broken


QUOTAS = [
    ((2, -1, -1), (1, 0, 0), None),
    ((2, -1, -1), (2, 0, 0), 0),
    ((-1, 3, -1), (0, 3, 0), 1),
    ((-1, -1, 3), (0, 0, 3), 2),
]


@pytest.mark.parametrize(("deserved", "fixed", "resource"), QUOTAS)
def test_quota_of_non_preemptible_work(deserved, fixed, resource):
    state = queue(deserved=deserved)
    state.nonpreemptible = list(fixed)
    found = over_capacity(job(state, nonpreemptible=True), (1, 1, 1))
    assert (found and found[2]) == resource


def test_a_full_quota_of_what_is_not_asked_for_does_not_matter():
    state = queue(deserved=(2, -1, -1))
    state.nonpreemptible = [3, 0, 0]
    assert over_capacity(job(state, nonpreemptible=True), (0, 1, 1)) is None


def pair(mine=None, theirs=None):
    """Two top-level queues."""
    return queue("mine", **(mine or {})), queue("theirs", **(theirs or {}))


def test_divergence_below_the_common_ancestor():
    top = queue("top")
    d1, d2 = queue("d1", parent=top), queue("d2", parent=top)
    a, b = queue("a", parent=d1), queue("b", parent=d2)
    assert divergence(a, b) == (d1, d2)


RECLAIMS = [
    ((2, 9, 9), (1, 0, 0), None),
    ((2, 9, 9), (2, 0, 0), 0),
    ((9, 2, 9), (0, 2, 0), 1),
    ((9, 9, 2), (0, 0, 2), 2),
]


@pytest.mark.parametrize(("fair", "held", "resource"), RECLAIMS)
def test_claims_end_at_the_fair_share(fair, held, resource):
    found = may_reclaim(job(queue(deserved=(0, 0, 0), fair=fair, held=held)), (1, 1, 1))
    assert (found and found[1]) == resource


def test_non_preemptible_claims_end_at_the_quota():
    state = queue(deserved=(1, -1, -1), fair=(5, 5, 5))
    state.nonpreemptible = [1, 0, 0]
    assert may_reclaim(job(state, nonpreemptible=True), (1, 0, 0)) == (state, 0)
    assert may_reclaim(job(state), (1, 0, 0)) is None


@pytest.mark.parametrize(("held", "inside"), [((1, 0, 0), True), ((2, 0, 0), False)])
def test_within_quota(held, inside):
    assert within_quota(queue(deserved=(2, -1, -1), held=held), (1, 0, 0)) is inside


@pytest.mark.parametrize(("held", "more"), [((3, 0, 0), True), ((2, 0, 0), False), ((0, 9, 9), False)])
def test_exceeds_in_one_resource(held, more):
    assert exceeds(held, (2, -1, -1)) is more


GIVES = [
    ("above quota, for a claim within quota", {"held": (3, 0, 0)}, (1, 0, 0), True),
    ("at quota", {"held": (2, 0, 0)}, (1, 0, 0), True),
    ("below quota", {"held": (1, 0, 0)}, (1, 0, 0), False),
    ("below quota in what is not asked for", {"held": (3, 1, 0)}, (1, 0, 0), True),
    ("above in one, below in the other", {"held": (3, 1, 0)}, (1, 1, 0), True),
    ("below in one, at in the other", {"held": (2, 1, 0)}, (1, 1, 0), False),
]


@pytest.mark.parametrize(("name", "theirs", "request_", "gives"), GIVES, ids=[row[0] for row in GIVES])
def test_who_may_give_to_a_claim_within_quota(name, theirs, request_, gives):
    mine, other = pair({"deserved": (9, 9, 9)}, {"deserved": (2, 2, 2), **theirs})
    assert may_give(mine, other, request_) is gives


BEYOND = [((3, 0, 0), True), ((2, 0, 0), False)]


@pytest.mark.parametrize(("held", "gives"), BEYOND)
def test_who_may_give_to_a_claim_beyond_quota(held, gives):
    mine, other = pair({"deserved": (0, 0, 0)}, {"deserved": (1, 1, 1), "fair": (2, 2, 2), "held": held})
    assert may_give(mine, other, (1, 0, 0)) is gives


def test_siblings_are_asked_for_all_their_leaves():
    mine = queue("mine", deserved=(9, 9, 9))
    rich, poor = queue("rich", deserved=(0, 0, 0), held=(5, 0, 0)), queue("poor", deserved=(9, 9, 9))
    leaves = [queue("a", parent=rich), queue("b", parent=rich), queue("c", parent=poor)]
    assert giving_queues(mine, [mine, *leaves], (1, 0, 0)) == leaves[:2]


def test_the_ledger_takes_all_the_way_up():
    top = queue("top", held=(5, 5, 5))
    leaf = queue("leaf", held=(3, 3, 3), parent=top)
    ledger = Ledger({})
    ledger.take(leaf, (1, 2, 3))
    assert (ledger.held(leaf), ledger.held(top)) == ([2, 1, 0], [4, 3, 2])


def test_the_ledger_starts_from_what_was_before():
    state = queue(held=(1, 1, 1))
    ledger = Ledger({state: [7, 7, 7]})
    ledger.take(state, (1, 1, 1))
    assert ledger.held(state) == [6, 6, 6]


BUNDLES = [
    ("one above the share", (9, 9, 9), (3, 0, 0), [1], True),
    ("down to the share", (0, 0, 0), (4, 0, 0), [1, 1], True),
    ("below the share", (0, 0, 0), (4, 0, 0), [1, 1, 1], False),
    ("below the share for a claim within quota, above quota", (9, 9, 9), (4, 0, 0), [1, 1, 1], True),
    ("below quota", (9, 9, 9), (4, 0, 0), [1, 1, 1, 1], False),
]


@pytest.mark.parametrize(("name", "quota", "held", "amounts", "allowed"), BUNDLES, ids=[row[0] for row in BUNDLES])
def test_how_far_bundles_go(name, quota, held, amounts, allowed):
    """The giving queue has a quota of 1 and a fair share of 2."""
    mine, other = pair({"deserved": quota}, {"deserved": (1, 1, 1), "fair": (2, 2, 2), "held": held})
    bundles = [(other, [amount, 0, 0]) for amount in amounts]
    assert bundles_allowed(mine, (1, 0, 0), bundles, Ledger({})) is allowed


def test_the_claimers_own_use_counts_towards_its_quota():
    mine, other = pair(
        {"deserved": (2, 2, 2), "held": (2, 0, 0)}, {"deserved": (1, 1, 1), "fair": (2, 2, 2), "held": (2, 0, 0)}
    )
    assert bundles_allowed(mine, (1, 0, 0), [(other, [1, 0, 0])], Ledger({})) is False


FAIR = [
    ("within its share", 4, 3, 4, 2, True),
    ("beyond, less than the sibling", 4, 5, 4, 7, True),
    ("beyond, as much as the sibling", 4, 5, 4, 6, False),
    ("beyond, more than the sibling", 4, 7, 4, 6, False),
    ("the sibling has no share", 4, 7, 0, 6, True),
    ("the sibling has neither share nor anything left", 4, 7, 0, 0, True),
    ("no share of its own", 0, 0, 4, 6, False),
    ("an unlimited share of its own", -1, 7, 4, 6, True),
]


@pytest.mark.parametrize(("name", "fair", "held", "other", "left", "result"), FAIR, ids=[row[0] for row in FAIR])
def test_nobody_ends_fuller_than_who_gave(name, fair, held, other, left, result):
    top = queue("top")
    mine = queue("mine", deserved=(0, 0, 0), fair=(fair, 9, 9), held=(held, 0, 0), parent=top)
    theirs = queue("theirs", deserved=(0, 0, 0), fair=(other, 9, 9), held=(left + 1, 0, 0), parent=top)
    ledger = Ledger({})
    ledger.take(theirs, (1, 0, 0))
    assert stays_fair(job(mine), (1, 0, 0), ledger, [0], 1000) is result


def test_a_sibling_that_gave_nothing_is_not_compared():
    top = queue("top")
    mine = queue("mine", deserved=(0, 0, 0), fair=(1, 9, 9), held=(5, 0, 0), parent=top)
    queue("idle", deserved=(0, 0, 0), fair=(4, 9, 9), parent=top)
    assert stays_fair(job(mine), (1, 0, 0), Ledger({}), [0], 1000)


def test_a_queue_without_share_that_asks_nothing_of_it_is_fair():
    top = queue("top")
    mine = queue("mine", deserved=(0, 0, 0), fair=(0, 9, 9), parent=top)
    theirs = queue("theirs", deserved=(0, 0, 0), fair=(4, 9, 9), held=(5, 0, 0), parent=top)
    ledger = Ledger({})
    ledger.take(theirs, (1, 0, 0))
    assert stays_fair(job(mine), (0, 1, 0), ledger, [0], 1000)


def test_queues_inside_the_own_department_are_asked_one_by_one():
    top = queue("top")
    mine = queue("mine", deserved=(9, 9, 9), parent=top)
    rich = queue("rich", deserved=(0, 0, 0), held=(5, 0, 0), parent=top)
    poor = queue("poor", deserved=(9, 9, 9), parent=top)
    assert giving_queues(mine, [poor, rich], (1, 0, 0)) == [rich]


def test_top_level_queues_are_asked_one_by_one():
    mine, poor = queue("mine", deserved=(9, 9, 9)), queue("poor", deserved=(9, 9, 9))
    rich = queue("rich", deserved=(0, 0, 0), held=(5, 0, 0))
    assert giving_queues(mine, [poor, rich], (1, 0, 0)) == [rich]


@pytest.mark.parametrize(("left", "fair"), [(7, True), (6, False)])
def test_top_level_queues_are_compared_too(left, fair):
    mine = queue("mine", deserved=(0, 0, 0), fair=(4, 9, 9), held=(5, 0, 0))
    theirs = queue("theirs", deserved=(0, 0, 0), fair=(4, 9, 9), held=(left + 1, 0, 0))
    ledger = Ledger({})
    ledger.take(theirs, (1, 0, 0))
    assert stays_fair(job(mine), (1, 0, 0), ledger, [0], 1000) is fair
