"""The list of workloads: search, filter chips in the address, sort, pages, live rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from access.grants import Actor
from access.guard import allow
from access.roles import Action
from access.scoping import chosen, narrow
from agent.wire import samples
from agent.wire.phases import FINAL, Phase
from clusters.models import Cluster
from clusters.services import statuses
from clusters.states import State
from runai_cp.lib.htmx import render_page
from runai_cp.lib.listing import Field, Listing, ListQuery
from runai_cp.lib.paging import pages
from series.services import Subject, query_lines
from workloads.models import Workload

CONSOLE = Listing(
    fields={
        "name": Field("name"),
        "phase": Field("phase"),
        "project": Field("project__scope__name"),
        "gpu": Field("requested_gpu_milli", int),
        "priority": Field("priority", int),
        "owner": Field("submitted_by"),
        "age": Field("created_at"),
    },
    search_paths=("name",),
    default_sort=("-created_at",),
)
TYPES = ("training", "distributed", "workspace", "inference")
SPAN, SPARK_POINTS = timedelta(minutes=30), 24
UNFINISHED = tuple(str(phase) for phase in Phase if phase not in FINAL)
SAID = ("Running", "Pending", "Initializing", "Degraded", "Failed", "Completed", "Stopped")


@dataclass(frozen=True)
class Asked:
    """What the address says: everything a person can set on this list."""

    words: str = ""
    phase: str = ""
    kind: str = ""
    owner: str = ""
    pool: str = ""
    deleted: bool = False
    sort: str = ""
    descending: bool = False
    chips: list[dict[str, str]] = field(default_factory=list)


def asked(params: Mapping[str, str]) -> Asked:
    """Unknown values are ignored: an old bookmark shows more rows, never an error."""
    phase = params.get("phase", "")
    phase = phase if phase == "active" or phase in set(Phase) else ""
    kind = params.get("type", "") if params.get("type") in TYPES else ""
    found = Asked(
        words=params.get("q", "").strip()[:200],
        phase=phase,
        kind=kind,
        owner=params.get("owner", "").strip()[:254],
        pool=params.get("pool", "").strip()[:63],
        deleted=params.get("show") == "deleted",
        sort=params.get("sort", "") if params.get("sort") in CONSOLE.fields else "",
        descending=params.get("order") == "desc",
    )
    pairs = (
        ("phase", "Phase", phase),
        ("type", "Type", kind),
        ("owner", "Owner", found.owner),
        ("pool", "Pool", found.pool),
    )
    found.chips.extend({"name": name, "label": label, "value": value} for name, label, value in pairs if value)
    if found.deleted:
        found.chips.append({"name": "show", "label": "Show", "value": "deleted"})
    return found


def matching(request: HttpRequest, wanted: Asked) -> QuerySet[Workload]:
    """Rows in the chosen scope that fit the chips and the search; neither sorted nor joined."""
    rows = narrow(request, Workload.objects.visible_to(request.actor))  # type: ignore[attr-defined]
    rows = rows.deleted() if wanted.deleted else rows.present()
    if wanted.phase:
        rows = rows.filter(phase__in=UNFINISHED) if wanted.phase == "active" else rows.filter(phase=wanted.phase)
    if wanted.kind:
        rows = rows.filter(type=wanted.kind)
    if wanted.owner:
        rows = rows.filter(submitted_by=wanted.owner)
    if wanted.pool:
        rows = rows.filter(requested_node_pools__contains=[wanted.pool])
    return CONSOLE.filtered(rows, ListQuery(search=wanted.words))  # type: ignore[no-any-return]


@allow(Action.WORKLOAD_VIEW)
@require_GET
def workload_list(request: HttpRequest) -> HttpResponse:
    wanted = asked(request.GET)
    rows = matching(request, wanted)
    facts = tally(rows)
    page = pages(facts["total"], request.GET.get("page"))
    query = ListQuery(sort_by=wanted.sort, descending=wanted.descending)
    shown = CONSOLE.ordered(rows, query).window(page.offset, page.size, "spec", "reasons")
    context = {
        "workloads": shown,
        "uses": utilisation(request.actor, shown),  # type: ignore[attr-defined]
        "asked": wanted,
        "pages": page,
        "facts": facts,
        "silent": silent_clusters(request),
        "phases": ("active", *SAID),
        "types": TYPES,
        "sort": "age",
        "order": "desc",
        "narrowed": bool(wanted.chips or wanted.words),
        "scoped": bool(chosen(request).path),
    }
    return render_page(request, "workloads/workload_list.html", context, "live")


def tally(rows: QuerySet[Workload]) -> dict[str, Any]:
    """Total, numbers by phase in reading order, and the GPUs that pending ones ask for: one grouped query."""
    grouped = rows.order_by().values("phase").annotate(n=Count("pk"), gpu=Sum("requested_gpu_milli"))
    by_phase = {row["phase"]: row for row in grouped}
    return {
        "total": sum(row["n"] for row in by_phase.values()),
        "parts": [(name.lower(), by_phase[name]["n"]) for name in SAID if name in by_phase],
        "pending_gpu": by_phase.get("Pending", {}).get("gpu") or 0,
    }


def utilisation(actor: Actor, rows: list[Workload]) -> dict[UUID, list[float | None]]:
    """GPU utilisation of the running ones of a page over the last half hour, where the person may see it: one query."""
    may = [row for row in rows if row.running_pods and actor.allows(Action.METRICS_VIEW, row.project.scope.path)]
    busy = [row for row in may if row.allocated_gpu_milli]
    lines = {("GPU_UTILIZATION", Subject(row.cluster_id, samples.WORKLOAD, str(row.pk))): row.pk for row in busy}
    end = datetime.now(UTC)
    found = query_lines(lines=list(lines), start=end - SPAN, end=end, points=SPARK_POINTS)
    return {lines[line]: [value for _, value in points] for line, points in found.items()}


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
