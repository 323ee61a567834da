"""The webhook's certificate: made for its names, renewed in time, never trusted when it is broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.admission.certificates import LIFE, is_good, make
from agent.admission.registration import configurations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("runai-webhook.runai.svc", "10.0.0.1")


@pytest.mark.parametrize(
    ("after", "good"),
    [(timedelta(0), True), (LIFE - timedelta(days=31), True), (LIFE - timedelta(days=29), False), (LIFE, False)],
)
def test_it_is_renewed_before_it_ends(after, good):
    assert is_good(make(HOSTS, NOW), HOSTS, NOW + after) is good


def test_a_certificate_for_other_names_is_not_good():
    assert not is_good(make(HOSTS, NOW), (*HOSTS, "10.0.0.2"), NOW)


@pytest.mark.parametrize("part", ["ca", "certificate", "key"])
def test_a_broken_or_foreign_part_is_not_good(part):
    pair = make(HOSTS, NOW)
    assert not is_good(replace(pair, **{part: b"nonsense"}), HOSTS, NOW)
    if part == "ca":
        assert not is_good(replace(pair, ca=make(HOSTS, NOW).ca), HOSTS, NOW)


def test_a_dead_webhook_blocks_nothing():
    hooks = [hook for item in configurations(b"ca", url="https://h:1") for hook in item["webhooks"]]
    assert {hook["failurePolicy"] for hook in hooks} == {"Ignore"}
    assert all(hook["timeoutSeconds"] <= 2 for hook in hooks)


def hooks(kind: str, name: str) -> list[dict]:
    found = [item for item in configurations(b"ca") if item["kind"].startswith(kind)]
    return [hook for item in found for hook in item["webhooks"] if hook["name"].startswith(name)]


def test_pods_outside_of_projects_and_those_of_the_agent_are_not_even_asked_about():
    (hook,) = hooks("", "pods")
    assert hook["namespaceSelector"] == {"matchExpressions": [{"key": "run.ai/project", "operator": "Exists"}]}
    assert "system:serviceaccount:runai:runai-agent" in hook["matchConditions"][0]["expression"]


def test_every_change_of_a_workload_is_judged_at_one_door():
    operations = [rule["operations"] for kind in ("Mut", "Val") for h in hooks(kind, "workl") for rule in h["rules"]]
    assert operations == [["CREATE"], ["UPDATE", "DELETE"]]
    assert hooks("Mut", "workl")[0]["reinvocationPolicy"] == "IfNeeded"
