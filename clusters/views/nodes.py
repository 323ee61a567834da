"""Nodes: where the GPUs are, which are taken, and what says so."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from access.guard import allow
from access.lists import render_list
from access.roles import Action
from access.scoping import cluster_path
from clusters.models import Node, NodePool
from clusters.querysets import NodeQuerySet, pool_supply
from clusters.tables import NODES_TABLE, node_word
from runai_cp.lib import polling
from runai_cp.lib.htmx import render_page


@allow(Action.NODE_VIEW)
@require_GET
def node_list(request: HttpRequest) -> HttpResponseBase:
    rows = _in_scope(request)
    filters = NODES_TABLE.ask(request.GET).query.filters
    pool = next((one.value for one in filters if (one.field, one.operator) == ("pool", "==")), "")
    return render_list(
        request,
        NODES_TABLE,
        rows,
        "clusters/node_list.html",
        partial="live",
        dress=_with_cells,
        summary=lambda found: _supply(request, rows) | {"pool": pool},
    )


def _with_cells(rows: list[Any]) -> None:
    """Give each row ``cells``, one a device."""
    for row in rows:
        row.cells = gpu_cells(row)


def _supply(request: HttpRequest, rows: NodeQuerySet) -> dict[str, Any]:
    cards = _pools(request, rows)
    return {"pools": cards, **_facts(cards)}


def _in_scope(request: HttpRequest) -> NodeQuerySet:
    rows = Node.objects.visible_to(request.actor).with_cluster()  # type: ignore[attr-defined]
    path = cluster_path(request)
    return rows.filter(cluster__scope__path__startswith=path) if path else rows


def _pools(request: HttpRequest, rows: NodeQuerySet) -> list[dict[str, Any]]:
    """One card a pool: nodes and GPUs, allocated and free and out of service. Two queries."""
    supply = pool_supply(rows)
    pools = NodePool.objects.visible_to(request.actor).with_cluster().order_by("cluster_id", "name")  # type: ignore[attr-defined]
    path = cluster_path(request)
    if path:
        pools = pools.filter(cluster__scope__path__startswith=path)
    cards = []
    for pool in pools:
        found = supply.get((pool.cluster_id, pool.name), {})
        total, used = found.get("gpu_allocatable_milli", 0) or 0, found.get("gpu_allocated_milli", 0) or 0
        cards.append(
            {
                "name": pool.name,
                "touched": max(pool.updated_at, pool.delete_requested_at or pool.updated_at),
                "cluster": pool.cluster.name,
                "nodes": found.get("nodes", 0),
                "ready": found.get("ready", 0),
                "total": total,
                "used": used,
                "free": max(0, total - used),
                "parts": {"in": used, "free": max(0, total - used)},
            }
        )
    return cards


def _facts(cards: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "all_nodes": sum(card["nodes"] for card in cards),
        "ready_nodes": sum(card["ready"] for card in cards),
        "all_gpus": sum(card["total"] for card in cards),
        "used_gpus": sum(card["used"] for card in cards),
        "many": len({card["cluster"] for card in cards}) > 1,
        "every": polling.every(card["touched"] for card in cards),
    }


def gpu_cells(node: Node) -> list[Mapping[str, Any]]:
    """One cell a device, from the report; a node that is not ready has its devices out of service."""
    off = node.status != "Ready"
    devices = {int(device.get("index", 0)): device for device in node.devices}
    cells = []
    for index in range(node.gpu_count):
        device = devices.get(index, {})
        milli = int(device.get("allocatedMilli", 0))
        state = "off" if off else "in" if milli > 0 else "free"
        cells.append({"state": state, "milli": milli, "index": index, "pods": device.get("pods", [])})
    return cells


@allow(Action.NODE_VIEW)
@require_GET
def node_detail(request: HttpRequest, node_id: int) -> HttpResponse:
    node = get_object_or_404(Node.objects.visible_to(request.actor).with_cluster(), pk=node_id)  # type: ignore[attr-defined]
    every = polling.every((node.updated_at,))
    context = {"node": node, "word": node_word(node), "cells": gpu_cells(node), "every": every}
    return render_page(request, "clusters/node_detail.html", context, "live")
