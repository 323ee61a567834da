"""The units of the domain and comparisons that understand UNLIMITED.

Everything the scheduler adds, divides or compares is an int in these units; nothing is a float.
"""

from dataclasses import dataclass

UNLIMITED = -1
MILLI = 1000
"""Milli-GPU in one device, milli-CPU in one core."""

NANOSECONDS = 1_000_000_000

RESOURCES = ("gpu", "cpu", "memory")
"""The three accounted resources, always in this order."""

LARGEST = 1 << 62
"""Quantities above this are refused as absurd."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of the three accounted resources: milli-GPU, milli-CPU, bytes."""

    gpu: int = 0
    cpu: int = 0
    memory: int = 0

    def vector(self) -> tuple[int, int, int]:
        return (self.gpu, self.cpu, self.memory)


def at_most(left: int, right: int) -> bool:
    """left <= right, where UNLIMITED is larger than everything and equal to itself."""
    return right == UNLIMITED or (left != UNLIMITED and left <= right)


def smaller(left: int, right: int) -> int:
    """The smaller of two amounts where UNLIMITED is larger than everything."""
    return left if at_most(left, right) else right
