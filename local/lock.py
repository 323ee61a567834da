"""One owner a stack directory: an advisory lock that the kernel releases however its holder ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Taken(Exception):
    """Another process owns this stack."""


def acquire(directory: Path) -> int:
    """Take the lock and return the descriptor that holds it; keep it open. Raises ``Taken``."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Taken(f"{directory} is in use by another process") from None
    return descriptor


def is_taken(directory: Path) -> bool:
    if not directory.exists():
        return False
    try:
        os.close(acquire(directory))
    except Taken:
        return True
    return False
