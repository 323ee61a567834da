"""Reports of pods and events become rows, and find their workload whichever came first."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection
from django.utils import timezone

from agent.wire.reports import EventReport, PodReport
from clusters.reports import clip, latest, moment, read, uid_of
from link.services import InboxItem
from projects.models import Project
from workloads.models import Event, Pod, Workload

POD_KEY = ("cluster", "uid")
POD_COLUMNS = tuple(field.name for field in Pod._meta.fields if field.name not in (*POD_KEY, "id", "deleted_at"))
EVENT_COLUMNS = ("type", "reason", "message", "count", "last_at", "source")
Namespaces = dict[tuple[UUID, str], Project]


def apply_pods(items: list[InboxItem], namespaces: Namespaces) -> None:
    """Upsert the pods of projects' namespaces in one statement; deleted ones keep their row for a while."""
    rows: list[Pod] = []
    gone: list[InboxItem] = []
    for item in latest(items, "Pod"):
        report = read(PodReport, item)
        uid = uid_of(report.uid) if report is not None else None
        if report is None and item.op == "delete":
            gone.append(item)
        elif report is not None and uid is not None:
            project = namespaces.get((item.cluster_id, report.namespace))
            if project is not None:
                rows.append(_pod(item, report, uid, project))
    Pod.objects.bulk_create(rows, update_conflicts=True, unique_fields=POD_KEY, update_fields=POD_COLUMNS)
    for cluster_id in {item.cluster_id for item in gone}:
        uids = [uid for item in gone if item.cluster_id == cluster_id and (uid := uid_of(item.uid))]
        now = timezone.now()
        Pod.objects.filter(cluster_id=cluster_id, uid__in=uids, deleted_at=None).update(deleted_at=now, updated_at=now)
    claim_events({row.uid for row in rows} | {uid for item in items if (uid := uid_of(item.uid))})


def _pod(item: InboxItem, report: PodReport, uid: UUID, project: Project) -> Pod:
    now = timezone.now()
    return Pod(
        cluster_id=item.cluster_id,
        uid=uid,
        workload_id=uid_of(report.workload_id),
        project=project,
        name=clip(report.name, 253),
        namespace=clip(report.namespace, 63),
        phase=clip(report.phase, 16),
        reason=clip(report.reason, 128),
        message=clip(report.message, 4000),
        node=clip(report.node, 253),
        node_pool=clip(report.node_pool, 63),
        simulated=report.simulated,
        ip=clip(report.ip, 45),
        attempt=report.attempt,
        replica_index=report.replica_index,
        containers=list(report.containers),
        image=clip(report.image, 512),
        exit_code=report.exit_code,
        deleting=report.deleting,
        gpu_milli=report.gpu_milli,
        gpu_devices=list(report.gpu_devices),
        cpu_milli=report.cpu_milli,
        memory_bytes=report.memory_bytes,
        pod_group=clip(report.pod_group, 253),
        created_at=moment(report.created_at) or now,
        started_at=moment(report.started_at),
        finished_at=moment(report.finished_at),
        updated_at=now,
        report_seq=item.report_seq,
    )


def apply_events(items: list[InboxItem]) -> None:
    """Upsert the events of projects' namespaces; those whose object is known are given to its workload."""
    found = Project.objects.filter(cluster_id__in={item.cluster_id for item in items})
    namespaces = set(found.values_list("cluster_id", "namespace"))
    rows: list[Event] = []
    for item in latest(items, "Event"):
        report = read(EventReport, item)
        uid = uid_of(report.uid) if report is not None else None
        if report is not None and uid is not None and (item.cluster_id, report.namespace) in namespaces:
            rows.append(_event(item, report, uid))
    Event.objects.bulk_create(rows, update_conflicts=True, unique_fields=POD_KEY, update_fields=EVENT_COLUMNS)
    claim_events({row.object_uid for row in rows if row.object_uid})
    _claim_by_group([row for row in rows if row.kind == "PodGroup"])


def _event(item: InboxItem, report: EventReport, uid: UUID) -> Event:
    now = timezone.now()
    return Event(
        cluster_id=item.cluster_id,
        uid=uid,
        namespace=clip(report.namespace, 63),
        kind=clip(report.kind, 63),
        name=clip(report.name, 253),
        object_uid=uid_of(report.object_uid),
        type=clip(report.type, 16),
        reason=clip(report.reason, 128),
        message=clip(report.message, 4000),
        count=max(1, report.count),
        first_at=moment(report.first_at) or now,
        last_at=moment(report.last_at) or now,
        source=clip(report.source, 253),
    )


def claim_events(object_uids: Iterable[UUID]) -> None:
    """Events without a workload, of pods or workloads that are known by now: two statements, driven by the uids."""
    uids = list(object_uids)
    if not uids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workloads_event e SET workload_id = p.workload_id FROM workloads_pod p "
            "JOIN workloads_workload w ON w.id = p.workload_id "
            "WHERE e.workload_id IS NULL AND e.object_uid = ANY(%s) AND p.cluster_id = e.cluster_id "
            "AND p.uid = e.object_uid",
            [uids],
        )
        cursor.execute(
            "UPDATE workloads_event e SET workload_id = w.id FROM workloads_workload w "
            "WHERE e.workload_id IS NULL AND e.object_uid = ANY(%s) AND w.cluster_id = e.cluster_id "
            "AND w.object_uid = e.object_uid",
            [uids],
        )


def _claim_by_group(events: list[Event]) -> None:
    """A pod group is known by the name that its pods carry."""
    names = {event.name for event in events}
    if not names:
        return
    pods = Pod.objects.filter(pod_group__in=names, workload_id__in=Workload.objects.values("pk"))
    owners = {
        (cluster, namespace, group): workload
        for cluster, namespace, group, workload in pods.values_list(
            "cluster_id", "namespace", "pod_group", "workload_id"
        )
    }
    for event in events:
        owner = owners.get((event.cluster_id, event.namespace, event.name))
        if owner is not None:
            Event.objects.filter(cluster_id=event.cluster_id, uid=event.uid, workload=None).update(workload_id=owner)
