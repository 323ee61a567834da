"""What is worked out instead of tried: it never rules out victims that a simulation would find good."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from agent.domain.constraints import Constraints, PodTerm, Requirement, Taint
from agent.domain.groups import TopologyConstraint
from agent.domain.pods import PodStatus, Request
from agent.scheduler import Config, Planner, solver
from agent.scheduler.context import Context
from agent.scheduler.foresight import Foresight, countable, plain
from agent.scheduler.planner import _prepare
from agent.scheduler.turns import Turns
from agent.scheduler.victims import Batch, VictimIndex, batches_of
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


def context_of(cluster: Cluster, **config) -> Context:
    planner, snapshot = Planner(), cluster.snapshot()
    planner.plan(snapshot, NOW, Config(actions=()))
    return _prepare(planner._intake, "default", snapshot, NOW, Config(**config), planner._kept["default"])


def gone(cluster: Cluster, *, free: int = 0) -> list[str]:
    """The victims of queue "other" that find no place again once team/gang had its turn."""
    context = context_of(cluster)
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


@pytest.mark.parametrize(
    ("priority", "quota", "held", "left"),
    [
        (50, 1, 0, []),
        (100, 2, 0, []),
        (100, 1, 0, ["no place for the gang"]),
        (100, 3, 1, []),
        (100, 2, 1, ["no place for the gang"]),
    ],
)
def test_only_a_gang_that_cannot_be_preempted_is_kept_to_its_quota(priority, quota, held, left):
    cluster = Cluster().node("n1", 5).queue("mine", quota).queue("other", 0).job("gang", "mine", 2, priority=priority)
    cluster.job("a", "other", on="n1", age=9).job("b", "other", on="n1", age=5)
    if held:
        cluster.job("held", "mine", on="n1", priority=100)
    assert gone(cluster, free=2) == left


@pytest.mark.parametrize(("limit", "left"), [(2, ["no place for the gang"]), (3, ["b", "a"])])
def test_what_a_queue_holds_counts_for_its_limit(limit, left):
    cluster = table(limit=limit, least=2).job("held", "mine", on="n1")
    cluster.job("a", "other", on="n1", age=9).job("b", "other", on="n1", age=5)
    assert gone(cluster) == left


def victims(context: Context) -> list[Batch]:
    """All there is to take from the jobs whose name begins with v."""
    session = context.session
    return [batch for job in session.jobs.values() if job.group.name[0] == "v" for batch in batches_of(session, job)]


def hopeless(cluster: Cluster, *, allowed: bool = True, **config) -> bool:
    """Whether team/gang has nothing to hope for from the victims; ``allowed``: they may be taken for good."""
    context = context_of(cluster, **config)
    job = context.session.jobs["team/gang"]
    return Foresight(context, job, lambda _: allowed).hopeless(job.root.next_tasks(), victims(context))


def even(older: str = "other", gpus: int = 1, *, quota: float = 1, mine: dict | None = None, **other) -> Cluster:
    """Two queues with one quota; that of the victims is the older one, which goes first, unless told otherwise."""
    cluster = Cluster().node("n1", gpus)
    for name in ("other", "mine") if older == "other" else ("mine", "other"):
        cluster.queue(name, quota, **(other if name == "other" else mine or {}))
    return cluster


def one(cluster: Cluster, **gang) -> Cluster:
    return cluster.job("v", "other", on="n1").job("gang", "mine", **gang)


def nic(gpus: int) -> Cluster:
    """A node with one network card for every GPU."""
    return Cluster().node("n1", gpus, extended=(("nic", gpus),)).queue("other", 2).queue("mine", 2)


def tainted(cluster: Cluster) -> Cluster:
    cluster.nodes[-1] = replace(cluster.nodes[-1], taints=(Taint("new", "", "NoSchedule"),))
    return cluster


APART = Constraints(pod_anti_affinity=(PodTerm("zone", (Requirement("app", "In", ("v",)),)),))
FIRST = {"priority": 200}
EXTRA = Request(gpus=1, extended=(("nic", 1),))

ONE = [
    ("it would come back", one(even()), True),
    ("its queue is the younger one", one(even("mine")), False),
    ("its queue is the younger one, but mine holds more", one(even("mine", 2).job("held", "mine", on="n1")), True),
    ("it is of my own queue", even("mine").job("v", "mine", on="n1").job("gang", "mine"), False),
    ("its queue is just at its limit", one(even(limit=1, **FIRST)), True),
    ("its queue is over its limit", one(even(limit=0.5, **FIRST)), False),
    ("there is room for the gang", one(even().node("n2", 1)), False),
    ("there is room for the victim", one(even(gpus=2).node("n2", 1), gpus=2), False),
    ("the gang wants half a GPU", one(even(**FIRST), fraction=0.5), True),
    ("what the gang is charged depends on the node", one(even(), request=Request(gpu_memory=9000)), False),
    ("the gang wants something besides", one(nic(1), request=EXTRA), False),
    ("its node turned away from it", tainted(one(even())), False),
    ("its node has too little", one(even().job("held", "mine", on="n1")), False),
    ("a rule between pods", one(even(), constraints=APART), False),
    ("a rule of topology", one(even(), topology=TopologyConstraint("t", "rack")), False),
    ("it is more than its gang needs", even(gpus=2).job("v", "other", 2, least=1, on="n1").job("gang", "mine"), False),
]


@pytest.mark.parametrize(("case", "cluster", "expected"), ONE, ids=[row[0] for row in ONE])
def test_what_one_victim_is_worth(case, cluster, expected):
    assert hopeless(cluster) is expected


@pytest.mark.parametrize(
    "cluster", [one(even("mine")), tainted(one(even("mine")))], ids=["in its place", "turned away"]
)
def test_one_victim_that_may_not_be_taken_is_worth_nothing(cluster):
    assert hopeless(cluster, allowed=False)


def test_a_shared_device_that_is_too_full_does_not_take_its_pod_back():
    cluster = even(**FIRST).job("v", "other", fraction=0.6, devices=[("g",)], on="n1")
    assert hopeless(cluster.job("gang", "mine", fraction=0.6))
    assert not hopeless(cluster.job("held", "mine", fraction=0.7, devices=[("g",)], on="n1"))


def two(cluster: Cluster | None = None, *, gang: int = 2, **more) -> Cluster:
    """Two victims that are asked to make room for two pods."""
    cluster = cluster or even(gpus=2, quota=2, mine=FIRST)
    for name in ("v1", "v2"):
        cluster.job(name, "other", on="n1", **more)
    return cluster.job("gang", "mine", gang, **more)


def watched() -> Cluster:
    """Another pod keeps away from the second victim."""
    cluster = two(even(gpus=3, quota=2, mine=FIRST)).job("held", "mine", on="n1", constraints=APART)
    cluster.pods[1] = replace(cluster.pods[1], labels={"app": "v"})
    return cluster


def unequal() -> Cluster:
    """The gang's second pod wants two GPUs."""
    cluster = two()
    cluster.pods[-1] = replace(cluster.pods[-1], request=replace(cluster.pods[-1].request, gpus=2))
    return cluster


