"""Reports of clusters and nodes become rows. Called by tasks with what the inbox held; see ``clusters.reports``."""

from uuid import UUID

from django.db import connection
from django.utils import timezone

from agent.wire import codec
from agent.wire.reports import ClusterReport, NodeReport
from clusters.models import Cluster, Node, NodePool
from clusters.reports import clip, latest, moment, read, uid_of
from link.services import InboxItem
from runai_cp.lib.nudge import nudge

KEY = ("cluster", "uid")
UPDATED = tuple(field.name for field in Node._meta.fields if field.name not in (*KEY, "id"))


def apply_nodes(items: list[InboxItem]) -> None:
    """Upsert and delete nodes: two statements for the batch, and one more for node pools seen first."""
    known = set(Cluster.objects.filter(pk__in={item.cluster_id for item in items}).values_list("pk", flat=True))
    rows, gone = [], []
    for item in latest(items, "Node"):
        if item.cluster_id not in known:
            continue
        report = read(NodeReport, item)
        if report is not None:
            rows.append(_node(item, report))
        elif item.op == "delete":
            gone.append(item)
    rows = [row for row in rows if row.uid is not None]
    for cluster_id in {item.cluster_id for item in gone}:
        uids = [uid_of(item.uid) for item in gone if item.cluster_id == cluster_id]
        Node.objects.filter(cluster_id=cluster_id, uid__in=[uid for uid in uids if uid]).delete()
    Node.objects.bulk_create(rows, update_conflicts=True, unique_fields=KEY, update_fields=UPDATED)
    _add_pools({(row.cluster_id, row.node_pool) for row in rows})


def apply_clusters(items: list[InboxItem]) -> None:
    """The last report of each cluster: one update a cluster."""
    for item in latest(items, "Cluster"):
        report = read(ClusterReport, item)
        if report is None:
            continue
        Cluster.objects.filter(pk=item.cluster_id).update(
            report_seq=item.report_seq,
            reported_at=timezone.now(),
            agent_version=clip(report.agent_version, 64),
            kubernetes_version=clip(report.kubernetes_version, 64),
            platform=clip(report.platform, 32),
            runs_as=clip(report.runs_as, 16),
            roles=codec.to_dict(report.roles),
            dependencies=codec.to_dict(report.dependencies),
            conditions=codec.to_dict(report.conditions),
            updated_at=timezone.now(),
        )
        _add_pools({(item.cluster_id, pool) for pool in report.node_pools})


def _add_pools(seen: set[tuple[UUID, str]]) -> None:
    """Node pools appear with the first node that names them; projects then get their quota of 0 in them."""
    clusters = {cluster_id for cluster_id, _ in seen}
    known = set(NodePool.objects.filter(cluster_id__in=clusters).values_list("cluster_id", "name"))
    present = set(Cluster.objects.filter(pk__in=clusters).values_list("pk", flat=True))
    new = sorted((pair for pair in seen - known if pair[1] and pair[0] in present), key=str)
    if not new:
        return
    NodePool.objects.bulk_create(
        [
            NodePool(cluster_id=cluster_id, name=clip(name, 63), label_value=clip(name, 63), created_by="system")
            for cluster_id, name in new
        ],
        ignore_conflicts=True,
    )
    for cluster_id in sorted({cluster_id for cluster_id, _ in new}):
        nudge("projects.tasks.add_node_pools", connection.schema_name, str(cluster_id))


def _node(item: InboxItem, report: NodeReport) -> Node:
    return Node(
        cluster_id=item.cluster_id,
        uid=uid_of(report.uid),
        name=clip(report.name, 253),
        node_pool=clip(report.node_pool, 63),
        status=clip(report.status, 16),
        simulated=report.simulated,
        unschedulable=report.unschedulable,
        gpu_type=clip(report.gpu_type, 128),
        gpu_memory_mib=report.gpu_memory_mib,
        gpu_count=report.gpu_count,
        gpu_allocatable_milli=report.gpu_allocatable_milli,
        gpu_allocated_milli=report.gpu_allocated_milli,
        cpu_allocatable_milli=report.cpu_allocatable_milli,
        cpu_allocated_milli=report.cpu_allocated_milli,
        memory_allocatable_bytes=report.memory_allocatable_bytes,
        memory_allocated_bytes=report.memory_allocated_bytes,
        pods=report.pods,
        devices=codec.to_dict(report.devices),
        conditions=codec.to_dict(report.conditions),
        taints=codec.to_dict(report.taints),
        labels=dict(report.labels),
        kubelet_version=clip(report.kubelet_version, 64),
        node_created_at=moment(report.created_at) or timezone.now(),
        report_seq=item.report_seq,
        updated_at=timezone.now(),
    )
