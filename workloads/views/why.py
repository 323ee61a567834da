"""Why has it not started: cause by pool, place in line, what is ahead, and what would make it run.

The cause is the scheduler's own sentence as it was reported; this page adds the numbers around it and decides nothing.
"""

from typing import Any

from django.db.models import Q

from agent.wire.labels import SIMULATED_NODE_POOL
from clusters.models import Node
from clusters.querysets import pool_supply
from projects.models import Quota
from workloads.models import Workload

AHEAD = 4
SHOWN = ("pk", "name", "priority_class", "requested_gpu_milli", "created_at")


def why(workload: Workload) -> dict[str, Any]:
    """Four queries: the project's quotas, the pools' supply, the number ahead, and the first of them."""
    reasons = [item for item in workload.reasons if isinstance(item, dict)]
    quotas = {q.node_pool.name: q for q in Quota.objects.filter(project=workload.project).select_related("node_pool")}
    supply = pool_supply(Node.objects.filter(cluster_id=workload.cluster_id))
    pools = _pools(workload, reasons, quotas)
    rows = [
        _row(name, quotas.get(name), supply.get((workload.cluster_id, name), {}), workload, reasons) for name in pools
    ]
    ahead = _ahead(workload)
    return {
        "sentence": reasons[0].get("message", "") if reasons else workload.message,
        "rows": rows,
        "rank": ahead.count() + 1,
        "waiting": _waiting(workload).count(),
        "ahead": ahead.order_by("-priority", "created_at", "pk").only(*SHOWN)[:AHEAD],
        "fixes": list(_fixes(workload, rows)),
    }  # fmt: skip


def _pools(workload: Workload, reasons: list[dict[str, Any]], quotas: dict[str, Quota]) -> list[str]:
    """Pools asked for or named by the scheduler first, then the others of the cluster."""
    named = [str(item.get("nodePool")) for item in reasons if item.get("nodePool")]
    asked = workload.requested_node_pools or workload.project.default_node_pools or ["default"]
    return list(dict.fromkeys([*asked, *named, *sorted(quotas)]))


def _row(
    name: str, quota: Quota | None, supply: dict[str, int], workload: Workload, reasons: list[dict[str, Any]]
) -> dict[str, Any]:
    asked = workload.requested_node_pools or workload.project.default_node_pools or ["default"]
    total, taken = supply.get("gpu_allocatable_milli") or 0, supply.get("gpu_allocated_milli") or 0
    said = next((str(item.get("message", "")) for item in reasons if item.get("nodePool") == name), "")
    return {
        "pool": name,
        "asked": name in asked,
        "used": quota.allocated_gpu_milli if quota else 0,
        "firm": quota.allocated_non_preemptible_gpu_milli if quota else 0,
        "quota": quota.gpu_deserved_milli if quota else 0,
        "scale": max(quota.gpu_deserved_milli, quota.allocated_gpu_milli, 1000) if quota else 1000,
        "free": max(0, total - taken),
        "said": said or ("" if name in asked else "not in the request"),
    }


def _waiting(workload: Workload) -> Any:
    return Workload.objects.present().filter(project_id=workload.project_id, phase="Pending")


def _ahead(workload: Workload) -> Any:
    """Pending ones of the project that the scheduler looks at first: by priority, then by age."""
    earlier = Q(priority=workload.priority, created_at__lt=workload.created_at)
    return _waiting(workload).filter(Q(priority__gt=workload.priority) | earlier).exclude(pk=workload.pk)


def _fixes(workload: Workload, rows: list[dict[str, Any]]) -> Any:
    """Changes that would fit what is free now; each says what it would cost. Nobody is sent to simulated nodes."""
    need = workload.requested_gpu_milli
    for row in rows:
        if not row["asked"]:
            continue
        if not workload.preemptible and row["free"] >= need > 0:
            yield {
                "title": "Make it preemptible.",
                "text": f"It could borrow {need / 1000:g} of the {row['free'] / 1000:g} free GPUs in {row['pool']}.",
                "cost": "It may be reclaimed when another project needs its share.",
                "query": "preemption=preemptible",
            }
        left = max(0, row["quota"] - row["firm"])
        if 0 < left < need:
            yield {
                "title": f"Ask for {left / 1000:g} GPUs.",
                "text": f"That much of the quota of {workload.project.name} is left in {row['pool']}.",
                "cost": "It then stays inside the quota.",
                "query": "",
            }
    for row in rows:
        if not row["asked"] and row["pool"] != SIMULATED_NODE_POOL and row["free"] >= need > 0:
            yield {
                "title": f"Run it in {row['pool']}.",
                "text": f"{row['free'] / 1000:g} GPUs are free there now.",
                "cost": f"{workload.project.name} holds {row['used'] / 1000:g} of {row['quota'] / 1000:g} there.",
                "query": "",
            }
