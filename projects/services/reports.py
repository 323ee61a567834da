"""Reports of projects become rows: the namespace's phase, and what the queues hold."""

from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from agent.wire.reports import ProjectReport, QueueReport
from clusters.models import Cluster, Node, NodePool
from clusters.reports import clip, latest, read
from link.services import InboxItem
from projects.documents import publish_all, withdraw
from projects.models import Department, Project, ProjectPhase, Quota
from projects.services.departments import ensure_default_department
from projects.services.projects import remove_project
from projects.services.quotas import add_missing

QUEUE_FIELDS = (
    "allocated_gpu_milli",
    "allocated_non_preemptible_gpu_milli",
    "requested_gpu_milli",
    "fair_share_gpu_milli",
    "allocated_cpu_milli",
    "allocated_memory_bytes",
)


def apply_projects(items: list[InboxItem]) -> None:
    """Two queries to find the rows of a batch, two statements to write them; removed projects go one by one."""
    reports = {(item.cluster_id, item.uid): (item, read(ProjectReport, item)) for item in latest(items, "Project")}
    rows = _rows_by_key({cluster_id for cluster_id, _ in reports})
    changed: list[Project] = []
    quotas: list[Quota] = []
    for item, report in reports.values():
        if report is None:
            _removed(item)
            continue
        project = rows.get((item.cluster_id, report.name))
        if project is None or item.report_seq < project.report_seq:
            continue
        _take(project, item, report)
        changed.append(project)
        quotas += _queue_rows(project, report.queues)
    fields = ["phase", "phase_message", "phase_since", "report_seq", "object_uid"]
    Project.objects.bulk_update(changed, fields)
    Quota.objects.bulk_update(quotas, QUEUE_FIELDS)


def _rows_by_key(cluster_ids: set[UUID]) -> dict[tuple[UUID, str], Project]:
    rows: QuerySet[Project] = Project.objects.filter(cluster_id__in=cluster_ids)
    found = rows.select_related("scope").prefetch_related("quotas__node_pool")
    return {(project.cluster_id, project.name): project for project in found}


def _take(project: Project, item: InboxItem, report: ProjectReport) -> None:
    project.report_seq = item.report_seq
    project.object_uid = item.uid
    phase = report.phase if report.phase in ProjectPhase.values else ProjectPhase.NOT_READY
    if project.delete_requested_at is not None:
        phase = ProjectPhase.DELETING  # what we asked for outlives a report from before it
    if phase != project.phase:
        project.phase_since = timezone.now()
    project.phase = phase
    project.phase_message = clip(report.message, 1024)


def _queue_rows(project: Project, reports: tuple[QueueReport, ...]) -> list[Quota]:
    by_pool = {quota.node_pool.name: quota for quota in project.quotas.all()}
    rows = []
    for report in reports:
        quota = by_pool.get(report.node_pool)
        if quota is not None:
            for name in QUEUE_FIELDS:
                setattr(quota, name, getattr(report, name))
            rows.append(quota)
    return rows


def _removed(item: InboxItem) -> None:
    """The cluster has no such project any more. Ours to forget only if we asked; else its document makes it again."""
    leaving = Project.objects.filter(
        cluster_id=item.cluster_id, object_uid=item.uid, delete_requested_at__isnull=False
    ).select_related("scope", "cluster__scope")
    for project in leaving:
        remove_project(project)


def open_cluster(cluster: Cluster) -> None:
    """What a new cluster needs of this room: the department ``default``."""
    ensure_default_department(cluster)


def add_node_pools(cluster: Cluster) -> None:
    """Every department and project gets a quota row, hence a queue, in node pools that appeared. Safe to repeat."""
    publish_all(_with_names(unit) for unit in add_missing(cluster))


def close_node_pools(cluster: Cluster) -> None:
    """The end of pools that were asked to go and hold no node any more: quotas, documents, and last the row, so that
    a process that dies in between begins again. Inside the caller's transaction; safe to repeat.
    """
    leaving = NodePool.objects.filter(cluster=cluster, delete_requested_at__isnull=False)
    held = Node.objects.filter(cluster=cluster).values("node_pool")
    for pool in leaving.exclude(name__in=held):
        Quota.objects.filter(node_pool=pool).delete()
        for model in (Department, Project):
            for unit in model.objects.filter(cluster=cluster, default_node_pools__contains=[pool.name]):
                unit.default_node_pools = [name for name in unit.default_node_pools if name != pool.name]
                unit.save(update_fields=["default_node_pools"])
        publish_all(Department.objects.filter(cluster=cluster).select_related("scope"))
        projects = Project.objects.filter(cluster=cluster, delete_requested_at=None)
        publish_all(projects.select_related("scope", "department__scope"))
        pool.delete()


def withdraw_cluster(cluster: Cluster) -> None:
    """Take back all documents of this room from a cluster that is leaving. Safe to repeat."""
    if cluster.delete_requested_at is None:
        return
    for project in Project.objects.filter(cluster=cluster).select_related("scope"):
        withdraw(project)
    for department in Department.objects.filter(cluster=cluster).select_related("scope"):
        withdraw(department)


def _with_names(unit: Department | Project) -> Department | Project:
    if isinstance(unit, Project):
        return Project.objects.select_related("scope", "department__scope").get(pk=unit.pk)
    return unit
