"""Extras: replay, what would make it run, reservation with backfill, ageing, wait estimates, usage history."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from agent.domain.constraints import Constraints
from agent.domain.nodes import DeviceClaim
from agent.domain.queues import UsageShare
from agent.scheduler import Config, plan
from agent.scheduler.saved import dump, load
from agent.scheduler.usage import History, Sample, Window
from agent.scheduler.whatif import Suggestion, suggest
from tests.agent.scheduler.cluster import MINUTE, NOW, Cluster
from tests.agent.scheduler.generated import clusters

ROOT = Path(__file__).parents[3]


@settings(max_examples=40, deadline=None)
@given(clusters())
def test_saved_snapshots_come_back_equal(cluster):
    snapshot, config = cluster.snapshot(), Config(k_value=0, queue_depth={"reclaim": 3})
    assert load(dump(snapshot, NOW, config)) == (snapshot, NOW, config, {})


BROKEN = [
    ("{", "not a saved snapshot"),
    ("[]", "not a saved snapshot"),
    ('{"version": 1}', "now is None"),
    ('{"version": 1, "now": 1, "snapshot": {"nods": []}}', "snapshot has no field 'nods'"),
    ('{"version": 1, "now": 1, "snapshot": {"nodes": {}}}', "snapshot.nodes is {}, allowed is a list"),
    ('{"version": 1, "now": 1, "snapshot": {"nodes": [{}]}}', "snapshot.nodes[0]"),
    (
        '{"version":1,"now":1,"snapshot":{"groups":[{"namespace":"a","name":"b","queue":"q","preemptibility":"x"}]}}',
        "preemptibility is 'x', allowed are preemptible, non-preemptible",
    ),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_files_name_the_field(text, message):
    with pytest.raises(ValueError) as caught:
        load(text)
    assert message in str(caught.value)


def replay(path: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "agent.scheduler.replay", str(path)], cwd=ROOT, capture_output=True, check=False
    )


def test_replay_prints_the_same_bytes(tmp_path):
    cluster = Cluster().node("n1", 2).queue("a", 1).queue("b", 1).job("b0", "b", gpus=2, on="n1").job("mine", "a")
    path = tmp_path / "snapshot.json"
    path.write_text(dump(cluster.job("big", "a", gpus=4).snapshot(), NOW))
    first, second = replay(path), replay(path)
    assert first.stdout == second.stdout
    assert b"evict b0-0 from n1 (reclaim)" in first.stdout
    assert b"waits team/big: " in first.stdout


def test_replay_names_a_bad_file(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text("{}")
    result = replay(path)
    assert (result.returncode, b"not a saved snapshot" in result.stderr) == (2, True)


def one(cluster: Cluster, job: str) -> dict[str, Suggestion]:
    return {found.change: found for found in suggest(cluster.snapshot(), NOW, f"team/{job}")}


def test_fewer_gpus_would_do():
    found = one(Cluster().node("n1", 4).queue("a", 100).job("j", "a", gpus=6), "j")
    assert found["gpus"] == Suggestion("gpus", "4", 0, True)


def test_a_smaller_gang_would_do():
    found = one(Cluster().node("n1", 3).queue("a", 100).job("j", "a", pods=5), "j")
    assert found["pods"].value == "3"


def test_preemptible_would_do():
    found = one(Cluster().node("n1", 4).queue("a", 1).job("j", "a", gpus=2, priority=100), "j")
    assert found["preemptible"].now


def test_a_higher_priority_would_do():
    cluster = Cluster().node("n1", 1).queue("a", 2).job("old", "a", on="n1").job("j", "a")
    assert one(cluster, "j")["priority"] == Suggestion("priority", "75", 1, False)


def test_another_pool_would_do():
    cluster = Cluster().node("n1", 1).node("m1", 4, pool="big").queue("a", 4).queue("a.big", 4, pool="big")
    assert one(cluster.job("j", "a", gpus=2), "j")["pool"].value == "big"


def test_who_runs_needs_no_suggestion():
    assert one(Cluster().node("n1").queue("a", 4).job("j", "a"), "j") == {}


def test_nothing_helps():
    assert one(Cluster().node("n1", 0).queue("a", 4).job("j", "a"), "j") == {}


def stuck_gang() -> Cluster:
    """Two GPUs: one free, one in use for 10 more minutes; a gang of two is first in the line."""
    cluster = Cluster().node("n1", 2).queue("a", 100)
    cluster.job("old", "a", on="n1", expected_runtime=11 * MINUTE)
    return cluster.job("gang", "a", pods=2)


BACKFILL = [("ends in time", 5 * MINUTE, True), ("ends too late", 30 * MINUTE, False), ("unknown", None, False)]


@pytest.mark.parametrize(("name", "runtime", "runs"), BACKFILL, ids=[row[0] for row in BACKFILL])
def test_backfill_only_what_ends_in_time(name, runtime, runs):
    cluster = stuck_gang().job("small", "a", expected_runtime=runtime)
    assert ("small-0" in cluster.plan("allocate", reservation=True).bound) is runs


def test_without_reservation_small_jobs_go_first():
    assert "small-0" in stuck_gang().job("small", "a").plan("allocate").bound


def test_other_nodes_stay_open():
    here = Constraints(node_selector=(("host", "n1"),))
    cluster = Cluster().node("n1", 2, labels={"host": "n1"}).node("n2", 1).queue("a", 100)
    cluster.job("old", "a", on="n1", expected_runtime=11 * MINUTE).job("gang", "a", pods=2, constraints=here)
    cluster.job("small", "a")
    assert cluster.plan("allocate", reservation=True).bound == {"small-0": "n2"}


def test_wait_estimate():
    waits = stuck_gang().plan("allocate", wait_estimates=5).plan.waits
    assert waits == {"team/gang": NOW + 10 * MINUTE}


def test_no_estimate_without_run_times():
    cluster = Cluster().node("n1", 1).queue("a", 9).job("old", "a", on="n1").job("new", "a")
    assert cluster.plan("allocate", wait_estimates=5).plan.waits == {}


AGEING = [(0, "high"), (MINUTE, "old")]


@pytest.mark.parametrize(("ageing", "winner"), AGEING)
def test_ageing_lets_the_patient_rise(ageing, winner):
    cluster = Cluster().node("n1", 1).queue("a", 9).job("old", "a", age=100).job("high", "a", age=1, priority=60)
    assert cluster.plan("allocate", ageing=ageing).bound == {f"{winner}-0": "n1"}


WINDOWS = [
    ("sliding sees the last ten", Window("sliding", 10), 750_000),
    ("tumbling starts at 20", Window("tumbling", 10), 1_000_000),
    ("half-life weighs the young more", Window("sliding", 100, half_life=5), 833_333),
]


@pytest.mark.parametrize(("name", "window", "share"), WINDOWS, ids=[row[0] for row in WINDOWS])
def test_usage_windows(name, window, share):
    history = History(window)
    for time, held in ((17, 1000), (22, 2000)):
        history = history.add(Sample(time, {"a": (held, 0, 0)}, (2000, 0, 0)))
    assert history.shares(22)["a"].gpu == share


def test_old_samples_are_dropped():
    history = History(Window("sliding", 10)).add(Sample(1, {"a": (1, 0, 0)}, (2, 0, 0)))
    assert len(history.add(Sample(50, {}, (2, 0, 0))).samples) == 1


def test_past_usage_changes_who_gets_the_rest():
    cluster = Cluster().node("n1", 3).queue("a").queue("b")
    for index in range(3):
        cluster.job(f"a{index}", "a").job(f"b{index}", "b")
    snapshot = replace(cluster.snapshot(), usage={"a": UsageShare(gpu=500_000)})
    shares = plan(snapshot, NOW).shares
    assert shares["a"].fair_share[0] < shares["b"].fair_share[0]


def test_claims_are_saved_too():
    cluster = Cluster()
    cluster.claims.append(DeviceClaim("team/c", "gpu", devices=("0", "1")))
    assert json.loads(dump(cluster.snapshot(), NOW))["snapshot"]["claims"][0]["devices"] == ["0", "1"]