def shared() -> Cluster:
    cluster = even(quota=2, mine=FIRST)
    for name in ("v1", "v2"):
        cluster.job(name, "other", fraction=0.5, devices=[("g",)], on="n1")
    return cluster.job("gang", "mine", 2, fraction=0.5)


def mixed(first: str = "other", size: int = 1) -> Cluster:
    """The first victim of a given queue, the second of a given size."""
    cluster = even(gpus=1 + size, quota=2, mine=FIRST).job("v1", first, on="n1").job("v2", "other", gpus=size, on="n1")
    return cluster.job("gang", "mine", 2)


SEVERAL = [
    ("they may not be taken", two(), False, True),
    ("they may be taken", two(), True, False),
    ("they come back", two(even(gpus=2)), True, True),
    ("the gang is over its limit", two(even(gpus=2, quota=2, mine={"limit": 1, **FIRST})), True, True),
    ("pods on shared devices", shared(), False, False),
    ("a gang of different pods", unequal(), False, False),
    ("a victim of another size", mixed(size=2), False, False),
    ("a victim of my own queue", mixed("mine"), False, False),
    ("a rule between pods", watched(), False, False),
    ("something besides GPUs", two(nic(2), request=EXTRA), False, False),
    ("a node that turned away", tainted(two()), False, False),
    ("one pod: the second victim stays away", two(even(gpus=2), gang=1), True, False),
    (
        "two pods for one victim that comes back",
        Cluster().node("n1", 2).queue("mine", 1).queue("other", 2).job("v", "other", 2, on="n1").job("gang", "mine", 2),
        True,
        True,
    ),
]


@pytest.mark.parametrize(("case", "cluster", "allowed", "expected"), SEVERAL, ids=[row[0] for row in SEVERAL])
def test_what_several_victims_are_worth(case, cluster, allowed, expected):
    assert hopeless(cluster, allowed=allowed) is expected


def test_nothing_is_foreseen_of_several_victims_that_may_not_be_moved():
    assert not hopeless(two(), allowed=False, allow_consolidating_reclaim=False)


PLAIN = [
    ("one pod with half a GPU", {"fraction": 0.5, "devices": [("g",)]}, True),
    ("two pods with a GPU each", {"pods": 2}, True),
    ("two pods with half a GPU each", {"pods": 2, "fraction": 0.5, "devices": [("g",), ("g",)]}, False),
    ("a pod still waits", {"pods": 2, "least": 1, "on": ["n1", ""]}, False),
    ("one more than needed", {"pods": 2, "least": 1}, False),
    ("a rule of topology", {"topology": TopologyConstraint("t", "rack")}, False),
]


@pytest.mark.parametrize(("case", "facts", "expected"), PLAIN, ids=[row[0] for row in PLAIN])
def test_which_victims_are_plain(case, facts, expected):
    context = context_of(Cluster().node("n1").queue("q", 8).job("v", "q", **{"on": "n1"} | facts))
    assert set(map(plain, victims(context))) == {expected}


def test_a_pod_on_its_way_to_another_place_is_not_plain():
    context = context_of(Cluster().node("n1").node("n2").queue("q", 8).job("v", "q", on="n1"))
    task, (old, new) = context.session.jobs["team/v"].tasks[0], context.session.nodes
    context.session.move(task, PodStatus.PIPELINED, new, leaves=(old, ()))
    assert [plain(batch) for batch in victims(context)] == [False]


COUNTABLE = [
    ("whole GPUs", Request(gpus=2), True),
    ("part of one GPU", Request(gpu_fraction=500), True),
    ("parts of two GPUs", Request(gpu_fraction=500, gpu_devices=2), False),
    ("memory of one GPU", Request(gpu_memory=9000), False),
    ("a GPU and a card", EXTRA, False),
    ("part of a GPU and a card", replace(EXTRA, gpus=0, gpu_fraction=500), False),
    ("no GPU", Request(cpu=1000), False),
]


@pytest.mark.parametrize(("case", "request_", "expected"), COUNTABLE, ids=[row[0] for row in COUNTABLE])
def test_what_can_be_counted(case, request_, expected):
    context = context_of(Cluster().node("n1").queue("q", 8).job("j", "q", request=request_))
    assert countable(context.session.jobs["team/j"].tasks[0].shape) is expected
