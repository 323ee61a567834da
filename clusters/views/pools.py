"""Node pools: list, a new one, change, and the request to delete."""

import json
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.guard import allow
from access.idempotency import once
from access.roles import Action
from access.scoping import chosen, cluster_path
from clusters.forms import NodePoolForm, NodePoolUpdateForm
from clusters.models import Cluster, NetworkTopology, Node, NodePool
from clusters.querysets import NodePoolQuerySet, pool_supply
from clusters.services.pools import create_node_pool, delete_node_pool, document_key, update_node_pool
from link import services as link
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.paging import pages
from runai_cp.lib.toasts import toast

LIST = "clusters/node_pool_list.html"


@allow(Action.NODE_POOL_VIEW)
@require_GET
def node_pool_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip()
    rows = _in_scope(request).filter(name__icontains=words)
    page = pages(rows.count(), request.GET.get("page"))
    found = list(rows.with_phase().order_by("cluster_id", "pk")[page.offset : page.offset + page.size])
    nodes = Node.objects.visible_to(request.actor).filter(cluster_id__in={pool.cluster_id for pool in found})  # type: ignore[attr-defined]
    supply = pool_supply(nodes)
    states = _documents(found)
    context = {
        "pools": [
            (pool, supply.get((pool.cluster_id, pool.name), {}), states.get((pool.cluster_id, document_key(pool))))
            for pool in found
        ],
        "empty": sum(pool.phase == "Empty" for pool in found),
        "pages": page,
        "words": words,
    }
    return render_page(request, LIST, context, "live")


def _in_scope(request: HttpRequest) -> NodePoolQuerySet:
    rows = NodePool.objects.visible_to(request.actor).with_cluster()  # type: ignore[attr-defined]
    path = cluster_path(request)
    return rows.filter(cluster__scope__path=path) if path else rows


def _documents(pools: list[NodePool]) -> dict[tuple[uuid.UUID, str], Any]:
    """Whether each cluster has taken its pools' last change; one query a cluster."""
    keys: dict[uuid.UUID, list[str]] = {}
    for pool in pools:
        keys.setdefault(pool.cluster_id, []).append(document_key(pool))
    return {
        (cluster_id, key): status
        for cluster_id, wanted in keys.items()
        for key, status in link.desired_status(cluster_id=cluster_id, keys=wanted).items()
    }


@allow(Action.NODE_POOL_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def node_pool_create(request: HttpRequest) -> HttpResponse:
    clusters = changeable_clusters(request)
    cluster = chosen_cluster(request, clusters)
    form = NodePoolForm(request.POST or None, topologies=topologies_of(cluster))
    if cluster and request.method == "POST" and form.is_valid():
        try:
            _create_once(request, cluster, form)
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, f"Node pool {form.cleaned_data['name']} was made", "Its nodes move in within seconds.")
            return redirect("clusters:node_pool_list")
    context = {"form": form, "cluster": cluster, "clusters": clusters}
    return render_page(request, "clusters/node_pool_form.html", context, status=422 if form.errors else 200)


def _create_once(request: HttpRequest, cluster: Cluster, form: NodePoolForm) -> None:
    """The same form sent twice makes one pool."""
    actor = request.actor  # type: ignore[attr-defined]
    name, values = form.cleaned_data["name"], form.to_values()

    def run() -> tuple[int, Any]:
        return 201, create_node_pool(actor=actor, cluster=cluster, name=name, values=values).pk

    data = {key: str(value) for key, value in form.cleaned_data.items()}
    body = json.dumps(["node-pool", str(cluster.pk), data], sort_keys=True).encode()
    once(actor_id=actor.id, key=form.cleaned_data["idempotency_key"] or str(uuid.uuid4()), request=body, run=run)


def changeable_clusters(request: HttpRequest) -> list[Cluster]:
    """Clusters whose supply the person may change."""
    rows = Cluster.objects.visible_to(request.actor, Action.NODE_POOL_UPDATE).present().with_name()  # type: ignore[attr-defined]
    return list(rows.order_by("created_at")[:20])


def chosen_cluster(request: HttpRequest, clusters: list[Cluster]) -> Cluster | None:
    """Named in the address, else the scope bar's, else the first."""
    wanted, scope = request.GET.get("cluster"), chosen(request).name("cluster")
    named = [item for item in clusters if str(item.pk) == wanted] or [item for item in clusters if item.name == scope]
    return (named or clusters or [None])[0]


def topologies_of(cluster: Cluster | None) -> Any:
    rows = NetworkTopology.objects.order_by("name")
    return rows.filter(cluster=cluster) if cluster else rows.none()


def _one(request: HttpRequest, pool_id: int) -> NodePool:
    rows = NodePool.objects.visible_to(request.actor, Action.NODE_POOL_UPDATE).with_cluster()  # type: ignore[attr-defined]
    found: NodePool = get_object_or_404(rows, pk=pool_id)
    return found


@allow(Action.NODE_POOL_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def node_pool_edit(request: HttpRequest, pool_id: int) -> HttpResponse:
    pool = _one(request, pool_id)
    form = NodePoolUpdateForm(
        request.POST or None, topologies=topologies_of(pool.cluster), initial=NodePoolUpdateForm.values_of(pool)
    )
    form.settle(pool)
    if request.method == "POST" and form.is_valid():
        try:
            update_node_pool(actor=request.actor, pool=pool, values=form.to_values())  # type: ignore[attr-defined]
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, f"Node pool {pool.name} was changed")
            return redirect("clusters:node_pool_list")
    nodes = list(_nodes(pool).values_list("name", flat=True)[:6])
    context = {"form": form, "pool": pool, "cluster": pool.cluster, "nodes": nodes, "node_count": _nodes(pool).count()}
    return render_page(request, "clusters/node_pool_form.html", context, status=422 if form.errors else 200)


def _nodes(pool: NodePool) -> Any:
    return Node.objects.filter(cluster_id=pool.cluster_id, node_pool=pool.name).order_by("name")


@allow(Action.NODE_POOL_UPDATE)
@require_POST
def node_pool_delete(request: HttpRequest, pool_id: int) -> HttpResponse:
    """Needs the typed name; nodes go back to the pool default before the quotas end."""
    pool = _one(request, pool_id)
    if request.POST.get("typed", "").strip() != pool.name:
        toast(request, f"{pool.name} stays", "The typed name was not the node pool's.", "bad")
        return redirect("clusters:node_pool_edit", pool_id)
    try:
        delete_node_pool(actor=request.actor, pool=pool)  # type: ignore[attr-defined]
    except DomainError as error:
        toast(request, f"{pool.name} stays", error.message, "bad")
        return redirect("clusters:node_pool_edit", pool_id)
    toast(request, f"{pool.name} is being deleted", "Its nodes go back to the node pool default; then its quotas end.")
    return redirect("clusters:node_pool_list")
