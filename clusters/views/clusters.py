"""Clusters: the list, a new one, its page with the connect steps, the manifest, and the end."""

import json
import re
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.guard import allow
from access.idempotency import once
from access.permissions import require
from access.roles import Action
from access.scoping import narrow
from access.services.scopes import root_scope
from clusters.forms import ClusterForm, ClusterUpdateForm
from clusters.models import Cluster
from clusters.services import create_cluster, delete_cluster, deletion_impact, install_manifest, statuses
from clusters.services.clusters import revoke_credentials, update_cluster
from clusters.states import State
from link import services as link
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.paging import pages
from runai_cp.lib.toasts import toast

ARRIVED = 5
"""Step of a cluster that has told of a node."""


@allow(Action.CLUSTER_VIEW)
@require_GET
def cluster_list(request: HttpRequest) -> HttpResponse:
    rows = narrow(request, Cluster.objects.visible_to(request.actor)).with_name()  # type: ignore[attr-defined]
    page = pages(rows.count(), request.GET.get("page"))
    found = list(rows.with_supply().order_by("created_at")[page.offset : page.offset + page.size])
    states = statuses(found)
    context = {
        "clusters": [(c, states[c.pk], states[c.pk].state == State.DISCONNECTED) for c in found],
        "connected": sum(states[cluster.pk].healthy for cluster in found),
        "silent": [c for c in found if states[c.pk].state == State.DISCONNECTED],
        "pages": page,
        "may_create": request.actor.allows(Action.CLUSTER_CREATE, root_scope().path),  # type: ignore[attr-defined]
    }
    return render_page(request, "clusters/cluster_list.html", context, "live")


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
    """Needs the typed name; what runs in a connected cluster is taken back first."""
    cluster = _one(request, cluster_id)
    if request.POST.get("typed", "").strip() != cluster.name:
        toast(request, f"{cluster.name} stays", "The typed name was not the cluster's.", "bad")
        return redirect("clusters:cluster_detail", cluster_id)
    gone = delete_cluster(actor=request.actor, cluster=cluster)  # type: ignore[attr-defined]
    detail = "" if gone else "Its agent first removes what came from here; this takes up to two minutes."
    toast(request, f"{cluster.name} {'was deleted' if gone else 'is being deleted'}", detail)
    return redirect("clusters:cluster_list")
