"""The command as a person meets it: help, exit statuses, files. Nothing here talks to a server."""

import json
import stat

import pytest
from click.testing import CliRunner

from cli.config import Config
from cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNAI_CLI_CONFIG_PATH", str(tmp_path))
    return lambda *words: CliRunner().invoke(main, words)


def test_without_a_control_plane_it_says_how_to_set_one(run):
    result = run("project", "list")
    assert (result.exit_code, result.stderr) == (1, "runai: not signed in; run: runai login\n")


def test_settings_are_kept(run, tmp_path):
    assert run("config", "set", "--cp-url", "http://127.0.0.1:1/").exit_code == 0
    assert json.loads((tmp_path / "config.json").read_text())["control_plane"]["url"] == "http://127.0.0.1:1"


def test_a_broken_configuration_file_is_named(run, tmp_path):
    (tmp_path / "config.json").write_text("{")
    assert str(tmp_path / "config.json") in run("config", "describe").stderr


def test_the_token_is_kept_for_the_owner_alone(tmp_path):
    config = Config(tmp_path)
    config.save_tokens("a.b.c")
    assert config.token == "a.b.c"
    assert stat.S_IMODE((tmp_path / "authentication.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "words", [("training", "submit", "x"), ("training", "submit", "x", "-i", "img", "-g", "many"), ("nothing",)]
)
def test_wrong_flags_end_with_status_2(run, words):
    assert run(*words).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("login",),
        ("login", "remote-browser"),
        ("auth", "get-token"),
        ("kubeconfig", "set"),
        ("project",),
        ("training",),
        ("training", "submit"),
        ("workload", "list"),
    ],
)
def test_every_command_has_a_help(run, words):
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_a_server_that_is_not_there_is_named(run):
    run("config", "set", "--cp-url", "http://127.0.0.1:9")
    result = run("login", "user", "-u", "a@b.test", "-p", "x")
    assert result.exit_code == 1
    assert "cannot reach http://127.0.0.1:9" in result.stderr
