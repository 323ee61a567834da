"""Clusters: the list, a new one, its page with the connect steps, the manifest, and the end."""

import json
import re
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.grants import Actor
from access.guard import allow
from access.idempotency import once
from access.lists import Impact, render_list, run_bulk
from access.permissions import require
from access.roles import Action
from access.scoping import narrow
from access.services.scopes import root_scope
from clusters.forms import ClusterForm, ClusterUpdateForm
from clusters.models import Cluster
from clusters.querysets import ClusterQuerySet
from clusters.services import create_cluster, delete_cluster, deletion_impact, install_manifest, statuses
from clusters.services.clusters import UpdateCluster, revoke_credentials, update_cluster
from clusters.states import State
from clusters.tables import CLUSTERS_DELETE, CLUSTERS_TABLE, SAFE_OFF, SAFE_ON
from link import services as link
from runai_cp.lib.errors import DomainError, FieldError, Invalid
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

ARRIVED = 5
"""Step of a cluster that has told of a node."""
SUMMED = 500
"""Clusters that the sentence of the list counts."""


LIST = "/clusters/"


@allow(Action.CLUSTER_VIEW)
@require_GET
def cluster_list(request: HttpRequest) -> HttpResponseBase:
    actor = request.actor  # type: ignore[attr-defined]
    bulk = (SAFE_ON, SAFE_OFF) if actor.allows_somewhere(Action.CLUSTER_UPDATE) else ()
    bulk += (CLUSTERS_DELETE,) if actor.allows_somewhere(Action.CLUSTER_DELETE) else ()
    return render_list(
        request,
        CLUSTERS_TABLE,
        _in_scope(request),
        "clusters/cluster_list.html",
        {"may_create": actor.allows(Action.CLUSTER_CREATE, root_scope().path)},
        bulk=bulk,
        bulk_url=f"{LIST}bulk",
        partial="live",
        dress=_dress,
        summary=_summary,
    )


def _in_scope(request: HttpRequest) -> ClusterQuerySet:
    rows: ClusterQuerySet = narrow(request, Cluster.objects.visible_to(request.actor))  # type: ignore[attr-defined]
    return rows.with_name().with_supply()


def _dress(rows: list[Any]) -> None:
    """Give each row its ``status``, and ``silent`` where its agent is away: one query."""
    states = statuses(rows)
    for row in rows:
        row.status = states[row.pk]
        row.silent = row.status.state == State.DISCONNECTED


def _summary(found: Any) -> dict[str, Any]:
    """How many of those that match are connected, and which are silent: a tenant has few clusters."""
    rows = list(found[:SUMMED])
    _dress(rows)
    return {"connected": sum(row.status.healthy for row in rows), "silent": [row for row in rows if row.silent][:5]}


@allow(Action.CLUSTER_VIEW)
@require_POST
def cluster_bulk(request: HttpRequest) -> HttpResponse:
    """Safe mode, its end, or the end of many; which it is decides what it needs, and the services refuse each row."""
    actor, verb = request.actor, request.POST.get("verb", "")  # type: ignore[attr-defined]
    acts = {
        "safe-mode": (lambda row: _safe_mode(actor, row, on=True), "Put clusters into safe mode"),
        "end-safe-mode": (lambda row: _safe_mode(actor, row, on=False), "End safe mode"),
        "delete": (lambda row: delete_cluster(actor=actor, cluster=row), "Delete clusters"),
    }
    if verb not in acts:
        raise Invalid(FieldError("verb", f"allowed are {', '.join(acts)}", verb[:40], list(acts)))
    act, label = acts[verb]
    if verb != "delete":
        return run_bulk(request, CLUSTERS_TABLE, _in_scope(request), act, label=label, back=LIST)
    rows = _in_scope(request).visible_to(actor, Action.CLUSTER_DELETE)  # what goes is told to who may delete it
    return run_bulk(request, CLUSTERS_TABLE, rows, act, label=label, back=LIST, impact=_impact)


def _safe_mode(actor: Actor, cluster: Cluster, *, on: bool) -> None:
    update_cluster(actor=actor, cluster=cluster, request=UpdateCluster(safe_mode=on))


def _impact(rows: list[Any]) -> Impact:
    found = [deletion_impact(row) for row in rows]
    return Impact(
        "Our workloads and namespaces in them end first, where their agents can be reached; what is not ours runs on. "
        "This cannot be undone.",
        ("departments", "projects", "nodes"),
        [(item.departments, item.projects, item.nodes) for item in found],
    )


@allow(Action.CLUSTER_CREATE)
@require_http_methods(["GET", "HEAD", "POST"])
def cluster_create(request: HttpRequest) -> HttpResponse:
    """For who may make one in the tenant: an administrator of a department holds the action too, and not here."""
    require(request.actor, Action.CLUSTER_CREATE, root_scope())  # type: ignore[attr-defined]
    form = ClusterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("clusters:cluster_detail", _create_once(request, form))
        except DomainError as error:
            form.refuse(error)
    return render_page(request, "clusters/cluster_form.html", {"form": form}, status=422 if form.errors else 200)


