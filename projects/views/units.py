"""What the pages of departments and projects share: lists, making one once, changing it, its pools as rows."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Model, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from access.idempotency import once
from access.roles import Action
from access.scoping import chosen, narrow
from clusters.models import Cluster, NodePool
from link import services as link
from projects import services
from projects.documents import document_key
from projects.forms import UnitForm, edit_form, held_below
from projects.models import Department, Project, Quota
from projects.querysets import DepartmentQuerySet, ProjectQuerySet
from projects.versions import Changed
from projects.views.rules_shown import rules_shown
from runai_cp.lib import polling
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the two: words, model, verbs. ``detail`` is the route of one; ``made`` is said of a new
    one."""

    name: str
    model: type[Department] | type[Project]
    create: Callable[..., Department | Project]
    update: Callable[..., Department | Project]
    change: Action
    remove: Action
    made: str = ""

    @property
    def detail(self) -> str:
        return f"projects:{self.name}_detail"

    @property
    def template(self) -> str:
        return f"projects/{self.name}_detail.html"


DEPARTMENT = Kind(
    "department",
    Department,
    services.create_department,
    services.update_department,
    Action.DEPARTMENT_UPDATE,
    Action.DEPARTMENT_DELETE,
)
PROJECT = Kind(
    "project",
    Project,
    services.create_project,
    services.update_project,
    Action.PROJECT_UPDATE,
    Action.PROJECT_DELETE,
    "Its namespace and queues appear in the cluster now.",
)


def listed(request: HttpRequest, kind: Kind) -> DepartmentQuerySet | ProjectQuerySet:
    """Rows of the chosen scope that the person may see, with names and sums."""
    rows: DepartmentQuerySet | ProjectQuerySet = narrow(request, kind.model.objects.visible_to(request.actor))  # type: ignore[attr-defined]
    return rows.with_names().with_sums()


def promised(kind: Kind, found: Any) -> dict[str, int]:
    """How many match, what all of them together are promised and hold in milli-GPU, and how often the page asks again.
    Two queries.

    What a department holds is what its projects hold: its own queues are only their parents.
    """
    rows = found.order_by().values("pk")
    quotas = Quota.objects.order_by()
    touched = ("updated_at", "phase_since") if kind is PROJECT else ("updated_at",)
    facts = found.order_by().aggregate(total=Count("pk"), **{f"last_{name}": Max(name) for name in touched})
    own = quotas.filter(**{f"{kind.name}__in": rows})
    held = own if kind is PROJECT else quotas.filter(project__department__in=rows)
    return {
        "total": facts["total"],
        "every": polling.every(facts[f"last_{name}"] for name in touched),
        "quota": own.aggregate(n=Sum("gpu_deserved_milli", default=0))["n"],
        "allocated": held.aggregate(n=Sum("allocated_gpu_milli", default=0))["n"],
    }


def over(rows: list[Any]) -> None:
    """Give each row ``over``: milli-GPU that it holds beyond its quota."""
    for row in rows:
        row.over = max(0, row.gpu_allocated_milli - row.gpu_quota_milli)


def one(request: HttpRequest, kind: Kind, unit_id: int) -> Any:
    """The unit with its quotas, or 404 for one that is not there or not to be seen."""
    return get_object_or_404(kind.model.objects.visible_to(request.actor).with_names().with_quota(), pk=unit_id)  # type: ignore[attr-defined]


def show(request: HttpRequest, kind: Kind, unit: Any, **context: Any) -> HttpResponse:
    """The page of one: its pools, its rules, whether its cluster has taken them, and what the person may do with it."""
    actor, path = request.actor, unit.scope.path  # type: ignore[attr-defined]
    key = document_key(unit)
    context |= {
        kind.name: unit,
        "rows": pool_rows(unit),
        "rules": rules_shown(unit),
        "document": link.desired_status(cluster_id=unit.cluster_id, keys=[key]).get(key),
        "every": polling.every((unit.updated_at, getattr(unit, "phase_since", None))),
        "may_edit": actor.allows(kind.change, path),
        "may_delete": actor.allows(kind.remove, path),
    }
    return render_page(request, kind.template, context, "live")


def create(
    request: HttpRequest, kind: Kind, form_of: Callable[[Any, Cluster | None, list[NodePool]], UnitForm]
) -> HttpResponse:
    """The form of a new one. ``form_of`` makes it from what was sent, the cluster and its node pools."""
    cluster = cluster_of(request)
    form = form_of(request.POST or None, cluster, pools_of(cluster))
    if cluster and request.method == "POST" and form.is_valid():
        try:
            wanted = form.to_request(cluster)  # type: ignore[attr-defined]
            made = _create_once(request, form, kind, wanted)
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, f"{kind.name.capitalize()} {wanted.name} was created", kind.made)
            return redirect(kind.detail, made)
    context = {"form": form, "cluster": cluster, "clusters": clusters_to_choose(request), "kind": kind.name}
    return render_page(request, "projects/unit_form.html", context, status=422 if form.errors else 200)


def edit(request: HttpRequest, kind: Kind, unit: Any) -> HttpResponse:
    form = edit_form(unit, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            kind.update(actor=request.actor, **{kind.name: unit}, request=form.to_update())  # type: ignore[attr-defined]
        except Changed as error:
            form.is_second(error, kind.model.objects.values_list("version", flat=True).get(pk=unit.pk))
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, f"{unit.name} was changed", "The quota takes effect in the next scheduling cycle.")
            return redirect(kind.detail, unit.pk)
    context = {"form": form, "unit": unit, "cluster": unit.cluster, "kind": kind.name}
    return render_page(request, "projects/unit_form.html", context, status=422 if form.errors else 200)


def stays(request: HttpRequest, kind: Kind, unit: Model, why: str) -> HttpResponse:
    """A deletion that did not happen says so on the unit's page."""
    toast(request, f"{unit} stays", why, "bad")
    return redirect(kind.detail, unit.pk)


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


def _create_once(request: HttpRequest, form: UnitForm, kind: Kind, wanted: Any) -> int:
    """The new unit's id; the same form sent twice makes one. Raises what making it raises."""
    actor = request.actor  # type: ignore[attr-defined]

    def run() -> tuple[int, Any]:
        return 201, kind.create(actor=actor, request=wanted).pk

    key = form.cleaned_data["idempotency_key"] or str(uuid.uuid4())
    data = {name: str(value) for name, value in form.cleaned_data.items()}
    body = json.dumps([kind.name, data], sort_keys=True).encode()
    return int(once(actor_id=actor.id, key=key, request=body, run=run)[1])


def pool_rows(unit: Department | Project) -> list[dict[str, Any]]:
    """One row a node pool: quota, what is held, what is asked, the fair share. Milli-GPU.

    A department's own queues are only parents: what it holds and asks is what its projects do.
    """
    below = held_below(unit) if isinstance(unit, Department) else {}
    rows = []
    for quota in unit.quotas.all():  # type: ignore[attr-defined]
        used, asked = quota.allocated_gpu_milli, quota.requested_gpu_milli
        if isinstance(unit, Department):
            used, asked = below.get(quota.node_pool_id, (0, 0))
        rows.append(
            {
                "pool": quota.node_pool.name,
                "quota": quota.gpu_deserved_milli,
                "limit": quota.gpu_limit_milli,
                "weight": quota.gpu_weight,
                "used": used,
                "over": max(0, used - quota.gpu_deserved_milli),
                "asked": asked,
                "share": quota.fair_share_gpu_milli,
                "scale": max(quota.gpu_deserved_milli, used, 1000),
            }
        )
    return rows
