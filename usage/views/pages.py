"""The Overview and a workload's metrics tab."""

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import F, Min, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from access.guard import SIGNED_IN, allow
from access.roles import Action
from access.scoping import cluster_path, narrow
from clusters.models import Cluster, Node
from clusters.services import statuses
from clusters.states import ClusterStatus
from projects.models import Project, Quota
from runai_cp.lib.htmx import render_page
from runai_cp.lib.vocabulary import STATUS
from usage import services
from usage.views import figures
from workloads.models import Workload
from workloads.views.detail import head
from workloads.views.lifecycle import one

MOST = 8
"""Clusters that one chart adds up."""
CLUSTER_TYPES = ("ALLOCATED_GPU", "TOTAL_GPU", "GPU_UTILIZATION", "CPU_UTILIZATION", "CPU_MEMORY_UTILIZATION")
WORKLOAD_TYPES = (
    "GPU_UTILIZATION", "GPU_MEMORY_USAGE_BYTES", "CPU_USAGE_CORES", "CPU_REQUEST_CORES", "CPU_MEMORY_USAGE_BYTES",
    "CPU_MEMORY_REQUEST_BYTES", "POD_COUNT", "RUNNING_POD_COUNT",
)  # fmt: skip


@allow(SIGNED_IN)
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    key, seconds = figures.seconds_of(request.GET.get("range"), "1h")
    clusters = _clusters(request)
    states = statuses(clusters)
    now = services.overview(actor=request.actor, cluster_ids=[c.pk for c in clusters])  # type: ignore[attr-defined]
    context = {
        "now": now,
        "parts": {"in": now.allocated_milli, "free": now.free_milli},
        "pools": _pools(now, clusters),
        "clusters": clusters,
        "connected": sum(states[c.pk].healthy for c in clusters),
        "waiting": _waiting(request),
        "attention": _attention(request, clusters, states),
        "starved": _starved(request),
        "figures": _figures(request, clusters, seconds),
        "range": key,
        "ranges": [(name, label) for name, (label, _) in figures.RANGES.items()],
    }
    return render_page(request, "usage/overview.html", context, "live")


def _clusters(request: HttpRequest) -> list[Cluster]:
    rows = Cluster.objects.visible_to(request.actor).present().with_name()  # type: ignore[attr-defined]
    path = cluster_path(request)
    return list((rows.filter(scope__path=path) if path else rows)[:200])


def _pools(now: services.Overview, clusters: list[Cluster]) -> list[dict[str, Any]]:
    names = {cluster.pk: cluster.name for cluster in clusters}
    return [
        {
            "name": pool.name,
            "cluster": names.get(pool.cluster_id, ""),
            "use": pool,
            "parts": {
                "in": max(0, pool.allocated_milli - 1000 * (pool.idle or 0)),
                "idle": min(pool.allocated_milli, 1000 * (pool.idle or 0)),
                "free": pool.free_milli,
            },
        }
        for pool in now.pools
    ]


def _waiting(request: HttpRequest) -> dict[str, Any]:
    """Pending workloads of the scope: how many, for how many GPUs, since when the oldest."""
    rows = narrow(request, Workload.objects.visible_to(request.actor)).present()  # type: ignore[attr-defined]
    pending = rows.filter(phase="Pending")
    found: dict[str, Any] = pending.aggregate(gpu=Sum("requested_gpu_milli", default=0), since=Min("phase_since"))
    first = pending.with_names().only("pk", "name", "message", "phase_since", "project", "cluster")
    found["n"] = pending.count()
    found["oldest"] = first.order_by("phase_since").first()
    return found


