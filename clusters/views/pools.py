"""Node pools: list, a new one, change, and the request to delete."""

import json
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.grants import Actor
from access.guard import allow
from access.idempotency import once
from access.lists import Impact, render_list, run_bulk
from access.roles import Action
from access.scoping import chosen, cluster_path
from clusters.forms import NodePoolForm, NodePoolUpdateForm
from clusters.models import Cluster, NetworkTopology, Node, NodePool
from clusters.querysets import NodePoolQuerySet, pool_supply
from clusters.services.pools import create_node_pool, delete_node_pool, document_key, update_node_pool
from clusters.tables import NODE_POOLS_DELETE, NODE_POOLS_TABLE
from link import services as link
from runai_cp.lib import polling
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

LIST = "/node-pools/"
GPU_WORDS = ("allocatable", "allocated")


@allow(Action.NODE_POOL_VIEW)
@require_GET
def node_pool_list(request: HttpRequest) -> HttpResponseBase:
    actor = request.actor  # type: ignore[attr-defined]
    return render_list(
        request,
        NODE_POOLS_TABLE,
        _in_scope(request).with_phase(),
        "clusters/node_pool_list.html",
        bulk=(NODE_POOLS_DELETE,) if actor.allows_somewhere(Action.NODE_POOL_UPDATE) else (),
        bulk_url=f"{LIST}bulk",
        partial="live",
        dress=lambda rows: _dress(actor, rows),
        summary=_summary,
    )


def _summary(found: Any) -> dict[str, int]:
    """How many there are and how many are empty, and how often the page asks again."""
    rows = list(found.order_by().values_list("phase", "updated_at", "delete_requested_at"))
    empty = sum(phase == "Empty" for phase, *_ in rows)
    return {"total": len(rows), "empty": empty, "every": polling.every(at for _, *touched in rows for at in touched)}


def _dress(actor: Actor, pools: list[Any]) -> None:
    """Give each pool its ``supply`` (``pool_supply``), and ``document``: whether its cluster has taken the last change.
    One query, and one a cluster."""
    nodes = Node.objects.visible_to(actor).filter(cluster_id__in={pool.cluster_id for pool in pools})
    supply, documents = pool_supply(nodes), _documents(pools)
    for pool in pools:
        pool.supply = supply.get((pool.cluster_id, pool.name), {})
        pool.document = documents.get((pool.cluster_id, document_key(pool)))


@allow(Action.NODE_POOL_UPDATE)
@require_POST
def node_pool_bulk(request: HttpRequest) -> HttpResponse:
    """Delete many, after a page that says what stands in each."""
    actor = request.actor  # type: ignore[attr-defined]
    return run_bulk(
        request,
        NODE_POOLS_TABLE,
        _in_scope(request).with_phase(),
        lambda row: delete_node_pool(actor=actor, pool=row),
        label="Delete node pools",
        back=LIST,
        impact=lambda rows: _impact(actor, rows),
    )


def _impact(actor: Actor, rows: list[Any]) -> Impact:
    _dress(actor, rows)
    return Impact(
        "Their nodes go back to the node pool default; then the quotas that projects have in them end. "
        "This cannot be undone.",
        ("nodes", "GPUs", "GPUs allocated"),
        [
            (row.supply.get("nodes", 0), *(row.supply.get(f"gpu_{word}_milli", 0) / 1000 for word in GPU_WORDS))
            for row in rows
        ],
    )


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
