"""The order of victims, alone: batches, their index as it follows changes, walks, and minimum run times."""

import pytest

from agent.domain.groups import SubGroup
from agent.domain.pods import Request
from agent.domain.queues import Queue, Share
from agent.scheduler.intake import take_in
from agent.scheduler.order import JobQueue, lines_of
from agent.scheduler.victims import VictimIndex, VictimWalk, anyone
from tests.agent.scheduler.cluster import MINUTE, NOW, Cluster

TOTALS = [10_000, 100_000, 1 << 50]


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


def test_a_walk_sees_what_a_queue_lost_behind_its_first_victim():
    """x's first victim is the same as before, but x holds less than y by now."""
    cluster = Cluster().node("n1").queue("x").queue("y")
    for name in ("x0", "x1", "x2", "y0", "y1"):
        cluster.job(name, name[0], on="n1")
    session = session_of(cluster)
    for state in session.queues.values():
        state.set_fair_share((1000, 9000, 9 << 40))
    index = VictimIndex(session, session.jobs.values())
    queues = list(session.queues.values())
    assert VictimWalk(index, queues, TOTALS, anyone).pop().job.group.name == "x2"
    for name in ("x0", "x1"):
        for task in session.jobs[f"team/{name}"].tasks:
            session.move(task, task.status.RELEASING, task.node)
    index.renew(session.jobs.values())
    assert VictimWalk(index, queues, TOTALS, anyone).pop().job.group.name == "y1"


def test_a_line_asks_what_a_job_needs_now():
    """Two pods to start with, one more when those have their place."""
    session = session_of(Cluster().node("n1").queue("q", 8).job("j", "q", pods=3, least=2))
    job, node = session.jobs["team/j"], session.nodes[0]
    line = JobQueue(session, lines_of([job]), TOTALS, 100)
    assert line.request(job)[0] == 2000
    for task in job.root.next_tasks():
        session.move(task, task.status.ALLOCATED, node)
    assert line.request(job)[0] == 1000


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
    line = JobQueue(session, lines_of(session.jobs.values()), TOTALS, 100)
    assert [line.pop().group.name, line.pop().group.name, line.pop()] == ["b0", "a0", None]


def test_a_department_protects_its_queues_from_each_other():
    """The common department's minimum run time counts when the victim's own queue sets none."""
    cluster = Cluster().node("n1", 1)
    cluster.queues.append(Queue("d", gpu=Share(1000), reclaim_min_runtime=10 * MINUTE))
    cluster.queue("a", 1, parent="d").queue("b", 0, parent="d").job("b0", "b", on="n1").job("mine", "a")
    assert cluster.plan("reclaim").evicted == set()


def test_a_queue_set_below_the_common_department_decides():
    cluster = Cluster().node("n1", 1)
    cluster.queues.append(Queue("d", gpu=Share(1000), reclaim_min_runtime=10 * MINUTE))
    cluster.queues.append(Queue("b", "d", gpu=Share(0), reclaim_min_runtime=0))
    cluster.queue("a", 1, parent="d").job("b0", "b", on="n1").job("mine", "a")
    assert cluster.plan("reclaim").evicted == {"b0-0"}


def release(session, job: str, count: int) -> None:
    for task in session.jobs[f"team/{job}"].tasks[-count:]:
        session.move(task, task.status.RELEASING, task.node)


def test_what_is_left_of_a_job_stays_in_the_index():
    cluster = Cluster().node("n1").queue("q", 9).job("a", "q", pods=3, least=1, on="n1")
    session = session_of(cluster)
    index = VictimIndex(session, session.jobs.values())
    release(session, "a", 1)
    index.renew(session.jobs.values())
    assert [len(batch.tasks) for batch in index.line(session.queues["q"])] == [1, 1]


def test_dead_entries_are_swept_away():
    cluster = Cluster().node("n1").queue("q", 9).job("a", "q", pods=8, least=1, on="n1").job("b", "q", on="n1")
    session = session_of(cluster)
    index, owner = VictimIndex(session, session.jobs.values()), session.queues["q"]
    for count in range(1, 8):
        release(session, "a", count)
        index.renew(session.jobs.values())
    index.forget_absent(session.jobs)
    assert [batch.job.group.name for batch in index.line(owner)] == ["b", "a"]


