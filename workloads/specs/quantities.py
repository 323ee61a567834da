"""Numbers as people write them: GPUs, cores and Kubernetes quantities, to integers and back.

Units out: milli-GPU, milli-cores, bytes. Every reader raises ``ValueError`` whose text says what is allowed.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

MIB = 1 << 20
MAX_GPU_DEVICES = 1024
MAX_CPU_MILLI = 10_000_000
MAX_MEMORY_BYTES = 1 << 60

DEVICES = f"a whole number of devices, 0 to {MAX_GPU_DEVICES}"
PORTION = "a part of one device above 0 and at most 1, with up to three decimals"
CORES = "cores above 0 such as 0.5, 2 or 500m, in steps of 0.001"
MEMORY = "a quantity above 0 such as 512Mi, 4G or 1.5Gi"

_SUFFIXES: dict[str, Decimal] = {
    "": Decimal(1),
    **{name: Decimal(1000) ** power for power, name in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{name: Decimal(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{name: Decimal(1000) ** -power for power, name in enumerate(("m", "u", "n"), 1)},
}
_QUANTITY = re.compile(
    r"\+?(?P<digits>[0-9]{1,20}(\.[0-9]{0,9})?|\.[0-9]{1,9})"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?"
)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def number(text: str) -> Decimal:
    """A decimal number in ASCII digits. NaN, infinity and anything else raise ``ValueError``."""
    text = text.strip()
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        raise ValueError("a number")
    return Decimal(text)


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity (``1.5Gi``, ``500m``, ``2e3``), never negative."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(MEMORY)
    suffix = match["suffix"] or ""
    scale = _SUFFIXES.get(suffix)
    if scale is None:
        scale = Decimal(10) ** int(suffix[1:])
    return Decimal(match["digits"]) * scale


def gpu_devices(text: str) -> int:
    """Whole devices."""
    try:
        value = number(text)
    except ValueError:
        raise ValueError(DEVICES)
    if value != value.to_integral_value() or not 0 <= value <= MAX_GPU_DEVICES:
        raise ValueError(DEVICES)
    return int(value)


def gpu_portion_milli(text: str) -> int:
    """Portion of a device, 1..1000."""
    try:
        milli = number(text) * 1000
    except ValueError:
        raise ValueError(PORTION)
    if milli != milli.to_integral_value() or not 1 <= milli <= 1000:
        raise ValueError(PORTION)
    return int(milli)


def gpu_memory_mib(text: str) -> int:
    """Memory of each device, in whole MiB (rounded up)."""
    return math.ceil(Decimal(memory_bytes(text)) / MIB)


def cpu_milli(text: str) -> int:
    """Cores (``0.5``) or milli-cores (``500m``)."""
    try:
        milli = quantity(text) * 1000
    except ValueError:
        raise ValueError(CORES)
    if milli != milli.to_integral_value() or not 0 < milli <= MAX_CPU_MILLI:
        raise ValueError(CORES)
    return int(milli)


def memory_bytes(text: str) -> int:
    """Bytes, rounded up to a whole one."""
    value = quantity(text)
    if not 0 < value <= MAX_MEMORY_BYTES:
        raise ValueError(MEMORY)
    return math.ceil(value)


def decimal_text(milli: int) -> str:
    """``1500`` → ``1.5``: thousandths as the shortest decimal number."""
    return f"{Decimal(milli) / 1000:f}"


def memory_text(size: int) -> str:
    """Bytes as the shortest exact quantity: ``1073741824`` → ``1Gi``, ``1500`` → ``1500``."""
    for name in ("Ti", "Gi", "Mi", "Ki"):
        unit = int(_SUFFIXES[name])
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)
