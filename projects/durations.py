"""Lengths of time as people type them (``45 min``, ``12 h``, ``1 d 6 h``); whole seconds inside. Pure."""

import re

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_TYPED = re.compile(r"\s*".join(rf"(?:([0-9]{{1,9}})\s*{unit})?" for unit, _ in _UNITS))
ALLOWED = "a length of time such as 45 min, 12 h or 1 d 6 h"


def read_duration(text: str) -> int:
    """Seconds. Raises ``ValueError`` for what is no length of time."""
    found = _TYPED.fullmatch(text.strip().lower())
    if not text.strip() or found is None:
        raise ValueError(f"{text[:40]!r} is not {ALLOWED}")
    return sum(int(amount or 0) * size for amount, (_, size) in zip(found.groups(), _UNITS, strict=True))


def write_duration(seconds: int) -> str:
    """Exactly, largest unit first: 5400 → ``1 h 30 min``."""
    parts = []
    for unit, size in _UNITS:
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts) or "0 s"
