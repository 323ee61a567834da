"""What ``runai kubeconfig set`` leaves in a kubeconfig, and tokens that are kept until they end."""

import stat
import time

import pytest

from cli.config import Config
from cli.errors import BadUsage
from cli.kubernetes import exec_credential, exec_entry, with_person, write_kubeconfig

ENTRY = {"command": "runai"}
THEIRS = {
    "clusters": [{"name": "k", "cluster": {"server": "https://k"}}],
    "users": [{"name": "me", "user": {"token": "x"}}],
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "me"}}],
    "current-context": "c",
}


def changed(document, **more):
    values = {"server": None, "authority": None, "namespace": None, **more}
    return with_person(document, name="runai-alpha", user="runai-cli", entry=ENTRY, **values)


def test_a_kubeconfig_keeps_what_it_had():
    found = changed(THEIRS)
    assert {item["name"] for item in found["users"]} == {"me", "runai-cli"}
    assert found["current-context"] == "runai-alpha"
    assert found["contexts"][-1]["context"] == {"cluster": "k", "user": "runai-cli"}


def test_setting_it_twice_changes_nothing():
    once = changed(THEIRS, server="https://a")
    assert changed(once, server="https://a") == once


def test_a_server_makes_a_cluster_of_its_own():
    found = changed({}, server="https://a", authority=b"pem", namespace="runai-x")
    assert found["clusters"] == [
        {"name": "runai-alpha", "cluster": {"server": "https://a", "certificate-authority-data": "cGVt"}}
    ]
    assert found["contexts"][0]["context"]["namespace"] == "runai-x"


def test_without_a_server_there_must_be_a_context():
    with pytest.raises(BadUsage, match="--server"):
        changed({})


def test_the_file_is_for_the_owner_alone(tmp_path):
    write_kubeconfig(tmp_path / "sub" / "config", changed(THEIRS))
    assert stat.S_IMODE((tmp_path / "sub" / "config").stat().st_mode) == 0o600


def test_the_plugin_speaks_version_1(tmp_path):
    made = exec_credential({"token": "t", "expiresAt": "2026-01-01T00:00:00Z"})
    entry = exec_entry(Config(tmp_path), "0199a000-0000-7000-8000-000000000000")
    assert made["apiVersion"] == entry["apiVersion"] == "client.authentication.k8s.io/v1"
    assert made["status"]["expirationTimestamp"] == "2026-01-01T00:00:00Z"
    assert {"name": "RUNAI_CLI_CONFIG_PATH", "value": str(tmp_path)} in entry["env"]


@pytest.mark.parametrize(("left", "good"), [(600, True), (5, False), (-1, False)])
def test_a_token_is_kept_until_shortly_before_its_end(tmp_path, left, good):
    config = Config(tmp_path)
    config.save_kubernetes_token("c", "t", "then", time.time() + left)
    assert (config.kubernetes_token("c") is not None) is good


def test_signing_out_forgets_them(tmp_path):
    config = Config(tmp_path)
    config.save_tokens("a.b.c", "r")
    config.save_kubernetes_token("c", "t", "then", time.time() + 600)
    config.forget_tokens()
    assert (config.token, config.refresh_token, config.kubernetes_token("c")) == (None, None, None)
