"""Does the version of a cluster's agent go together with the control plane's? Pure but for reading our own version.

The link speaks to agents up to two minor versions older; a newer agent is served, and only what both know is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

MINOR_BEHIND = 2
_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Skew:
    """``kind``: same, older, newer, unsupported or unknown."""

    kind: str
    sentence: str = ""

    @property
    def supported(self) -> bool:
        return self.kind != "unsupported"


UNKNOWN = Skew("unknown")


def own_version() -> str:
    """Of this control plane; empty where the package is not installed."""
    try:
        return metadata.version("runai-platform")
    except metadata.PackageNotFoundError:
        return ""


def skew(agent: str, own: str) -> Skew:
    """What the two versions mean for each other."""
    theirs, ours = _read(agent), _read(own)
    if theirs is None or ours is None:
        return UNKNOWN
    if theirs == ours:
        return Skew("same")
    if theirs[0] != ours[0] or theirs[1] < ours[1] - MINOR_BEHIND:
        return Skew("unsupported", f"The agent's version {agent} does not go with {own}: apply the install manifest.")
    if theirs < ours:
        return Skew(
            "older", f"The agent is {agent}, the control plane {own}: apply the install manifest when it suits."
        )
    return Skew("newer", f"The agent is {agent}, newer than the control plane's {own}.")


def _read(text: str) -> tuple[int, int, int] | None:
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
