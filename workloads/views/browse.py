"""The list of workloads: search, filters in the address, sort, pages, live rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.views.decorators.http import require_GET

from access.grants import Actor
from access.guard import allow
from access.lists import render_list
from access.roles import Action
from access.scoping import narrow
from agent.wire import samples
from clusters.models import Cluster
from clusters.services import statuses
from clusters.states import State
from series.services import Subject, query_lines
from workloads.filters import selectable
from workloads.models import Workload
from workloads.querysets import WorkloadQuerySet
from workloads.tables import DELETE, RESUME, SAID, STOP, WORKLOADS_TABLE

SPAN, SPARK_POINTS = timedelta(minutes=30), 24


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_list(request: HttpRequest) -> HttpResponseBase:
    actor = request.actor  # type: ignore[attr-defined]
    bulk = (STOP, RESUME) if actor.allows_somewhere(Action.WORKLOAD_UPDATE) else ()
    bulk += (DELETE,) if actor.allows_somewhere(Action.WORKLOAD_DELETE) else ()
    return render_list(
        request,
        WORKLOADS_TABLE,
        rows_of(request, request.GET),
        "workloads/workload_list.html",
        {"silent": silent_clusters(request)},
        bulk=bulk,
        bulk_url="/workloads/bulk/",
        partial="live",
        dress=lambda rows: measure(actor, rows),
        summary=tally,
    )


def rows_of(request: HttpRequest, params: QueryDict) -> WorkloadQuerySet:
    """Rows of the chosen scope that the person may see: those that are there, or the deleted ones where the address
    asks for them."""
    actor = request.actor  # type: ignore[attr-defined]
    rows = narrow(request, Workload.objects.visible_to(actor))
    asked = WORKLOADS_TABLE.ask(params).query.filters
    gone = any(one.field == "deleted" and one.value == "true" for one in asked)
    rows = rows.deleted() if gone else rows.present()
    return selectable(rows.for_list(), actor.name)


def tally(rows: QuerySet[Workload]) -> dict[str, Any]:
    """Total, numbers by phase in reading order, and the GPUs that pending ones ask for: one grouped query."""
    grouped = rows.order_by().values("phase").annotate(n=Count("pk"), gpu=Sum("requested_gpu_milli"))
    by_phase = {row["phase"]: row for row in grouped}
    return {
        "total": sum(row["n"] for row in by_phase.values()),
        "parts": [(name.lower(), by_phase[name]["n"]) for name in SAID if name in by_phase],
        "pending_gpu": by_phase.get("Pending", {}).get("gpu") or 0,
    }


def measure(actor: Actor, rows: list[Workload]) -> None:
    """Give each running row ``use``, its GPU utilisation over the last half hour where the person may see it: one
    query for all of them."""
    may = [row for row in rows if row.running_pods and actor.allows(Action.METRICS_VIEW, row.project.scope.path)]
    lines = {
        ("GPU_UTILIZATION", Subject(row.cluster_id, samples.WORKLOAD, str(row.pk))): row
        for row in may
        if row.allocated_gpu_milli
    }
    end = datetime.now(UTC)
    found = query_lines(lines=list(lines), start=end - SPAN, end=end, points=SPARK_POINTS)
    for line, points in found.items():
        lines[line].use = [value for _, value in points]  # type: ignore[attr-defined]


def silent_clusters(request: HttpRequest) -> list[dict[str, Any]]:
    """Clusters of the scope whose agent is away, with since when: two small queries."""
    rows = narrow(request, Cluster.objects.visible_to(request.actor).present()).with_name()  # type: ignore[attr-defined]
    found = list(rows[:50])
    states = statuses(found)
    return [
        {"name": cluster.name, "last_seen": states[cluster.pk].since}
        for cluster in found
        if states[cluster.pk].state == State.DISCONNECTED
    ]
