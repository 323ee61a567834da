"""Pytest plugin (``-p local.testing``): the settings, PostgreSQL and Valkey of a test session.

The environment is complete before Django's settings load; the servers start only when a test asks for ``services``
(every database test does). Given servers are used as they are: RUNAI_TEST_DATABASE_URL, RUNAI_TEST_REDIS_URL. With
xdist the controller starts them, and the workers find their addresses in the environment they inherit.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local import postgres, valkey
from local.files import free_ports, write_private
from local.keys import ensure_keys
from local.supervisor import Supervisor

READY = "RUNAI_TEST_SERVICES"
"""Set in the environment of a session that is prepared: the directory of its keys and servers."""


@dataclass
class Services:
    """The two stores of this session."""

    directory: Path
    owner: bool
    """False in xdist's workers: the controller owns the directory and the servers."""
    ports: dict[str, int] = field(default_factory=dict)
    supervisor: Supervisor | None = None

    @property
    def database_url(self) -> str:
        return os.environ["RUNAI_DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        return os.environ["RUNAI_REDIS_URL"]

    def start(self) -> None:
        """Start what was not given. Safe to call again."""
        if not self.owner or not self.ports or self.supervisor is not None:
            return
        self.supervisor = Supervisor(self.directory, say=lambda line: None)
        names = []
        if "postgres" in self.ports:
            server = postgres.prepare(
                self.directory, self.ports["postgres"], log=self.directory / "postgres.log", durable=False
            )
            self.supervisor.add([server.spec])
            names.append("postgres")
        if "valkey" in self.ports:
            self.supervisor.add(
                [valkey.prepare(self.directory, self.ports["valkey"], log=self.directory / "valkey.log")]
            )
            names.append("valkey")
        self.supervisor.wait_ready(names)
        if "postgres" in names:
            postgres.ensure_application_role(server, create_databases=True)

    def stop(self) -> None:
        if self.supervisor is not None:
            self.supervisor.stop()
            self.supervisor = None
        if self.owner:
            shutil.rmtree(postgres.home_of(self.directory), ignore_errors=True)
            shutil.rmtree(self.directory, ignore_errors=True)


_SERVICES: list[Services] = []
"""The one of this process, as a list so that it can be filled once."""


def prepare_environment() -> Services:
    """Point the settings at this session's servers and keys, whether or not they will be started."""
    if _SERVICES:
        return _SERVICES[0]
    known = os.environ.get(READY)
    _SERVICES.append(Services(Path(known), owner=False) if known else _own_services())
    return _SERVICES[0]


def _own_services() -> Services:
    directory = Path(tempfile.mkdtemp(prefix="runai-test-"))
    directory.chmod(0o711)
    services = Services(directory, owner=True)
    ports = dict(zip(("postgres", "valkey"), free_ports(2), strict=True))
    urls = {
        "RUNAI_DATABASE_URL": os.environ.get("RUNAI_TEST_DATABASE_URL", ""),
        "RUNAI_REDIS_URL": os.environ.get("RUNAI_TEST_REDIS_URL", ""),
    }
    if not urls["RUNAI_DATABASE_URL"]:
        services.ports["postgres"] = ports["postgres"]
        password = postgres.password_of(directory)
        urls["RUNAI_DATABASE_URL"] = postgres.application_url(ports["postgres"], password)
    if not urls["RUNAI_REDIS_URL"]:
        services.ports["valkey"] = ports["valkey"]
        urls["RUNAI_REDIS_URL"] = valkey.url(ports["valkey"])
    os.environ.update(urls)
    os.environ.update(ensure_keys(directory / "secrets").environment())
    os.environ.update({"RUNAI_LOCAL": "1", "RUNAI_DEBUG": "0", "RUNAI_LINK_URL": "https://127.0.0.1:8443"})
    os.environ[READY] = str(directory)
    write_private(directory / "README", "Keys and servers of one test session; removed when it ends.\n")
    atexit.register(services.stop)
    return services


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, object, object]:
    """Runs before pytest-django's own hook, which loads the settings."""
    prepare_environment()
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """With xdist, the servers must be there before the workers start."""
    if getattr(config.option, "numprocesses", None):
        prepare_environment().start()


def pytest_unconfigure() -> None:
    if _SERVICES:
        _SERVICES[0].stop()


@pytest.fixture(scope="session")
def services() -> Services:
    """PostgreSQL and Valkey, started for this session unless they were given."""
    found = prepare_environment()
    found.start()
    return found


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: Services) -> None:
    """pytest-django makes its databases after this: they need a server."""
