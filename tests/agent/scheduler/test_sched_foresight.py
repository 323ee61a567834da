"""What is worked out instead of tried: it never rules out victims that a simulation would find good."""

import random
from collections import Counter

import pytest

from agent.domain.constraints import Taint
from agent.scheduler import Config, Planner, solver
from agent.scheduler.planner import _prepare
from agent.scheduler.turns import Turns
from agent.scheduler.victims import VictimIndex
from tests.agent.scheduler.cluster import NOW, Cluster, Decided


def crowded(roll: random.Random) -> Cluster:
    """Every GPU taken, mostly by single pods of queues that hold more or less than theirs; many wait."""
    cluster = Cluster()
    departments = [f"d{index}" for index in range(roll.randint(0, 3))]
    for name in departments:
        cluster.queue(name, roll.randint(0, 8), weight=roll.randint(0, 2), limit=roll.choice((-1, -1, -1, 9)))
    queues = [f"q{index}" for index in range(roll.randint(2, 6))]
    for name in queues:
        limit = roll.choice((-1, -1, -1, 4, 6))
        parent = roll.choice(departments) if departments else ""
        cluster.queue(name, roll.randint(0, 4), weight=roll.randint(0, 2), parent=parent, limit=limit)
    for index in range(roll.randint(2, 5)):
        taints = (Taint("new", "", "NoSchedule"),) if roll.random() < 0.1 else ()
        gpus = roll.choice((2, 4))
        cluster.node(f"n{index}", gpus, taints=taints, cores=roll.choice((64, 64, gpus)))
        while gpus > 0:
            size = roll.choice((1, 1, 1, 2))
            share = roll.random() < 0.15
            name = f"r{len(cluster.groups)}"
            kind = {"fraction": 0.5, "devices": [(f"g{name}",)]} if share else {"gpus": min(size, gpus)}
            cluster.job(name, roll.choice(queues), on=f"n{index}", priority=roll.choice((50, 75)), **kind)
            gpus -= 1 if share else min(size, gpus)
    for index in range(roll.randint(3, 12)):
        priority, pods = roll.choice((50, 75, 100)), roll.choice((1, 1, 1, 2, 3))
        kind = roll.choice(({"gpus": 1}, {"gpus": 1}, {"gpus": 1}, {"gpus": 2}, {"fraction": 0.5}))
        cluster.job(f"w{index}", roll.choice(queues), pods, priority=priority, **kind)
    return cluster


@pytest.fixture()
def seen(monkeypatch) -> Counter:
    """Counts what foresight said, having simulated everything that it would not try."""
    counts: Counter = Counter()
    real = solver._try

    def checked(search, tasks, batches):
        if search.hopeless(tasks, batches):
            outcome = solver.simulate(search.context, search.job, tasks, batches)
            good = outcome is not None and search.valid(outcome)
            if outcome is not None:
                search.context.session.undo(outcome.mark)
            names = [batch.job.key for batch in batches]
            assert not good, f"{search.job.key} could have had {names}"
            counts["no place" if outcome is None else "not allowed", min(len(batches), 2)] += 1
        return real(search, tasks, batches)

    monkeypatch.setattr(solver, "_try", checked)
    return counts


def test_what_it_rules_out_is_never_good(seen):
    for seed in range(100):
        cluster, planner = crowded(random.Random(seed)), Planner()
        for _ in range(3):
            decided = planner.plan(cluster.snapshot(), NOW)
            cluster.carry_out(Decided(decided))
    assert set(seen) == {(why, many) for why in ("no place", "not allowed") for many in (1, 2)}, seen


def gone(cluster: Cluster, *, free: int = 0) -> list[str]:
    """The victims of queue "other" that find no place again once team/gang had its turn."""
    planner, snapshot = Planner(), cluster.snapshot()
    planner.plan(snapshot, NOW, Config(actions=()))
    context = _prepare(planner._intake, "default", snapshot, NOW, Config(), planner._kept["default"])
    session = context.session
    batches = list(VictimIndex(session, session.jobs.values()).line(session.queues["other"]))
    job = session.jobs["team/gang"]
    found = Turns(context, job, job.root.next_tasks(), batches, free).gone()
    return ["no place for the gang"] if found is None else [batch.job.group.name for batch in found]


def table(*, limit: float = -1, quota: float = 4, least: int = 1) -> Cluster:
    return Cluster().node("n1", 4).queue("mine", quota, limit=limit).queue("other", 0).job("gang", "mine", least)


@pytest.mark.parametrize(("first", "second", "goes"), [(75, 50, "b"), (50, 75, "a"), (50, 50, "b")])
def test_who_is_less_important_or_younger_is_left_without_a_place(first, second, goes):
    cluster = (
        table().job("a", "other", on="n1", priority=first, age=9).job("b", "other", on="n1", priority=second, age=5)
    )
    assert gone(cluster) == [goes]


@pytest.mark.parametrize(("free", "left"), [(0, ["b", "a"]), (1, ["b"]), (2, [])])
def test_places_that_are_free_anyhow_are_counted(free, left):
    cluster = table(least=2).job("a", "other", on="n1", age=9).job("b", "other", on="n1", age=5)
    assert gone(cluster, free=free) == left


@pytest.mark.parametrize(("limit", "left"), [(1, ["no place for the gang"]), (2, ["b", "a"])])
def test_a_limit_keeps_the_gang_from_its_places(limit, left):
    cluster = table(limit=limit, least=2).job("a", "other", on="n1", age=9).job("b", "other", on="n1", age=5)
    assert gone(cluster) == left


def test_a_victim_that_needs_more_than_is_left_leaves_it_to_the_next():
    cluster = table().job("pair", "other", 2, on="n1", priority=75).job("one", "other", on="n1")
    assert gone(cluster) == ["one"]
    cluster = table(least=2).job("pair", "other", 2, on="n1", priority=75).job("one", "other", on="n1")
    assert gone(cluster) == ["pair"]
