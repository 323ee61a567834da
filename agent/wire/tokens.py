"""Forms of the link's credentials: enrolment tokens, scopes, claims. No cryptography here, only the shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass

ENROLMENT_PREFIX = "rne"
_ENROLMENT = re.compile(r"rne_([0-9A-Za-z]{12})_([0-9A-Za-z_-]{43})")

SCOPES = ("poll", "report", "logs", "stream", "metrics", "rotate")
DEFAULT_SCOPES = tuple(scope for scope in SCOPES if scope != "metrics")
"""What the link role asks for; the metrics role's token can push metrics and nothing else."""

ASSERTION_ISSUER = "runai-agent"
ASSERTION_TTL_S = 60
ACCESS_TTL_S = 900
ACCESS_AUDIENCE = "runai-link"
ENROLMENT_REPLAY_S = 900
"""For this long the same ``enrolment_id`` with the same key gets the same answer."""


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """``id`` is public and may be logged; ``secret`` never."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"{ENROLMENT_PREFIX}_{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"EnrolmentToken(id={self.id!r})"


def parse_enrolment(text: str) -> EnrolmentToken:
    """Raises ``ValueError`` without repeating the text, which may hold a secret."""
    match = _ENROLMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"enrolment token: expected {ENROLMENT_PREFIX}_<12 characters>_<43 characters>")
    return EnrolmentToken(id=match.group(1), secret=match.group(2))


def parse_scopes(text: str) -> tuple[str, ...]:
    """Scopes of a space separated list; empty text: the default. Raises ``ValueError`` naming an unknown one."""
    wanted = tuple(dict.fromkeys(text.split())) or DEFAULT_SCOPES
    for scope in wanted:
        if scope not in SCOPES:
            raise ValueError(f"scope: unknown {scope!r}, allowed are {', '.join(SCOPES)}")
    return wanted
