"""Kubernetes' texts for amounts and times → integers of the domain (milli, bytes, nanoseconds), rounded up."""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction
from functools import lru_cache

SECOND = 1_000_000_000
_SUFFIX = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")
_UNITS = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")


@lru_cache(maxsize=8192)
def exact(text: str) -> Fraction:
    """``"1500m"`` → 3/2, ``"2Gi"`` → 2147483648. Raises ``ValueError`` for what is no quantity."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, exponent, suffix = match.groups()
    return Fraction(number) * (Fraction(10) ** int(exponent) if exponent else _SUFFIX[suffix or ""])


@lru_cache(maxsize=8192)
def milli(value: object) -> int:
    """Thousandths, rounded up: ``"1500m"`` → 1500."""
    scaled = exact(str(value)) * 1000
    return -(-scaled.numerator // scaled.denominator)


@lru_cache(maxsize=8192)
def whole(value: object) -> int:
    """Units (bytes, devices), rounded up."""
    scaled = exact(str(value))
    return -(-scaled.numerator // scaled.denominator)


@lru_cache(maxsize=8192)
def time_ns(text: str | None) -> int | None:
    """RFC 3339 → nanoseconds since the epoch; None for None and for what is no time."""
    if not text:
        return None
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def duration_ns(text: str) -> int:
    """Go's duration (``1h30m``, ``500ms``, ``-1s``, ``0``) → nanoseconds. Raises ``ValueError``."""
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    body = body.lstrip("+-")
    if body == "0":
        return 0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"{text!r} is not a duration such as 30s or 1h30m")
    return sign * sum(int(Fraction(number.rstrip(".")) * _UNITS[unit]) for number, unit in parts)


def milli_text(value: int) -> str:
    """Thousandths → the shortest quantity: 2000 → ``"2"``, 1500 → ``"1500m"``."""
    return str(value // 1000) if value % 1000 == 0 else f"{value}m"
