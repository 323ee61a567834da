"""The rules behind order, capacity and reclaim, each alone: keys of queues, who may give, how far, and until when."""

import pytest

from agent.domain.pods import Request
from agent.domain.queues import Queue, Share
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
from agent.scheduler.order import JobQueue, dominant_share, job_key, queue_key, rank_siblings
from agent.scheduler.victims import VictimIndex, VictimWalk, anyone
from tests.agent.scheduler.cluster import MINUTE, NOW, Cluster

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
    ("equal: the older", {"created": 2}, {"created": 1}, ["b", "a"]),
    ("equal age: by name", {}, {}, ["a", "b"]),
]


@pytest.mark.parametrize(("name", "a", "b", "order"), RANKS, ids=[row[0] for row in RANKS])
def test_ranks_of_siblings(name, a, b, order):
    zero = {"deserved": (0, 0, 0)}
    states = [queue("a", **zero, **a), queue("b", **zero, **b)]
    rank_siblings(states[::-1])
    assert [state.name for state in sorted(states, key=lambda state: state.rank)] == order


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
    ("no share of its own", 0, 0, 4, 6, False),
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


@pytest.mark.parametrize(("minutes", "taken"), [(1, True), (2, False)])
def test_protection_ends_exactly_in_time(minutes, taken):
    """Started one minute ago."""
    cluster = Cluster().node("n1", 1).queue("a", 1)
    cluster.queues.append(Queue("b", gpu=Share(0), reclaim_min_runtime=minutes * MINUTE))
    cluster.job("b0", "b", on="n1").job("mine", "a")
    assert bool(cluster.plan("reclaim", now=NOW).evicted) is taken


def session_of(cluster: Cluster):
    return take_in(cluster.snapshot()).sessions["default"]


def test_victims_of_one_age_go_by_name_backwards():
    cluster = Cluster().node("n1").queue("q", 9)
    for name in ("b", "a", "c"):
        cluster.job(name, "q", on="n1", age=5)
    session = session_of(cluster)
    index = VictimIndex(session, session.jobs.values())
    assert [batch.job.group.name for batch in index.line(session.queues["q"])] == ["c", "b", "a"]


def test_the_index_follows_changes():
    cluster = Cluster().node("n1").queue("q", 9).job("a", "q", pods=3, least=1, on="n1").job("b", "q", gpus=2, on="n1")
    session = session_of(cluster)
    index, owner = VictimIndex(session, session.jobs.values()), session.queues["q"]
    assert (index.total(owner), index.largest(owner)) == (5000, 2000)
    for task in session.jobs["team/b"].tasks:
        session.move(task, task.status.RELEASING, task.node)
    index.renew(session.jobs.values())
    assert (index.total(owner), index.largest(owner)) == (3000, 1000)


def test_a_walk_sees_what_queues_hold_now():
    """After x gave one, y is the fuller queue; a walk that is made then starts there."""
    cluster = Cluster().node("n1").queue("x").queue("y")
    for name in ("x0", "x1", "x2", "y0", "y1"):
        cluster.job(name, name[0], on="n1")
    session = session_of(cluster)
    for state in session.queues.values():
        state.set_fair_share((1000, 9000, 9 << 40))
    index = VictimIndex(session, session.jobs.values())
    queues = list(session.queues.values())
    first = VictimWalk(index, queues, TOTALS, anyone).pop().job
    assert first.group.name[0] == "x"
    for name in ("x2", "x1"):
        for task in session.jobs[f"team/{name}"].tasks:
            session.move(task, task.status.RELEASING, task.node)
    index.renew(session.jobs.values())
    assert VictimWalk(index, queues, TOTALS, anyone).pop().job.group.name == "y1"


def test_a_walk_can_start_again():
    cluster = Cluster().node("n1").queue("x").queue("y")
    for name in ("x0", "x1", "y0", "y1"):
        cluster.job(name, name[0], on="n1")
    session = session_of(cluster)
    walk = VictimWalk(VictimIndex(session, session.jobs.values()), session.queues.values(), TOTALS, anyone)
    first, second = walk.again(), walk.again()
    one = [first.pop().job.key for _ in range(4)]
    assert one == [second.pop().job.key for _ in range(4)]
    assert (len(set(one)), first.pop()) == (4, None)


NEXT = [
    ("gpu", Request(gpus=4), Request(gpus=1)),
    ("cpu", Request(cpu=4000), Request(cpu=1000)),
    ("memory", Request(memory=4 << 30), Request(memory=1 << 30)),
]


@pytest.mark.parametrize(("resource", "much", "little"), NEXT, ids=[row[0] for row in NEXT])
def test_the_queue_with_the_lighter_next_job_is_served_first(resource, much, little):
    cluster = Cluster().node("n1").queue("a").queue("b").job("a0", "a", request=much).job("b0", "b", request=little)
    session = session_of(cluster)
    for state in session.queues.values():
        state.deserved = [0, 0, 0]
        state.set_fair_share((9000, 9000, 9 << 30))
    line = JobQueue(session, session.jobs.values(), TOTALS, 100)
    assert [line.pop().group.name, line.pop().group.name, line.pop()] == ["b0", "a0", None]
