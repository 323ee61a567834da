"""What is wrong with a request, as data: every problem names the field, what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 80
"""Characters of a given value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Problem:
    field: str
    """Attribute of ``SubmitRequest``, or ``attribute[index]`` for one item of a list."""
    given: str
    allowed: str

    @property
    def message(self) -> str:
        """One sentence for a person: ``'-1' is not allowed here. Allowed: a whole number of devices, 0 to 64.``"""
        return f"{shown(self.given)} is not allowed here. Allowed: {self.allowed}."


class SpecError(ValueError):
    """Raised by readers and the compiler; ``problems`` is never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(f"{p.field}: {p.message}" for p in self.problems))


def shown(value: object) -> str:
    """A given value for an error: quoted, printable, cut after ``SHOWN`` characters; nothing is ``(empty)``."""
    text = str(value)
    if text == "":
        return "(empty)"
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
