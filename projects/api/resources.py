"""``resources`` of the contract ⇄ quotas. Units there: devices, milli-cores, memory by ``units``; null is unlimited."""

from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from agent.wire.labels import DEFAULT_NODE_POOL
from agent.wire.objects import UNLIMITED, PoolQuota, ResourceQuota
from clusters.models import NodePool
from projects import quotas
from projects.models import Quota
from projects.quotas import QuotaError, QuotaProblem
from runai_cp.lib.errors import FieldError, Invalid

MIB = quotas.MEMORY_UNITS["Mib"]
Json = dict[str, Any]


def read_resources(value: object, pools: Iterable[NodePool]) -> tuple[PoolQuota, ...]:
    """The quotas in a body. Raises ``Invalid`` naming ``resources[i]…`` for what cannot be read."""
    if not isinstance(value, list):
        raise Invalid(FieldError("resources", "must be a list with one item per node pool", value))
    by_id = {str(pool.pk): pool.name for pool in pools}
    known = list(pools)
    names = {pool.name for pool in known}
    found: dict[str, PoolQuota] = {}
    for index, item in enumerate(value):
        where = f"resources[{index}]"
        if not isinstance(item, dict):
            raise Invalid(FieldError(where, "must be an object", item))
        pool = _pool(item.get("nodePool"), by_id, names, where)
        if pool in found:
            raise Invalid(FieldError(f"{where}.nodePool", "each node pool once", pool))
        try:
            found[pool] = _quota(item, pool, where)
        except QuotaError as error:
            raise Invalid(_field_error(error.problem)) from error
    return tuple(found.values())


def _field_error(problem: QuotaProblem) -> FieldError:
    return FieldError(problem.field, problem.message, problem.given, problem.allowed)


def _pool(value: object, by_id: dict[str, str], names: set[str], where: str) -> str:
    if value is None:
        return DEFAULT_NODE_POOL
    identity = str(value.get("id", "")) if isinstance(value, dict) else ""
    name = value.get("name") if isinstance(value, dict) else None
    if identity in by_id:
        return by_id[identity]
    if isinstance(name, str) and name in names and not identity:
        return name
    allowed = [f"{pool_id} ({pool})" for pool_id, pool in by_id.items()]
    raise Invalid(FieldError(f"{where}.nodePool", f"no such node pool; allowed ids are {allowed}", value, allowed))


def _quota(item: Json, pool: str, where: str) -> PoolQuota:
    for name, unit in (("gpu", "devices"), ("cpu", "milli-cores")):
        given = item.get(name)
        if isinstance(given, dict) and given.get("units") is not None:
            allowed = f"nothing: the amounts are {unit}"
            raise QuotaError(QuotaProblem(f"{where}.{name}.units", str(given["units"]), allowed))
    memory = item.get("memory")
    units = quotas.MEMORY_UNITS["Mib"]
    if isinstance(memory, dict):
        if memory.get("units", "Mib") not in quotas.MEMORY_UNITS:
            allowed = f"one of {', '.join(quotas.MEMORY_UNITS)}"
            raise QuotaError(QuotaProblem(f"{where}.memory.units", str(memory.get("units")), allowed))
        units = quotas.MEMORY_UNITS[memory.get("units", "Mib")]
    return PoolQuota(
        node_pool=pool,
        gpu=_resource(item.get("gpu"), f"{where}.gpu", 1000, quotas.MAX_GPU_MILLI, nothing=0),
        cpu=_resource(item.get("cpu"), f"{where}.cpu", 1, quotas.MAX_CPU_MILLI, nothing=UNLIMITED),
        memory=_resource(memory, f"{where}.memory", units, quotas.MAX_MEMORY_BYTES, nothing=UNLIMITED),
        priority=_rank(item.get("priority"), where),
    )


