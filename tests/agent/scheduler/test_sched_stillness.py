"""A pass that could do nothing is not repeated while nothing of its pool changes; any change, and time, repeats it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.queues import Share, UsageShare
from agent.scheduler import Config, Planner, Snapshot, plan, reclaim
from tests.agent.scheduler.cluster import MINUTE, NOW, Cluster, Decided
from tests.agent.scheduler.generated import clusters


@pytest.fixture
def tried(monkeypatch) -> list[str]:
    """Keys of the jobs that tried to reclaim."""
    seen: list[str] = []
    real = reclaim._attempt

    def spy(context, index, job, tasks):
        seen.append(job.key)
        return real(context, index, job, tasks)

    monkeypatch.setattr(reclaim, "_attempt", spy)
    return seen


def stuck(**job) -> Snapshot:
    """Two pools, in each a GPU that is taken and a job that may not take it back."""
    cluster = Cluster()
    for pool in ("default", "big"):
        cluster.node(f"n.{pool}", 1, pool=pool).queue(f"rich.{pool}", 1, pool=pool).queue(f"poor.{pool}", 0, pool=pool)
        cluster.job(f"r.{pool}", f"rich.{pool}", on=f"n.{pool}", pool=pool)
        cluster.job(f"w.{pool}", f"poor.{pool}", pool=pool, **job)
    return cluster.snapshot()


def other_quota(snapshot: Snapshot) -> Snapshot:
    queues = [replace(one, gpu=Share(500)) if one.name == "rich.default" else one for one in snapshot.queues]
    return replace(snapshot, queues=tuple(queues))


def one_gone(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, pods=tuple(pod for pod in snapshot.pods if pod.group != "team/r.default"))


def more_room(snapshot: Snapshot) -> Snapshot:
    nodes = [replace(node, cpu=2 * node.cpu) if node.name == "n.default" else node for node in snapshot.nodes]
    return replace(snapshot, nodes=tuple(nodes))


def higher(snapshot: Snapshot) -> Snapshot:
    groups = [replace(one, priority=60) if one.name == "w.default" else one for one in snapshot.groups]
    return replace(snapshot, groups=tuple(groups))


def without_group(snapshot: Snapshot) -> Snapshot:
    groups = tuple(one for one in snapshot.groups if one.name != "r.default")
    return replace(snapshot, groups=groups, pods=tuple(pod for pod in snapshot.pods if pod.group != "team/r.default"))


@pytest.mark.parametrize("steps", [0, 1, 10**6])
def test_what_could_do_nothing_is_not_tried_again(tried, steps):
    planner, snapshot, config = Planner(), stuck(), Config(eviction_steps=steps)
    decided = planner.plan(snapshot, NOW, config)
    while decided.unfinished:
        decided = planner.plan(snapshot, NOW, config, decided.passes)
    tried.clear()
    again = planner.plan(snapshot, NOW + MINUTE, config, decided.passes)
    assert not tried and not again.unfinished
    assert (again.reasons, again.pod_reasons) == (decided.reasons, decided.pod_reasons)


@pytest.mark.parametrize("change", [other_quota, more_room, higher])
def test_any_change_of_the_pool_repeats_its_pass_and_no_other(tried, change: Callable[[Snapshot], Snapshot]):
    planner = Planner()
    planner.plan(stuck(), NOW)
    tried.clear()
    decided = planner.plan(change(stuck()), NOW)
    assert tried == ["team/w.default"]
    assert decided == plan(change(stuck()), NOW)


@pytest.mark.parametrize("change", [one_gone, without_group])
def test_room_that_comes_free_is_given(change):
    planner = Planner()
    planner.plan(stuck(), NOW)
    assert [bind.pod for bind in planner.plan(change(stuck()), NOW).binds] == ["w.default-0"]


@pytest.mark.parametrize(
    "config", [Config(k_value=500), Config(saturation_multiplier=2000), Config(max_consolidation_victims=1)]
)
def test_other_settings_repeat_it(tried, config):
    planner = Planner()
    planner.plan(stuck(), NOW)
    tried.clear()
    planner.plan(stuck(), NOW, config)
    assert sorted(tried) == ["team/w.big", "team/w.default"]


def test_other_usage_repeats_it(tried):
    planner = Planner()
    planner.plan(stuck(), NOW)
    tried.clear()
    planner.plan(replace(stuck(), usage={"poor.big": UsageShare(gpu=1)}), NOW)
    assert sorted(tried) == ["team/w.big", "team/w.default"]


TIMED = [
    Config(preempt_min_runtime=1),
    Config(reclaim_min_runtime=1),
    Config(ageing=MINUTE),
    Config(reservation=True),
]


@pytest.mark.parametrize("config", TIMED)
def test_where_time_matters_it_is_repeated(tried, config):
    planner = Planner()
    planner.plan(stuck(), NOW, config)
    tried.clear()
    planner.plan(stuck(), NOW, config)
    assert sorted(tried) == ["team/w.big", "team/w.default"]


def test_a_delay_that_runs_out_is_seen():
    cluster = Cluster().node("n1", 1).queue("rich", 0, weight=0).queue("mine", 1)
    snapshot = cluster.job("r", "rich", on="n1").job("w", "mine", age=0, preemption_delay=MINUTE).snapshot()
    planner = Planner()
    assert not planner.plan(snapshot, NOW).evictions
    assert planner.plan(snapshot, NOW + MINUTE).evictions


def test_a_pass_that_comes_from_elsewhere_proves_nothing(tried):
    """Only one of the pool's two jobs has its turn in the pass that is given."""
    cluster = Cluster().node("n1", 1).queue("rich", 1).queue("a", 0, weight=0).queue("b", 0, weight=0)
    snapshot = cluster.job("r", "rich", on="n1").job("wa", "a").job("wb", "b").snapshot()
    planner, config = Planner(), Config(actions=("reclaim",), eviction_steps=1)
    first = planner.plan(snapshot, NOW, config)
    foreign = {"default": replace(first.passes["default"], turns=frozenset())}
    assert not planner.plan(snapshot, NOW, config, foreign).unfinished
    tried.clear()
    planner.plan(snapshot, NOW, Config(actions=("reclaim",), eviction_steps=1))
    assert tried


@settings(max_examples=60, deadline=None)
@given(clusters(), st.sampled_from((0, 1, 50)))
def test_plans_are_those_of_a_new_planner(cluster, steps):
    """Decisions and reasons, plan by plan, to rest and beyond."""
    planner, config = Planner(), Config(eviction_steps=steps)
    passes = {}
    for cycle in range(12):
        snapshot = cluster.snapshot()
        fresh = plan(snapshot, NOW + cycle, config, passes)
        assert replace(planner.plan(snapshot, NOW + cycle, config, passes), passes={}) == replace(fresh, passes={})
        cluster.carry_out(Decided(fresh))
        passes = fresh.passes
