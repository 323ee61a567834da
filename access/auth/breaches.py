"""Refuse passwords that were seen in a breach, from a file on this machine: nothing is asked of anybody."""

import hashlib
import mmap
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

DIGITS = 40
"""Hexadecimal digits of a SHA-1."""


class BreachedPasswordValidator:
    """Looks the SHA-1 up in ``RUNAI_BREACHED_PASSWORDS_FILE``: lines ``HASH`` or ``HASH:COUNT``, ordered by hash.

    That is the form in which such lists are published. The file is searched by halves, so its size does not matter.
    """

    def validate(self, password: str, user: Any = None) -> None:
        path = settings.BREACHED_PASSWORDS_FILE
        if path and contains(Path(path), password):
            raise ValidationError("This password was seen in a breach of another service; choose another.")

    def get_help_text(self) -> str:
        return "Not a password that is known from a breach."


def contains(path: Path, password: str) -> bool:
    """Whether the file lists the password's SHA-1. An empty file lists nothing."""
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
        return _search(lines, wanted)


def _search(lines: mmap.mmap, wanted: bytes) -> bool:
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        start = lines.rfind(b"\n", low, middle) + 1 or low
        end = lines.find(b"\n", start, high)
        end = high if end < 0 else end
        found = lines[start : start + DIGITS].upper()
        if found == wanted:
            return True
        if found < wanted:
            low = end + 1
        else:
            high = start
    return False
