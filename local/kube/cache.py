"""The user's cache of programs and images, shared by every checkout on the machine, and the locks that guard it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

Progress = Callable[[str], None]
"""Gets a sentence for the person at the terminal."""


def cache_dir() -> Path:
    """Where builds and images are kept across projects: ``RUNAI_LOCAL_CACHE``, else the user's cache directory."""
    given = os.environ.get("RUNAI_LOCAL_CACHE")
    base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runai-local"
    return base.resolve()


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock between processes; ``waiting`` is called once when somebody else has it. Released by a crash too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
