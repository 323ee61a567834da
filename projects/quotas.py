"""Quota arithmetic: does one entitlement make sense, and does the tree of departments and projects add up? Pure.

Amounts are integers as in ``agent.wire.objects``: milli-GPU, milli-cores, bytes, weights in thousandths, -1 unlimited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from agent.wire.objects import UNLIMITED, PoolQuota, ResourceQuota

MAX_GPU_MILLI = 10**9
MAX_CPU_MILLI = 10**12
MAX_MEMORY_BYTES = 1 << 60
MAX_WEIGHT_MILLI = 10**6
MEMORY_UNITS: dict[str, int] = {"MB": 10**6, "Mib": 1 << 20, "GB": 10**9}
"""Units of memory in the public API."""

RANKS: dict[str, int] = {"very-low": 10, "low": 50, "medium": 100, "high": 150, "very-high": 200}
"""Rank among siblings of one node pool, by name; ``medium`` unless said otherwise."""
DEFAULT_RANK = RANKS["medium"]

_CEILINGS = {"gpu": MAX_GPU_MILLI, "cpu": MAX_CPU_MILLI, "memory": MAX_MEMORY_BYTES}


@dataclass(frozen=True, slots=True)
class QuotaProblem:
    """``field`` is like ``resources[default].gpu.deserved``."""

    field: str
    given: str
    allowed: str
    value: int = 0
    """``given`` in the unit that is stored."""

    @property
    def message(self) -> str:
        return f"{self.given!r} is not allowed here. Allowed: {self.allowed}."


class QuotaError(ValueError):
    def __init__(self, problem: QuotaProblem) -> None:
        self.problem = problem
        super().__init__(f"{problem.field}: {problem.message}")


def read_amount(field: str, value: object, *, scale: int, maximum: int) -> int:
    """A number in API units × ``scale`` → whole units. Raises ``QuotaError``: negative, NaN, too fine, too large."""
    allowed = f"a number from 0 to {Decimal(maximum) / scale:f}" + (", in steps of 0.001" if scale == 1000 else "")
    problem = QuotaProblem(field, str(value), allowed)
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise QuotaError(problem)
    if isinstance(value, str) and not (value.isascii() and "_" not in value):
        raise QuotaError(problem)  # Decimal reads digits of every script, and 1_000
    try:
        amount = Decimal(str(value)) * scale
    except InvalidOperation:
        raise QuotaError(problem)
    if not amount.is_finite() or not 0 <= amount <= maximum:
        raise QuotaError(problem)
    if scale == 1000 and amount != amount.to_integral_value():
        raise QuotaError(problem)
    return int(amount.to_integral_value())


def check_quota(quota: PoolQuota) -> Iterator[QuotaProblem]:
    """Problems of one entitlement by itself."""
    for name, ceiling in _CEILINGS.items():
        item: ResourceQuota = getattr(quota, name)
        where = f"resources[{quota.node_pool}].{name}"
        for part in ("deserved", "limit"):
            value: int = getattr(item, part)
            unlimited = value == UNLIMITED and (part == "limit" or name != "gpu")
            if not unlimited and not 0 <= value <= ceiling:
                yield QuotaProblem(f"{where}.{part}", _amount(name, value), f"0 to {_amount(name, ceiling)}", value)
        if item.limit != UNLIMITED and item.deserved > item.limit:
            allowed = f"at least the quota, {_amount(name, item.deserved)}"
            yield QuotaProblem(f"{where}.limit", _amount(name, item.limit), allowed, item.limit)
        if not 0 <= item.over_quota_weight <= MAX_WEIGHT_MILLI:
            given, most = item.over_quota_weight, MAX_WEIGHT_MILLI
            yield QuotaProblem(f"{where}.overQuotaWeight", f"{given / 1000:g}", f"0 to {most / 1000:g}", given)


def total(quotas: Iterable[PoolQuota], resource: str = "gpu") -> int:
    """Deserved over all pools; unlimited when one of them is."""
    amounts = [getattr(quota, resource).deserved for quota in quotas]
    return UNLIMITED if UNLIMITED in amounts else sum(amounts)


def deserved_by_pool(children: Iterable[Iterable[PoolQuota]], resource: str) -> dict[str, int]:
    """Sum of the children's entitlement in each pool; unlimited when one of them is."""
    sums: dict[str, int] = {}
    for quotas in children:
        for quota in quotas:
            amount = getattr(quota, resource).deserved
            before = sums.get(quota.node_pool, 0)
            sums[quota.node_pool] = UNLIMITED if UNLIMITED in (amount, before) else before + amount
    return sums


def check_tree(
    parent: Iterable[PoolQuota], children: Iterable[Iterable[PoolQuota]], *, over_commit: bool
) -> Iterator[QuotaProblem]:
    """Where the children of a department deserve more GPUs of a pool than it does; nothing when that is allowed."""
    if over_commit:
        return
    sums = deserved_by_pool(children, "gpu")
    own: Mapping[str, int] = {quota.node_pool: quota.gpu.deserved for quota in parent}
    for pool, amount in sorted(sums.items()):
        ceiling = own.get(pool, 0)
        if ceiling != UNLIMITED and (amount == UNLIMITED or amount > ceiling):
            allowed = f"at most {_devices(ceiling)} for all projects of the department together"
            yield QuotaProblem(f"resources[{pool}].gpu.deserved", f"{_devices(amount)} in sum", allowed)


def check_parent(parent: Iterable[PoolQuota], children: Iterable[Iterable[PoolQuota]]) -> Iterator[QuotaProblem]:
    """Where a department would deserve fewer GPUs of a pool than its projects already do together."""
    own = {quota.node_pool: quota.gpu.deserved for quota in parent}
    for pool, amount in sorted(deserved_by_pool(children, "gpu").items()):
        given = own.get(pool, 0)
        if given != UNLIMITED and (amount == UNLIMITED or amount > given):
            allowed = f"at least {_devices(amount)}, what the projects of the department deserve together"
            yield QuotaProblem(f"resources[{pool}].gpu.deserved", _devices(given), allowed)


def _amount(resource: str, value: int) -> str:
    """As people say it: ``2.5 GPUs``, ``500 milli-cores``, ``1024 MiB``."""
    if resource == "gpu":
        return _devices(value)
    unit, scale = ("milli-cores", 1) if resource == "cpu" else ("MiB", 1 << 20)
    return f"{Decimal(value) / scale:.3f}".rstrip("0").rstrip(".") + f" {unit}"


def _devices(milli: int) -> str:
    return "unlimited GPUs" if milli == UNLIMITED else f"{Decimal(milli) / 1000:f} GPUs"


def rank_name(priority: int) -> str:
    """The name of the nearest rank at or below."""
    return max((name for name, value in RANKS.items() if value <= priority), key=RANKS.__getitem__, default="very-low")
