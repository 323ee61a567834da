"""docker-compose.yml runs the commands that the local stack runs, and its application role is bound by RLS."""

from typing import Any

import pytest
import yaml

from local.control_plane import COMMANDS
from local.files import ROOT

PLACES = {"--bind", "--host", "--port", "--ssl-keyfile", "--ssl-certfile", "--schedule"}
"""Options that differ from machine to machine, each with one value."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def without_places(argv: list[str]) -> tuple[str, ...]:
    kept, skip = [], False
    for word in argv:
        if not skip and word not in PLACES:
            kept.append(word)
        skip = word in PLACES
    return tuple(kept)


@pytest.mark.parametrize("name", ["web", "link", "worker", "beat"])
def test_a_service_runs_the_local_command(compose: dict[str, Any], name: str) -> None:
    assert without_places(compose["services"][name]["command"]) == COMMANDS[name]


def test_migrate_does_shared_then_tenants(compose: dict[str, Any]) -> None:
    shared, tenants = (" ".join(COMMANDS[name]) for name in ("migrate", "migrate_tenants"))
    assert compose["services"]["migrate"]["command"][-1] == f"{shared} && {tenants} --spares 2"


@pytest.mark.parametrize("name", ["web", "link", "worker", "beat"])
def test_every_service_waits_for_the_migration(compose: dict[str, Any], name: str) -> None:
    assert compose["services"][name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_the_application_role_of_the_container_is_no_superuser() -> None:
    script = (ROOT / "deploy" / "postgres-role.sh").read_text()
    assert "CREATE ROLE runai LOGIN NOSUPERUSER NOBYPASSRLS" in script


def test_no_secret_is_written_into_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "postgres://runai:${RUNAI_DATABASE_PASSWORD:?" in text
