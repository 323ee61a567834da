"""Home: a person's own work and quota; and for who sets the tenant up, what is still to be done, from real state."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from access.grants import Actor
from access.guard import SIGNED_IN, allow
from access.models import AccessRule, ScopeKind
from access.roles import Action
from access.services.scopes import root_scope
from agent.wire.phases import FINAL
from clusters.models import Cluster, Node
from clusters.services import statuses
from projects.models import Project, Quota
from runai_cp.lib.htmx import render_page
from workloads.models import Workload

ENDED = (*FINAL, "Stopped")
WAITING = ("Creating", "Pending", "Initializing", "Resuming")
SHOWN = 6
"""Workloads of each kind, and projects."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of the onboarding: done or not, and where it is done."""

    title: str
    detail: str
    done: bool
    href: str
    verb: str


@allow(SIGNED_IN)
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    mine = Workload.objects.visible_to(actor).present().filter(submitted_by=actor.name).for_list()
    steps = onboarding(actor)
    groups = [
        ("Waiting", "Pending", list(mine.filter(phase__in=WAITING).order_by("phase_since")[:SHOWN])),
        ("Running", "Running", list(mine.filter(phase="Running").order_by("-phase_since")[:SHOWN])),
        ("Lately ended", "", list(mine.filter(phase__in=ENDED).order_by("-phase_since")[:SHOWN])),
    ]
    context: dict[str, Any] = {
        "groups": groups,
        "waiting": len(groups[0][2]),
        "running": len(groups[1][2]),
        "any": any(rows for _, _, rows in groups),
        "quotas": _quotas(actor),
        "steps": steps,
        "done": sum(step.done for step in steps),
        "open": [step for step in steps if not step.done],
    }
    return render_page(request, "usage/home.html", context, "live")


def onboarding(actor: Actor) -> list[Step]:
    """What takes a tenant from nothing to its first running workload; nothing for who may not set it up."""
    if not actor.allows(Action.CLUSTER_CREATE, root_scope().path):
        return []
    clusters = list(Cluster.objects.visible_to(actor).present().with_name().order_by("created_at")[:20])
    states = statuses(clusters)
    waiting = next((item for item in clusters if not states[item.pk].healthy), None)
    connected = any(states[item.pk].healthy for item in clusters)
    gpus = Node.objects.visible_to(actor).filter(gpu_count__gt=0).exists()
    promised = Quota.objects.filter(project__isnull=False, gpu_deserved_milli__gt=0).exists()
    others = AccessRule.objects.filter(deleted_at=None).exclude(scope__kind=ScopeKind.TENANT).exists()
    ran = Workload.objects.visible_to(actor).filter(started_at__isnull=False).exists()
    new, grid = reverse("clusters:cluster_create"), reverse("projects:quota_grid")
    site = reverse("clusters:cluster_detail", args=[waiting.pk]) if waiting else new
    return [
        Step("Connect a cluster", "One manifest; the agent dials out.", connected, site, "Connect"),
        Step("See its GPUs", "Nodes and node pools appear by themselves.", gpus, reverse("clusters:node_list"), "Look"),
        Step("Promise quota to a project", "GPUs that it can count on.", promised, grid, "Set quota"),
        Step("Let people in", "A role in a project or department.", others, reverse("access:user_create"), "Add"),
        Step("Run the first workload", "From the form, the CLI, REST or kubectl.", ran, _submit(), "Submit"),
    ]


def _submit() -> str:
    return reverse("workloads:workload_create")


def _quotas(actor: Actor) -> list[tuple[Project, list[Quota]]]:
    """Projects that the person may submit to, with the node pools where something is promised or held."""
    rows = Project.objects.visible_to(actor, Action.WORKLOAD_CREATE).present().with_names().with_quota()
    found = []
    for project in rows.order_by("scope__name")[:SHOWN]:
        pools = [row for row in project.quotas.all() if row.gpu_deserved_milli or row.allocated_gpu_milli]
        found.append((project, pools))
    return found