def test_jobs_that_left_are_forgotten():
    cluster = Cluster().node("n1").queue("q", 9).job("a", "q", on="n1").job("b", "q", on="n1")
    session = session_of(cluster)
    index = VictimIndex(session, session.jobs.values())
    index.forget_absent({"team/a": session.jobs["team/a"]})
    assert [batch.job.group.name for batch in index.line(session.queues["q"])] == ["a"]


def test_another_first_victim_gives_the_queue_another_place():
    """x would give four, or only one when the large job may not be taken; y gives two."""
    cluster = Cluster().node("n1").queue("x").queue("y")
    cluster.job("xs", "x", on="n1").job("y0", "y", gpus=2, on="n1").job("y1", "y", gpus=2, on="n1")
    cluster.job("xl", "x", gpus=3, on="n1")
    session = session_of(cluster)
    for state in session.queues.values():
        state.set_fair_share((1000, 9000, 9 << 40))
    index, queues = VictimIndex(session, session.jobs.values()), list(session.queues.values())

    def small(batch) -> bool:
        return batch.job.group.name != "xl"

    assert VictimWalk(index, queues, TOTALS, anyone).pop().job.group.name == "y1"
    assert VictimWalk(index, queues, TOTALS, small).pop().job.group.name == "xs"


@pytest.mark.parametrize(
    ("much", "little"),
    [
        (Request(gpus=3), Request(gpus=1)),
        (Request(cpu=3000), Request(cpu=1000)),
        (Request(memory=3 << 30), Request(memory=1 << 30)),
    ],
    ids=["gpu", "cpu", "memory"],
)
def test_of_queues_that_hold_the_same_the_one_that_keeps_more_gives_way(much, little):
    """The last of a queue's jobs by name would leave first: x would keep 1, y would keep 3."""
    cluster = Cluster().node("n1").queue("x").queue("y")
    for name, request in (("xa", little), ("xb", much), ("ya", much), ("yb", little)):
        cluster.job(name, name[0], on="n1", request=request)
    session = session_of(cluster)
    for state in session.queues.values():
        state.deserved = [0, 0, 0]
        state.set_fair_share((1000, 1000, 1 << 30))
    walk = VictimWalk(VictimIndex(session, session.jobs.values()), list(session.queues.values()), TOTALS, anyone)
    assert walk.pop().job.group.name == "yb"


@pytest.mark.parametrize("scarce", [0, 1, 2])
def test_a_walk_counts_what_it_took_of_every_resource(scarce):
    """x holds 5, y 3 of 8 each: after two from x they are even, so y has given one once four are taken."""
    cluster = Cluster().node("n1").queue("x").queue("y")
    for name in ("x0", "x1", "x2", "x3", "x4", "y0", "y1", "y2"):
        cluster.job(name, name[0], on="n1")
    session = session_of(cluster)
    for state in session.queues.values():
        state.allocatable = [1 << 50] * 3
        state.allocatable[scarce] = 8 * session.jobs["team/x0"].tasks[0].accounted[scarce]
    walk = VictimWalk(VictimIndex(session, session.jobs.values()), list(session.queues.values()), TOTALS, anyone)
    taken = [walk.pop().job.group.name[0] for _ in range(4)]
    assert taken[:2] == ["x", "x"] and "y" in taken


@pytest.mark.parametrize(("x", "y", "first"), [(100, 200, "x"), (200, 100, "y")])
def test_the_queue_of_lower_priority_gives_first(x, y, first):
    cluster = Cluster().node("n1").queue("x", priority=x).queue("y", priority=y)
    for name in ("x0", "y0"):
        cluster.job(name, name[0], on="n1")
    session = session_of(cluster)
    walk = VictimWalk(VictimIndex(session, session.jobs.values()), list(session.queues.values()), TOTALS, anyone)
    assert walk.pop().job.group.name[0] == first


