"""Settings of the agent: flags, environment, and what is wrong with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agent.config import BadSetting, parse


def test_defaults():
    settings = parse(["scheduler"], {})
    assert settings.scheduler_names == ("runai-scheduler", "kai-scheduler")
    assert (settings.port, settings.address, settings.leader_election) == (0, "127.0.0.1", True)


def test_flags_win_over_the_environment():
    settings = parse(["scheduler", "--port", "1", "--placement", "spread"], {"RUNAI_AGENT_PORT": "2"})
    assert (settings.port, settings.placement_gpu, settings.placement_cpu) == (1, "spread", "spread")


def test_names_may_repeat_or_come_as_a_list():
    assert parse(["scheduler", "--scheduler-name", "a", "--scheduler-name", "b"], {}).scheduler_names == ("a", "b")
    assert parse(["scheduler"], {"RUNAI_AGENT_SCHEDULER_NAMES": "a, b,"}).scheduler_names == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["scheduler"], {"RUNAI_AGENT_PORT": "70000"}, "port is 70000.*0 to 65535"),
        (["scheduler"], {"RUNAI_AGENT_PORT": "x"}, "port is 'x'"),
        (["scheduler"], {"RUNAI_AGENT_PLACEMENT_GPU": "pile"}, "placement_gpu is 'pile'.*binpack or spread"),
        (["scheduler"], {"RUNAI_AGENT_LOG_LEVEL": "loud"}, "log_level is 'loud'"),
        (["scheduler", "--in-flight", "5000"], {}, "in_flight is 5000"),
        (["install"], {}, "install needs -f"),
        (["install", "scheduler", "-f", "x"], {}, "stand alone"),
    ],
)
def test_a_wrong_setting_is_named(arguments, environment, words):
    with pytest.raises(BadSetting, match=words):
        parse(arguments, environment)


@pytest.mark.parametrize("arguments", [["nobody"], [], ["scheduler", "--port", "x"]])
def test_a_wrong_flag_ends_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        parse(arguments, {})
    assert caught.value.code == 2


def test_the_agent_starts_fast_and_loads_no_more_than_it_needs():
    code = "import sys, agent.main; print(any(m in sys.modules for m in ('kubernetes', 'django', 'agent.link')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "False"