def _attention(
    request: HttpRequest, clusters: list[Cluster], states: dict[uuid.UUID, ClusterStatus]
) -> list[dict[str, Any]]:
    """Clusters that are not well, nodes that are not ready, workloads that failed today: what asks for somebody."""
    items = [
        {
            "icon": STATUS[states[cluster.pk].title].icon, "tone": STATUS[states[cluster.pk].title].tone,
            "name": cluster.name, "before": "Cluster",
            "text": f"is {states[cluster.pk].title.lower()}", "detail": states[cluster.pk].cause,
            "href": reverse("clusters:cluster_detail", args=[cluster.pk]), "verb": "Diagnose",
        }
        for cluster in clusters if not states[cluster.pk].healthy
    ]  # fmt: skip
    ids = [cluster.pk for cluster in clusters]
    nodes = Node.objects.visible_to(request.actor).filter(cluster_id__in=ids).exclude(status="Ready")  # type: ignore[attr-defined]
    items += [
        {
            "icon": "st-failed", "tone": "bad", "name": node.name, "before": "", "text": "is not ready",
            "detail": f"{node.gpu_count} GPUs out of service", "verb": "Open",
            "href": reverse("clusters:node_detail", args=[node.pk]),
        }
        for node in nodes.order_by("name")[:4]
    ]  # fmt: skip
    day = timezone.now() - timedelta(days=1)
    rows = narrow(request, Workload.objects.visible_to(request.actor)).present()  # type: ignore[attr-defined]
    failed = rows.filter(phase="Failed", phase_since__gte=day).with_names().order_by("-phase_since")
    items += [
        {
            "icon": "st-failed", "tone": "bad", "name": row.name, "before": "", "text": "failed",
            "detail": row.message, "verb": "Open", "href": reverse("workloads:workload_detail", args=[row.pk]),
        }
        for row in failed[:4]
    ]  # fmt: skip
    return items[:6]


def _starved(request: HttpRequest) -> list[Quota]:
    """Projects that hold least of their quota, where something of theirs waits or runs."""
    projects = narrow(request, Project.objects.visible_to(request.actor)).present()  # type: ignore[attr-defined]
    rows = Quota.objects.filter(project__in=projects, gpu_deserved_milli__gt=0)
    rows = rows.annotate(missing=F("gpu_deserved_milli") - F("allocated_gpu_milli")).filter(missing__gt=0)
    return list(rows.select_related("project__scope", "node_pool").order_by("-missing")[:5])


def _figures(request: HttpRequest, clusters: list[Cluster], seconds: int) -> list[Any]:
    """Allocation and utilisation over the range, for clusters whose metrics the person may see."""
    actor = request.actor  # type: ignore[attr-defined]
    seen = [c for c in clusters if c.reported_at and actor.allows(Action.METRICS_VIEW, c.scope.path)][:MOST]
    if not seen:
        return []
    window = services.Window.last(timedelta(seconds=seconds), figures.POINTS)
    found: dict[str, list[services.Measurement]] = {kind: [] for kind in CLUSTER_TYPES}
    for cluster in seen:
        for measured in services.cluster_metrics(actor=actor, cluster=cluster, types=CLUSTER_TYPES, window=window):
            found[measured.type].append(measured)
    return figures.overview_figures(found)


@allow(Action.METRICS_VIEW)
@require_GET
def workload_metrics(request: HttpRequest, workload_id: uuid.UUID) -> HttpResponse:
    """Charts of one workload; gaps where no data arrived are gaps here too."""
    workload = one(request, workload_id)
    key, seconds = figures.seconds_of(request.GET.get("range"), "1h")
    window = services.Window.last(timedelta(seconds=seconds), figures.POINTS)
    lines = services.workload_metrics(actor=request.actor, workload=workload, types=WORKLOAD_TYPES, window=window)  # type: ignore[attr-defined]
    context = head(request, workload, "metrics") | {
        "figures": figures.workload_figures({measured.type: measured for measured in lines}),
        "measured": any(measured.measured for measured in lines),
        "range": key,
        "ranges": [(name, label) for name, (label, _) in figures.RANGES.items()],
    }
    return render_page(request, "usage/workload_metrics.html", context, "live")
