"""Digest of a cluster's reported state, equal on both sides when they hold the same (kind, uid, content hash) triples.

256 buckets by the first byte of ``sha256(uid)``; a bucket is the XOR of its objects' hashes: a change costs O(1);
the root is the XOR of all. It covers content, not names alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

BUCKETS = 256
_WIDTH = 16


def bucket_of(uid: str) -> int:
    """0..255."""
    return sha256(uid.encode()).digest()[0]


def content_hash(raw: bytes) -> str:
    """Hex, 32 characters, of an object's canonical JSON (``codec.to_json``)."""
    return sha256(raw).hexdigest()[:32]


def _term(kind: str, uid: str, hash_: str) -> int:
    return int.from_bytes(sha256(f"{kind}|{uid}|{hash_}".encode()).digest()[:_WIDTH], "big")


@dataclass(slots=True)
class StateDigest:
    """Mutable accumulator. ``add`` and ``remove`` are each other's inverse and take any order."""

    count: int = 0
    _total: int = 0
    _buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str]]) -> StateDigest:
        """``rows`` are (kind, uid, content hash)."""
        digest = cls()
        for kind, uid, hash_ in rows:
            digest.add(kind, uid, hash_)
        return digest

    def add(self, kind: str, uid: str, hash_: str) -> None:
        self._toggle(kind, uid, hash_)
        self.count += 1

    def remove(self, kind: str, uid: str, hash_: str) -> None:
        self._toggle(kind, uid, hash_)
        self.count -= 1

    def _toggle(self, kind: str, uid: str, hash_: str) -> None:
        term = _term(kind, uid, hash_)
        self._buckets[bucket_of(uid)] ^= term
        self._total ^= term

    def buckets(self) -> tuple[str, ...]:
        return tuple(f"{value:032x}" for value in self._buckets)

    def root(self) -> str:
        return f"{self._total:032x}"


def differing(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers of the buckets that differ. Raises ``ValueError`` unless both have 256."""
    if len(mine) != BUCKETS or len(theirs) != BUCKETS:
        raise ValueError(f"digest: expected {BUCKETS} buckets, got {len(mine)} and {len(theirs)}")
    return tuple(index for index, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
