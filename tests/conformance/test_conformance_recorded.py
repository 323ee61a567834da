"""The recordings, where they lie beside the repository: exact shares, expected outcomes, reasons for differences."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance import differential, fairshare, scenarios
from tests.conformance.world import load

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "scenarios"
pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not part of the repository")


def run(module: str, recording: str, out: Path) -> None:
    command = [sys.executable, "-m", f"tests.conformance.{module}", str(RECORDINGS / recording), "--out", str(out)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])


def judge(program: str, recording: str, out: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(RECORDINGS / program), str(RECORDINGS / recording), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_fair_share_is_exact(tmp_path):
    out = tmp_path / "shares.json"
    run("fairshare", "kai-fairshare.json.gz", out)
    verdict = judge("judge_fairshare.py", "kai-fairshare.json.gz", out)
    assert verdict.returncode == 0, verdict.stdout


def test_every_scenario_is_as_expected(tmp_path):
    out = tmp_path / "scenarios.json"
    run("scenarios", "kai-scenarios.json.gz", out)
    verdict = judge("judge.py", "kai-scenarios.json.gz", out)
    assert verdict.returncode == 0, verdict.stdout


def test_scenarios_stay_settled():
    """After the expected state is reached no later round evicts anybody."""
    recorded = load(str(RECORDINGS / "kai-scenarios.json.gz"))
    restless = [
        scenario["id"]
        for scenario in recorded["scenarios"]
        if scenario["runner"] == "integration" and scenarios.run(scenario, recorded["default_config"]).get("restless")
    ]
    assert restless == []


def test_generated_clusters_break_no_invariant_and_every_difference_has_a_reason():
    different, recorded = 0, load(str(RECORDINGS / "kai-random.json.gz"))["scenarios"]
    for scenario in recorded:
        found, broken = differential.compare(scenario)
        assert broken == []
        assert all(one["reason"] for one in found)
        different += bool(found)
    assert different / len(recorded) < 0.1


def test_the_outputs_are_not_read():
    """Results do not change when the recorded outcomes are taken away."""
    recorded = load(str(RECORDINGS / "kai-scenarios.json.gz"))
    for scenario in recorded["scenarios"][:20]:
        bare = {k: v for k, v in scenario.items() if k not in ("expected", "observed_kai", "fair_share")}
        default = recorded["default_config"]
        assert scenarios.run(bare, default) == scenarios.run(scenario, default)
    vector = load(str(RECORDINGS / "kai-fairshare.json.gz"))["vectors"][7]
    bare = {**vector, "queues": [{k: v for k, v in q.items() if k != "Out"} for q in vector["queues"]]}
    bare.pop("remaining")
    assert fairshare.run(bare) == fairshare.run(vector)
