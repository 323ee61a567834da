"""A QR code as one SVG path: the template draws it inline, since the policy allows neither data: images nor styles."""

from dataclasses import dataclass

import segno

QUIET = 4
"""Light modules around the code that readers need (ISO/IEC 18004)."""


@dataclass(frozen=True, slots=True)
class Code:
    """``size`` modules wide and high with the quiet zone; ``path`` fills the dark ones."""

    size: int
    path: str


def draw(text: str) -> Code:
    """Error correction M. Runs of dark modules of a row are one rectangle each."""
    rows = segno.make(text, error="m", micro=False).matrix
    parts: list[str] = []
    for y, row in enumerate(rows):
        start = None
        for x, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                parts.append(f"M{start + QUIET} {y + QUIET}h{x - start}v1H{start + QUIET}z")
                start = None
    return Code(len(rows) + 2 * QUIET, "".join(parts))
