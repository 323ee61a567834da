"""The stack that ``bench main`` measures: a running one that is named, else one of its own that is gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import postgres
from local.files import ROOT, read_json
from local.rest import Rest

SIZE = ("--nodes", "8", "--data", "demo")
OURS = ("RUNAI_DATABASE_URL", "RUNAI_REDIS_URL", "RUNAI_LOCAL_DIR")


@dataclass(frozen=True)
class Target:
    """A stack as a program sees it: the ``up --json`` document and where its files are."""

    directory: Path
    facts: dict[str, Any]

    def rest(self) -> Rest:
        application = self.facts["application"]
        return Rest(self.facts["api"], application["id"], application["secret"])

    def processes(self) -> dict[str, int]:
        """Pid of each process by name, now."""
        found = (read_json(self.directory / "state.json") or {}).get("processes", [])
        return {item["name"]: int(item["pid"]) for item in found if item["pid"]}

    def manage(self, *words: str) -> None:
        """``manage.py`` with the settings that the stack's own web process has."""
        raw = Path(f"/proc/{self.processes()['web']}/environ").read_bytes().decode()
        theirs = dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)
        argv = [sys.executable, str(ROOT / "manage.py"), *words]
        done = subprocess.run(argv, cwd=ROOT, env=theirs, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"manage.py {words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


@contextmanager
def target(given: Path | None) -> Iterator[Target]:
    """The stack in ``given``, which is left running, or a fresh one. Progress goes to stderr."""
    directory = (given or Path(tempfile.mkdtemp(prefix="runai-bench-"))).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    document = directory / "bench.json"
    try:
        _local(directory, "up", "--json", str(document), *(() if given else SIZE))
        yield Target(directory, json.loads(document.read_text()))
    finally:
        if given is None:
            _local(directory, "down", check=False)
            shutil.rmtree(postgres.home_of(directory), ignore_errors=True)
            shutil.rmtree(directory, ignore_errors=True)


def _local(directory: Path, *words: str, check: bool = True) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    subprocess.run(
        [sys.executable, "-m", "local", *words],
        cwd=ROOT,
        env={**environment, "RUNAI_LOCAL_DIR": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=check,
    )