def _create_once(request: HttpRequest, form: ClusterForm) -> str:
    """The cluster's id; the same form sent twice makes one cluster."""
    wanted = form.to_request()

    def run() -> tuple[int, Any]:
        return 201, str(create_cluster(actor=request.actor, request=wanted).pk)  # type: ignore[attr-defined]

    key = form.cleaned_data["idempotency_key"] or str(uuid.uuid4())
    body = json.dumps(["cluster", wanted.name, wanted.domain, wanted.location]).encode()
    return str(once(actor_id=request.actor.id, key=key, request=body, run=run)[1])  # type: ignore[attr-defined]


def _one(request: HttpRequest, cluster_id: uuid.UUID) -> Cluster:
    rows = Cluster.objects.visible_to(request.actor).with_name().with_supply()  # type: ignore[attr-defined]
    found: Cluster = get_object_or_404(rows, pk=cluster_id)
    return found


def _arrival(cluster: Cluster) -> dict[str, Any]:
    """How far a new cluster has come: 2 named, 3 its agent enrolled, 4 its first report is here, 5 a node was seen.

    ``cluster`` from ``with_supply``.
    """
    alive = link.liveness([cluster.pk]).get(cluster.pk)
    enrolled = alive.enrolled_at if alive else None
    step = 5 if cluster.node_count else 4 if cluster.reported_at else 3 if enrolled else 2
    return {"step": step, "enrolled_at": enrolled}


@allow(Action.CLUSTER_VIEW)
@require_GET
def cluster_detail(request: HttpRequest, cluster_id: uuid.UUID) -> HttpResponse:
    cluster = _one(request, cluster_id)
    actor, path = request.actor, cluster.scope.path  # type: ignore[attr-defined]
    arrival = _arrival(cluster)
    context = {
        "cluster": cluster,
        "status": statuses([cluster])[cluster.pk],
        "impact": deletion_impact(cluster) if actor.allows(Action.CLUSTER_DELETE, path) else None,
        "may_install": actor.allows(Action.CLUSTER_UPDATE, path),
        "arrival": arrival,
        "waiting": arrival["step"] < ARRIVED,
    }
    return render_page(request, "clusters/cluster_detail.html", context, "live")


@allow(Action.CLUSTER_UPDATE)
@never_cache
@require_POST
def cluster_manifest(request: HttpRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """The install manifest with a fresh one-time token, as a file: a POST, so that no address ever holds a secret."""
    cluster = _one(request, cluster_id)
    text = install_manifest(actor=request.actor, cluster=cluster)  # type: ignore[attr-defined]
    name = re.sub(r"[^A-Za-z0-9-]+", "-", cluster.name)
    return HttpResponse(
        text,
        content_type="application/yaml",
        headers={"Content-Disposition": f'attachment; filename="runai-{name}.yaml"'},
    )


@allow(Action.CLUSTER_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def cluster_edit(request: HttpRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """Name, place and safe mode."""
    cluster = _one(request, cluster_id)
    now = {"name": cluster.name, "location": cluster.location, "safe_mode": cluster.safe_mode}
    form = ClusterUpdateForm(request.POST or None, initial=now)
    if request.method == "POST" and form.is_valid():
        try:
            update_cluster(actor=request.actor, cluster=cluster, request=form.to_request())  # type: ignore[attr-defined]
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, f"{form.cleaned_data['name']} was changed")
            return redirect("clusters:cluster_detail", cluster_id)
    context = {"form": form, "cluster": cluster}
    return render_page(request, "clusters/cluster_edit.html", context, status=422 if form.errors else 200)


@allow(Action.CLUSTER_UPDATE)
@never_cache
@require_POST
def cluster_rotate(request: HttpRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """Refuse the agent's present key, and answer the manifest that enrols it anew; workloads go on."""
    cluster = _one(request, cluster_id)
    revoke_credentials(actor=request.actor, cluster=cluster)  # type: ignore[attr-defined]
    return cluster_manifest(request, cluster_id)


@allow(Action.CLUSTER_DELETE)
@require_POST
def cluster_delete(request: HttpRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """Needs the typed name; what came from here is taken back first, unless ``force`` says not to wait."""
    cluster = _one(request, cluster_id)
    if request.POST.get("typed", "").strip() != cluster.name:
        toast(request, f"{cluster.name} stays", "The typed name was not the cluster's.", "bad")
        return redirect("clusters:cluster_detail", cluster_id)
    force = request.POST.get("force") == "true"
    gone = delete_cluster(actor=request.actor, cluster=cluster, force=force)  # type: ignore[attr-defined]
    detail = "" if gone or force else "Its agent first removes what came from here; one that is away is waited for."
    toast(request, f"{cluster.name} {'was deleted' if gone else 'is being deleted'}", detail)
    return redirect("clusters:cluster_list")
