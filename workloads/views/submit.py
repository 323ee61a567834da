"""The submit form: new, copied, checked and previewed while it is filled, sent once."""

import json
import uuid
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from access.guard import allow
from access.idempotency import once
from access.roles import Action
from access.scoping import chosen
from clusters.models import Node, NodePool
from clusters.querysets import pool_supply
from projects.models import Project, Quota
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast
from workloads.forms import SubmitForm, initial_of
from workloads.models import Workload
from workloads.services import clone_request, submit_workload
from workloads.services.submit import invalid
from workloads.specs.compile import compile_spec, is_preemptible, totals
from workloads.specs.problems import SpecError
from workloads.specs.request import SubmitRequest, to_json
from workloads.views import texts
from workloads.views.quota_check import Place, verdict

TEMPLATE = "workloads/workload_form.html"
EXAMPLE_NAME, EXAMPLE_IMAGE = "my-training", "registry.example/team/image:tag"


@allow(Action.WORKLOAD_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def workload_create(request: HttpRequest) -> HttpResponse:
    copied = _copied(request)
    form = _form(request, _initial(request, copied))
    if request.method == "POST" and form.is_valid():
        try:
            made = _submit_once(request, form)
            toast(request, f"{form.cleaned_data['name']} was submitted", "This page follows it.")
            return redirect("workloads:workload_detail", made)
        except DomainError as error:
            form.refuse(error)
    context = {"form": form, "copied": copied} | _side(request, form)
    return render_page(request, TEMPLATE, context, status=422 if form.errors else 200)


@allow(Action.WORKLOAD_CREATE)
@require_POST
def workload_preview(request: HttpRequest) -> HttpResponse:
    """The check and the four texts for what the form holds now; nothing is written."""
    form = _form(request, {})
    form.is_valid()
    return render_page(request, TEMPLATE, {"form": form} | _side(request, form), "side")


def _projects(request: HttpRequest) -> QuerySet[Project]:
    rows = Project.objects.visible_to(request.actor, Action.WORKLOAD_CREATE).present()  # type: ignore[attr-defined]
    return rows.with_names().order_by("scope__name")  # type: ignore[no-any-return]


def _form(request: HttpRequest, initial: dict[str, Any]) -> SubmitForm:
    """Pools offered are those of all clusters seen; whether one belongs to the project's is judged on submit."""
    projects = _projects(request)
    names = NodePool.objects.visible_to(request.actor).order_by("name")  # type: ignore[attr-defined]
    pools = list({pool.name: pool for pool in names}.values())
    return SubmitForm(request.POST or None, projects=projects, pools=pools, initial=initial)


def _copied(request: HttpRequest) -> Workload | None:
    wanted = request.GET.get("clone", "")
    try:
        rows = Workload.objects.visible_to(request.actor).with_names()  # type: ignore[attr-defined]
        return rows.filter(pk=uuid.UUID(wanted)).first() if wanted else None  # type: ignore[no-any-return]
    except ValueError:
        return None


def _initial(request: HttpRequest, copied: Workload | None) -> dict[str, Any]:
    if copied is not None:
        values = initial_of(clone_request(copied))
        if request.GET.get("preemption") == "preemptible":
            values["preemption"] = "preemptible"
        return values
    if request.GET.get("project", "").isdigit():
        return {"project": request.GET["project"]}
    now = chosen(request)
    if now.kind == "project":
        own = Project.objects.visible_to(request.actor).filter(scope__path=now.path).first()  # type: ignore[attr-defined]
        return {"project": own.pk} if own else {}
    return {}


def _submit_once(request: HttpRequest, form: SubmitForm) -> str:
    """The workload's id; the same form sent twice makes one workload."""
    wanted = form.to_request()

    def run() -> tuple[int, Any]:
        return 201, str(submit_workload(actor=request.actor, request=wanted).pk)  # type: ignore[attr-defined]

    key = form.cleaned_data["idempotency_key"] or str(uuid.uuid4())
    body = json.dumps(to_json(wanted), sort_keys=True).encode()
    return str(once(actor_id=request.actor.id, key=key, request=body, run=run)[1])  # type: ignore[attr-defined]


def _side(request: HttpRequest, form: SubmitForm) -> dict[str, Any]:
    """Quota check and preview. What is not sound yet is said as a list of what is missing."""
    if not form.is_bound:
        form = _as_if_sent(form)
    project = form.cleaned_data.get("project")
    if project is None or "command_words" not in form.cleaned_data:
        return {"missing": ["Choose a project."], "place": None}
    wanted = form.to_request()
    return _check(project, wanted) | _texts(request, project, wanted)


def _as_if_sent(form: SubmitForm) -> SubmitForm:
    """The untouched form as the server would receive it, to check and preview what it begins with."""
    projects = form.fields["project"].queryset  # type: ignore[attr-defined]
    first = projects.first()
    values = {name: field.initial for name, field in form.fields.items() if field.initial is not None}
    sent = SubmitForm({"project": first.pk if first else ""} | values | form.initial, projects=projects, pools=[])
    sent.fields["pool"].choices = form.fields["pool"].choices  # type: ignore[attr-defined]
    sent.is_valid()
    return sent


def _check(project: Project, wanted: SubmitRequest) -> dict[str, Any]:
    """What the amounts mean for the quota; name, image and words do not matter for that."""
    try:
        spec = compile_spec(replace(wanted, name="check", image="check", command=(), args=(), environment=()))
    except SpecError:
        return {"place": None, "verdict": None}
    pool = (spec.node_pools or tuple(project.default_node_pools) or ("default",))[0]
    asked = totals(spec).gpu_milli
    place = _place(project, pool)
    return {
        "place": place,
        "asked": asked,
        "pool": pool,
        "project": project,
        "verdict": verdict(place, asked, is_preemptible(spec)),
        "scale": max(place.used + asked, place.quota, place.used + place.free) if place else 1,
    }


def _place(project: Project, pool: str) -> Place | None:
    """Two queries: the project's quota in the pool, and what the pool has."""
    quota = Quota.objects.filter(project=project, node_pool__name=pool).first()
    if quota is None:
        return None
    supply = pool_supply(Node.objects.filter(cluster_id=project.cluster_id)).get((project.cluster_id, pool), {})
    total = supply.get("gpu_allocatable_milli") or 0
    return Place(
        project=project.name,
        pool=pool,
        quota=quota.gpu_deserved_milli,
        limit=quota.gpu_limit_milli,
        used=quota.allocated_gpu_milli,
        used_non_preemptible=quota.allocated_non_preemptible_gpu_milli,
        free=max(0, total - (supply.get("gpu_allocated_milli") or 0)),
        total=total,
    )


def _texts(request: HttpRequest, project: Project, wanted: SubmitRequest) -> dict[str, Any]:
    """The four texts. Until name and image are given, examples stand in for them, and the pane says so."""
    cluster, base = str(project.cluster_id), request.build_absolute_uri("/").rstrip("/")
    missing = [label for label, value in (("Name", wanted.name), ("Image", wanted.image)) if not value]
    wanted = replace(wanted, name=wanted.name or EXAMPLE_NAME, image=wanted.image or EXAMPLE_IMAGE)
    try:
        return {
            "missing": missing,
            "yaml": texts.yaml_text(wanted, project.namespace),
            "cli": texts.cli_text(wanted, project.name),
            "curl": texts.curl_text(wanted, cluster, base),
            "json": texts.json_text(wanted, cluster),
        }
    except SpecError as error:
        labels = {name: str(bound.label) for name, bound in SubmitForm.base_fields.items()}
        names = [SubmitForm.FIELDS_OF.get(item.field, item.field) for item in invalid(error).fields]
        return {"missing": missing + [labels.get(name.split("[")[0], name) for name in dict.fromkeys(names)]}