def _resource(value: object, where: str, scale: int, maximum: int, *, nothing: int) -> ResourceQuota:
    if value is None:
        return ResourceQuota(deserved=nothing)
    if not isinstance(value, dict):
        raise QuotaError(QuotaProblem(where, str(value), "an object with deserved, limit and overQuotaWeight"))

    def amount(part: str, default: int, scale: int, maximum: int) -> int:
        given = value.get(part)
        return default if given is None else quotas.read_amount(f"{where}.{part}", given, scale=scale, maximum=maximum)

    return ResourceQuota(
        deserved=amount("deserved", nothing, scale, maximum),
        limit=amount("limit", UNLIMITED, scale, maximum),
        over_quota_weight=amount("overQuotaWeight", 1000, 1000, quotas.MAX_WEIGHT_MILLI),
    )


def _rank(value: object, where: str) -> int:
    if value is None:
        return quotas.DEFAULT_RANK
    if value not in quotas.RANKS:
        raise QuotaError(QuotaProblem(f"{where}.priority", str(value), f"one of {', '.join(quotas.RANKS)}"))
    return quotas.RANKS[str(value)]


def resources(rows: Iterable[Quota]) -> list[Json]:
    """The rows' node pools must be loaded. Equal rows are one object, which nobody may change: hundreds of projects
    share few quotas, and making the objects is what a long list costs.
    """
    return [
        _resource_json(
            row.node_pool_id,
            row.node_pool.name,
            row.priority,
            (row.gpu_deserved_milli, row.gpu_limit_milli, row.gpu_weight),
            (row.cpu_deserved_milli, row.cpu_limit_milli, row.cpu_weight),
            (row.memory_deserved_bytes, row.memory_limit_bytes, row.memory_weight),
        )
        for row in rows
    ]


Amounts = tuple[int, int, int]
"""Deserved, limit, weight as stored."""


@lru_cache(maxsize=8192)
def _resource_json(pool_id: int, pool: str, priority: int, gpu: Amounts, cpu: Amounts, memory: Amounts) -> Json:
    return {
        "nodePool": {"id": str(pool_id), "name": pool},
        "gpu": _part(*gpu, 1000),
        "cpu": _part(*cpu, 1),
        "memory": {**_part(*memory, MIB), "units": "Mib"},
        "priority": quotas.rank_name(priority),
    }


def _part(deserved: int, limit: int, weight: int, scale: int) -> Json:
    return {
        "deserved": _units(deserved, scale),
        "limit": _units(limit, scale),
        "overQuotaWeight": weight / 1000,
    }


def _units(value: int, scale: int) -> float | int | None:
    if value == UNLIMITED:
        return None
    return value // scale if value % scale == 0 else value / scale


def total_resources(rows: list[Quota]) -> Json:
    """Sums over the node pools; null where one of them is unlimited."""

    def total(values: Iterable[int], scale: int) -> float | int | None:
        amounts = list(values)
        return None if UNLIMITED in amounts else _units(sum(amounts), scale)

    return {
        "gpuQuota": total((row.gpu_deserved_milli for row in rows), 1000),
        "cpuQuota": total((row.cpu_deserved_milli for row in rows), 1),
        "memoryQuota": total((row.memory_deserved_bytes for row in rows), MIB),
    }


def quota_status(rows: list[Quota]) -> Json:
    """What the queues hold, over all node pools."""
    return _held(*(sum(column) for column in zip(*map(_HELD, rows), strict=True))) if rows else _held(0, 0, 0, 0, 0)


def pool_statuses(rows: list[Quota]) -> list[Json]:
    """The same of each node pool; equal ones are one object, as with ``resources``."""
    return [_pool_status(row.node_pool_id, row.node_pool.name, *_HELD(row)) for row in rows]


_HELD = attrgetter(
    "allocated_gpu_milli",
    "allocated_cpu_milli",
    "allocated_memory_bytes",
    "allocated_non_preemptible_gpu_milli",
    "requested_gpu_milli",
)


def _held(gpu: int, cpu: int, memory: int, lasting: int, requested: int) -> Json:
    return {
        "allocated": {"gpu": gpu / 1000, "cpu": cpu, "memory": memory / MIB},
        "allocatedNonPreemptible": {"gpu": lasting / 1000},
        "requested": {"gpu": requested / 1000},
    }


@lru_cache(maxsize=8192)
def _pool_status(pool_id: int, pool: str, *held: int) -> Json:
    return {**_held(*held), "nodePoolName": pool, "nodePoolId": str(pool_id)}
