"""What the pages of departments and projects share: making one once, changing it, its pools as rows."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from access.idempotency import once
from access.scoping import chosen
from clusters.models import Cluster, NodePool
from projects.forms import UnitForm
from projects.models import Department, Project


def cluster_of(request: HttpRequest) -> Cluster | None:
    """The cluster a new unit goes to: named in the address, else the chosen scope's, else the first visible one."""
    rows = Cluster.objects.visible_to(request.actor).present().with_name().order_by("created_at")  # type: ignore[attr-defined]
    wanted = request.GET.get("cluster", "")
    try:
        named = rows.filter(pk=uuid.UUID(wanted)).first() if wanted else None
    except ValueError:
        named = None
    if named is not None:
        return named  # type: ignore[no-any-return]
    name = chosen(request).name("cluster")
    return (rows.filter(scope__name=name).first() if name else None) or rows.first()


def clusters_to_choose(request: HttpRequest) -> list[Cluster]:
    return list(Cluster.objects.visible_to(request.actor).present().with_name().order_by("created_at")[:20])  # type: ignore[attr-defined]


def pools_of(cluster: Cluster | None) -> list[NodePool]:
    return list(NodePool.objects.filter(cluster=cluster).order_by("name")) if cluster else []


def create_once(request: HttpRequest, form: UnitForm, kind: str, make: Callable[[], Department | Project]) -> int:
    """The new unit's id; the same form sent twice makes one. Raises what ``make`` raises."""

    def run() -> tuple[int, Any]:
        return 201, make().pk

    key = form.cleaned_data["idempotency_key"] or str(uuid.uuid4())
    data = {name: str(value) for name, value in form.cleaned_data.items()}
    body = json.dumps([kind, data], sort_keys=True).encode()
    return int(once(actor_id=request.actor.id, key=key, request=body, run=run)[1])  # type: ignore[attr-defined]


def pool_rows(unit: Department | Project) -> list[dict[str, Any]]:
    """One row a node pool: quota, what the queue holds, what it asks, its fair share. Milli-GPU."""
    return [
        {
            "pool": quota.node_pool.name,
            "quota": quota.gpu_deserved_milli,
            "limit": quota.gpu_limit_milli,
            "weight": quota.gpu_weight,
            "used": quota.allocated_gpu_milli,
            "over": max(0, quota.allocated_gpu_milli - quota.gpu_deserved_milli),
            "asked": quota.requested_gpu_milli,
            "share": quota.fair_share_gpu_milli,
            "scale": max(quota.gpu_deserved_milli, quota.allocated_gpu_milli, 1000),
        }
        for quota in unit.quotas.all()
    ]