def test_surplus_leaves_before_what_gangs_need_and_what_is_short_leaves_last():
    """Oldest first: an elastic gang, one with just what it needs, one of two groups of which only one runs."""
    cluster = Cluster().node("n1").queue("q", 9).job("elastic", "q", pods=3, least=2, on="n1")
    cluster.job("gang", "q", pods=2, on="n1")
    halves = SubGroup("root", children=(SubGroup("one", 1), SubGroup("two", 1)))
    cluster.job("short", "q", pods=2, root=halves, subgroups=["one", "two"], on=["n1"])
    session = session_of(cluster)
    line = VictimIndex(session, session.jobs.values()).line(session.queues["q"])
    expected = [("elastic", 1), ("gang", 2), ("elastic", 2), ("short", 1)]
    assert [(batch.job.group.name, len(batch.tasks)) for batch in line] == expected


def test_pods_that_leave_together_count_together():
    session = session_of(Cluster().node("n1").queue("q", 9).job("gang", "q", pods=2, on="n1"))
    assert VictimIndex(session, session.jobs.values()).largest(session.queues["q"]) == 2000


def test_jobs_that_stay_are_not_looked_at_again():
    session = session_of(Cluster().node("n1").queue("q", 9).job("a", "q", on="n1").job("b", "q", on="n1"))
    index, owner = VictimIndex(session, session.jobs.values()), session.queues["q"]
    before = list(index.line(owner))
    index.forget_absent(session.jobs)
    index.renew(session.jobs.values())
    assert all(now is then for now, then in zip(index.line(owner), before, strict=True))


def test_what_may_not_be_taken_is_passed_over_under_a_department():
    cluster = Cluster().node("n1").queue("d").queue("x", parent="d").queue("y", parent="d")
    cluster.job("small", "x", on="n1").job("large", "x", gpus=3, on="n1").job("y0", "y", gpus=2, on="n1")
    session = session_of(cluster)
    index = VictimIndex(session, session.jobs.values())
    walk = VictimWalk(index, [session.queues["d"]], TOTALS, lambda batch: batch.job.group.name != "large")
    assert sorted(walk.pop().job.group.name for _ in range(2)) == ["small", "y0"]
    assert walk.pop() is None


def test_a_job_that_waits_again_takes_part_in_the_order():
    session = session_of(Cluster().node("n1").queue("a").queue("b").job("a0", "a", gpus=4).job("b0", "b"))
    for state in session.queues.values():
        state.set_fair_share((9000, 9000, 9 << 30))
    line = JobQueue(session, lines_of(session.jobs.values()), TOTALS, 100)
    first = line.pop()
    line.push(first)
    assert [first.group.name, line.pop().group.name, line.pop().group.name] == ["b0", "b0", "a0"]


@pytest.mark.parametrize("dismissed", [True, False])
def test_a_job_alone_can_be_dismissed(dismissed):
    session = session_of(Cluster().node("n1").queue("a").job("a0", "a"))
    line = JobQueue(session, lines_of(session.jobs.values()), TOTALS, 100, dismiss=lambda job: dismissed)
    assert (line.pop() is None) is dismissed


def test_the_queue_without_a_share_gives_first():
    cluster = Cluster().node("n1").queue("x").queue("y")
    for name in ("x0", "x1", "y0", "y1"):
        cluster.job(name, name[0], on="n1")
    session = session_of(cluster)
    for name, share in (("x", 0), ("y", 1000)):
        session.queues[name].set_fair_share((share, 9000, 9 << 40))
    index = VictimIndex(session, session.jobs.values())
    assert VictimWalk(index, session.queues.values(), TOTALS, anyone).pop().job.group.name == "x1"


def test_a_queue_that_lost_its_victims_is_passed_over():
    session = session_of(Cluster().node("n1").queue("x").queue("y").job("x0", "x", on="n1").job("y0", "y", on="n1"))
    index, gone = VictimIndex(session, session.jobs.values()), session.jobs["team/x0"]
    session.move(gone.tasks[0], gone.tasks[0].status.RELEASING, gone.tasks[0].node)
    index.renew(session.jobs.values())
    walk = VictimWalk(index, session.queues.values(), TOTALS, lambda batch: batch.core)
    assert [walk.pop().job.key, walk.pop()] == ["team/y0", None]
