"""The control plane's processes: their exact commands, once; docker-compose.yml runs the same (a test compares)."""

from __future__ import annotations

import functools
import http.client
import os
import ssl
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.wire.messages import PATH_PREFIX
from local.files import ROOT
from local.keys import KeyFiles
from local.pids import MARK
from local.process import ProcessSpec

COMMANDS: dict[str, tuple[str, ...]] = {
    "web": ("gunicorn", "runai_cp.wsgi:application", "-k", "gthread", "--workers", "1", "--threads", "8",
            "--no-control-socket", "--graceful-timeout", "5"),
    "link": ("uvicorn", "link.asgi:app", "--timeout-graceful-shutdown", "3"),
    "worker": ("celery", "-A", "runai_cp.celery", "worker", "--pool", "threads", "--concurrency", "4",
               "--loglevel", "INFO", "--without-gossip", "--without-mingle"),
    "beat": ("celery", "-A", "runai_cp.celery", "beat", "--loglevel", "INFO", "--pidfile", ""),
    "migrate": ("python", "manage.py", "migrate_schemas", "--shared"),
    "migrate_tenants": ("python", "manage.py", "migrate_tenants"),
}  # fmt: skip
"""What runs, without addresses, certificates and files: those differ from machine to machine."""


@dataclass(frozen=True)
class Place:
    """Where this control plane lives: directory, ports and stores."""

    directory: Path
    web_port: int
    link_port: int
    database_url: str
    redis_url: str
    keys: KeyFiles
    addresses: tuple[str, ...] = ("127.0.0.1",)
    """Loopback addresses web listens on, one a tenant."""

    @property
    def link_url(self) -> str:
        return f"https://127.0.0.1:{self.link_port}"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def environment(self) -> dict[str, str]:
        return {
            **self.keys.environment(),
            "RUNAI_DATABASE_URL": self.database_url,
            "RUNAI_REDIS_URL": self.redis_url,
            "RUNAI_LINK_URL": self.link_url,
            "RUNAI_LOCAL": "1",
            "RUNAI_DEBUG": "0",
            "DJANGO_SETTINGS_MODULE": "runai_cp.settings",
            "PYTHONUNBUFFERED": "1",
        }


def program(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with its program from our own environment, whatever PATH says."""
    if command[0] == "python":
        return (sys.executable, *command[1:])
    beside = Path(sys.executable).with_name(command[0])
    return (str(beside) if beside.exists() else command[0], *command[1:])


def _web_answers(host: str, port: int) -> bool:
    """Any answer below 500 to a request for the login page: a host that is no tenant's yet is told 404."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/login/", headers={"Host": host})
        return connection.getresponse().status < 500
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def _link_answers(port: int, ca: Path) -> bool:
    """The link's own health path, with its certificate checked as an agent checks it."""
    trust = ssl.create_default_context(cafile=str(ca))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trust)
    try:
        connection.request("GET", f"{PATH_PREFIX.rstrip('/')}/version")
        return connection.getresponse().status == 200
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def _says(log: Path, words: bytes) -> bool:
    """True once the log of this start holds the words."""
    text = log.read_bytes()
    return words in text[text.rfind(b"--- ") :]


def specs(place: Place, depends_on: tuple[str, ...] = ()) -> tuple[ProcessSpec, ...]:
    """Web, link, worker and beat. ``depends_on``: the stores, where they are ours."""
    binds = [part for address in place.addresses for part in ("--bind", f"{address}:{place.web_port}")]
    certificate = ["--ssl-keyfile", str(place.keys.link_key), "--ssl-certfile", str(place.keys.link_certificate)]
    schedule = place.directory / "beat-schedule"
    extra: dict[str, list[str]] = {
        "web": binds,
        "link": ["--host", "127.0.0.1", "--port", str(place.link_port), *certificate],
        "worker": [],
        "beat": ["--schedule", str(schedule)],
    }
    probes = {
        "web": functools.partial(_web_answers, place.addresses[0], place.web_port),
        "link": functools.partial(_link_answers, place.link_port, place.keys.ca),
        "worker": functools.partial(_says, place.log("worker"), b"ready."),
        "beat": functools.partial(_says, place.log("beat"), b"beat: Starting"),
    }
    return tuple(
        ProcessSpec(
            name=name,
            argv=(*program(COMMANDS[name]), *extra[name]),
            log=place.log(name),
            env=place.environment(),
            cwd=ROOT,
            probe=probes[name],
            depends_on=depends_on,
        )
        for name in ("web", "link", "worker", "beat")
    )


class CommandFailed(Exception):
    """A one-shot command of the control plane ended badly; the text holds its output."""


def manage(place: Place, *arguments: str, timeout: float = 600) -> str:
    """Run ``manage.py`` to its end and return what it printed. Its errors go to ``logs/manage.log`` as well."""
    argv = [sys.executable, str(ROOT / "manage.py"), *arguments]
    env = {**os.environ, **place.environment(), MARK: str(place.directory)}
    done = subprocess.run(
        argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    place.log("manage").parent.mkdir(parents=True, exist_ok=True)
    with place.log("manage").open("a") as log:
        log.write(f"--- manage.py {' '.join(arguments)}\n{done.stderr}")
    if done.returncode:
        raise CommandFailed(f"manage.py {arguments[0]} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def migrations_fingerprint(root: Path, environment: Mapping[str, str]) -> str:
    """Names and sizes of all migrations and the database they go to: equal means that nothing needs migrating."""
    files: Iterable[Path] = sorted(root.glob("*/migrations/*.py"))
    facts = [f"{path.relative_to(root)}:{path.stat().st_size}" for path in files]
    return "|".join([environment["RUNAI_DATABASE_URL"].rpartition("@")[2], *facts])
