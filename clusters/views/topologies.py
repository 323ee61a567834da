"""Network topologies: which there are, a new one, and each as the tree of places that its nodes stand in."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.guard import allow
from access.lists import render_list, run_bulk
from access.roles import Action
from access.scoping import cluster_path
from clusters.forms import TopologyForm
from clusters.models import NetworkTopology, Node
from clusters.services.topologies import create_topology, delete_topology
from clusters.tables import TOPOLOGIES_DELETE, TOPOLOGIES_TABLE
from clusters.views.pools import changeable_clusters, chosen_cluster
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast

MOST_NODES = 2000
"""Nodes that one tree draws."""


@dataclass(slots=True)
class Place:
    """A block, rack or host and what stands in it; milli-GPU."""

    name: str
    level: str = ""
    nodes: list[Node] = field(default_factory=list)
    """Of the last level only."""
    places: dict[str, "Place"] = field(default_factory=dict)
    count: int = 0
    ready: int = 0
    total: int = 0
    used: int = 0

    @property
    def below(self) -> list["Place"]:
        return [self.places[name] for name in sorted(self.places)]


def tree(levels: list[str], nodes: list[Node]) -> tuple[Place, list[Node]]:
    """The places of all nodes that carry every level's label, and the nodes that lack one. Pure."""
    root, outside = Place(""), []
    for node in nodes:
        names = [node.labels.get(level) for level in levels]
        if not all(names):
            outside.append(node)
            continue
        place = root
        _count(place, node)
        for level, name in zip(levels, names, strict=True):
            place = place.places.setdefault(str(name), Place(str(name), level))
            _count(place, node)
        place.nodes.append(node)
    return root, outside


def _count(place: Place, node: Node) -> None:
    place.count += 1
    place.ready += node.status == "Ready" and not node.unschedulable
    place.total += node.gpu_allocatable_milli
    place.used += node.gpu_allocated_milli


@allow(Action.NODE_POOL_VIEW)
@require_GET
def topology_list(request: HttpRequest) -> HttpResponseBase:
    may_delete = request.actor.allows_somewhere(Action.NODE_POOL_UPDATE)  # type: ignore[attr-defined]
    return render_list(
        request,
        TOPOLOGIES_TABLE,
        _in_scope(request),
        "clusters/topology_list.html",
        bulk=(TOPOLOGIES_DELETE,) if may_delete else (),
        bulk_url="/topologies/bulk",
    )


def _in_scope(request: HttpRequest) -> Any:
    rows = NetworkTopology.objects.visible_to(request.actor).listed()  # type: ignore[attr-defined]
    path = cluster_path(request)
    return rows.filter(cluster__scope__path=path) if path else rows


@allow(Action.NODE_POOL_UPDATE)
@require_POST
def topology_bulk(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    return run_bulk(
        request,
        TOPOLOGIES_TABLE,
        _in_scope(request),
        lambda row: delete_topology(actor=actor, topology=row),
        label="Delete network topologies",
        back="/topologies/",
    )


def _one(request: HttpRequest, topology_id: UUID, action: Action | None = None) -> NetworkTopology:
    rows = NetworkTopology.objects.visible_to(request.actor, action).listed()  # type: ignore[attr-defined]
    found: NetworkTopology = get_object_or_404(rows, pk=topology_id)
    return found


@allow(Action.NODE_POOL_VIEW)
@require_GET
def topology_detail(request: HttpRequest, topology_id: UUID) -> HttpResponse:
    topology = _one(request, topology_id)
    actor, path = request.actor, topology.cluster.scope.path  # type: ignore[attr-defined]
    rows = Node.objects.visible_to(actor).filter(cluster_id=topology.cluster_id).order_by("name")
    nodes = list(rows[: MOST_NODES + 1])
    root, outside = tree(topology.levels, nodes[:MOST_NODES])
    context = {
        "topology": topology,
        "root": root,
        "outside": outside,
        "cut": len(nodes) > MOST_NODES,
        "most": MOST_NODES,
        "may_delete": actor.allows(Action.NODE_POOL_UPDATE, path),
    }
    return render_page(request, "clusters/topology_detail.html", context, "live")


@allow(Action.NODE_POOL_UPDATE)
@require_http_methods(["GET", "HEAD", "POST"])
def topology_create(request: HttpRequest) -> HttpResponse:
    clusters = changeable_clusters(request)
    cluster = chosen_cluster(request, clusters)
    form = TopologyForm(request.POST or None)
    if cluster and request.method == "POST" and form.is_valid():
        data: dict[str, Any] = form.cleaned_data
        try:
            made = create_topology(
                actor=request.actor,  # type: ignore[attr-defined]
                cluster=cluster,
                name=data["name"],
                levels=form.levels(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            toast(request, f"Network topology {made.name} was made")
            return redirect("clusters:topology_detail", made.pk)
    context = {"form": form, "cluster": cluster, "clusters": clusters}
    return render_page(request, "clusters/topology_form.html", context, status=422 if form.errors else 200)


@allow(Action.NODE_POOL_UPDATE)
@require_POST
def topology_delete(request: HttpRequest, topology_id: UUID) -> HttpResponse:
    topology = _one(request, topology_id, Action.NODE_POOL_UPDATE)
    try:
        delete_topology(actor=request.actor, topology=topology)  # type: ignore[attr-defined]
    except DomainError as error:
        toast(request, f"{topology.name} stays", error.message, "bad")
        return redirect("clusters:topology_detail", topology_id)
    toast(request, f"{topology.name} was deleted")
    return redirect("clusters:topology_list")
