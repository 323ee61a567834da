"""Kubeconfigs that work, and those that do not say so."""

from __future__ import annotations

import pytest
import yaml

from agent.kube import auth
from agent.kube.errors import BadConfig


def config(**user: object) -> dict[str, object]:
    return {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://h:1/", "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": user}],
    }


def written(tmp_path, content):
    path = tmp_path / "kubeconfig"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_token(tmp_path):
    found = auth.from_kubeconfig(written(tmp_path, config(token="t")))
    assert (found.server, found.namespace, found.bearer()) == ("https://h:1", "team", "t")


def test_a_token_file_is_read_again(tmp_path):
    (tmp_path / "token").write_text("one\n")
    found = auth.from_kubeconfig(written(tmp_path, config(tokenFile="token")))
    assert found.bearer() == "one"
    (tmp_path / "token").write_text("two")
    assert found.bearer(refresh=True) == "two"


def test_a_credential_plugin(tmp_path):
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\necho \'{"status": {"token": "secret"}}\'\n')
    plugin.chmod(0o700)
    assert auth.from_kubeconfig(written(tmp_path, config(exec={"command": str(plugin)}))).bearer() == "secret"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not YAML"),
        ("- a", "not a kubeconfig"),
        (config() | {"current-context": "y"}, "no context 'y'.*there are: x"),
        (config() | {"users": []}, "no user 'u'"),
        (config() | {"clusters": [{"name": "c", "cluster": {}}]}, "server is missing"),
        (config(**{"client-certificate": "nowhere", "client-key": "nowhere"}), "client-certificate"),
        (config(**{"client-certificate-data": "@@", "client-key-data": "@@"}), "not base64"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, words):
    with pytest.raises(BadConfig, match=words):
        auth.from_kubeconfig(written(tmp_path, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadConfig, match="nowhere"):
        auth.load(str(tmp_path / "nowhere"))
