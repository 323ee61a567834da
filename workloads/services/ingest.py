"""Reports of workloads become rows: locked, judged by ``specs.phases``, and written in two statements a batch.

Safe to repeat: reports are absolute and older ones are stale. Acts of a person on the same row wait for the lock.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from agent.wire import codec
from agent.wire.objects import WorkloadSpec
from agent.wire.phases import FINAL, Phase
from agent.wire.reports import WorkloadReport
from clusters.reports import clip, latest, moment, read, uid_of
from link import services as link
from link.services import InboxItem
from projects.models import Project
from workloads.models import DesiredPhase, PhaseChange, Source, Workload
from workloads.services.lifecycle import mark_deleted
from workloads.services.pods import apply_pods
from workloads.services.rows import document_key, spec_columns
from workloads.specs.phases import Seen, Verdict, judge

log = logging.getLogger(__name__)

REPORTED = (
    "object_uid",
    "report_seq",
    "phase",
    "phase_since",
    "message",
    "reasons",
    "conditions",
    "running_pods",
    "ready_pods",
    "failed_attempts",
    "allocated_gpu_milli",
    "node_pools",
    "started_at",
    "completed_at",
    "updated_at",
)
"""Columns a report may write; what a person asked for is not among them."""
SPEC_COLUMNS = tuple(spec_columns(WorkloadSpec(type="training", image="")))


@dataclass(frozen=True, slots=True)
class Told:
    item: InboxItem
    report: WorkloadReport
    id: UUID


Namespaces = dict[tuple[UUID, str], Project]


def apply_reports(items: list[InboxItem]) -> None:
    """One batch of the topic ``workloads``: workloads first, so that pods find theirs."""
    namespaces = project_namespaces({item.cluster_id for item in items})
    newest = latest(items, "Workload")
    told = [entry for entry in map(_told, newest) if entry is not None]
    rows = _lock(told)
    changes: list[PhaseChange] = []
    written: dict[UUID, Workload] = {}
    for entry in told:
        row = _row_for(entry, rows, namespaces)
        if row is None or not _take(row, entry, changes):
            continue
        written[row.pk] = row
    _write(list(written.values()), changes)
    _deleted([item for item in newest if item.op == "delete"])
    apply_pods(items, namespaces)


def project_namespaces(cluster_ids: set[UUID]) -> Namespaces:
    found = Project.objects.filter(cluster_id__in=cluster_ids).only("id", "cluster_id", "namespace")
    return {(project.cluster_id, project.namespace): project for project in found}


def _told(item: InboxItem) -> Told | None:
    report = read(WorkloadReport, item)
    identity = uid_of(report.id) or uid_of(report.uid) if report is not None else None
    return Told(item, report, identity) if report is not None and identity is not None else None


def _lock(told: list[Told]) -> dict[UUID, Workload]:
    """Rows of the batch by id, held in the order of their ids so that two batches cannot wait for each other."""
    ids = {entry.id for entry in told} | {uid for entry in told if (uid := uid_of(entry.report.uid))}
    rows = Workload.objects.filter(pk__in=ids).select_related("project").select_for_update(of=("self",)).order_by("pk")
    return {row.pk: row for row in rows}


def _row_for(entry: Told, rows: dict[UUID, Workload], namespaces: Namespaces) -> Workload | None:
    """The row a report is about, or a new one for what kubectl made in a project's namespace."""
    report, cluster_id = entry.report, entry.item.cluster_id
    row = rows.get(entry.id)
    if row is not None and _is_about(row, entry):
        return row
    own = uid_of(report.uid)
    row = rows.get(own) if own else None
    if row is not None:
        return row if _is_about(row, entry) else None
    project = namespaces.get((cluster_id, report.namespace))
    if project is None or own is None or (report.managed and entry.id not in rows):
        return None  # no project of ours, or a document of ours whose row is gone
    rows[own] = _new(entry, own, project)
    return rows[own]


def _is_about(row: Workload, entry: Told) -> bool:
    """A copied manifest carries a copied id: cluster, namespace and name must be right too."""
    report = entry.report
    same_place = row.cluster_id == entry.item.cluster_id and row.project.namespace == report.namespace
    return same_place and row.object_name == report.name


def _new(entry: Told, key: UUID, project: Project) -> Workload:
    created = moment(entry.report.created_at) or timezone.now()
    return Workload(
        id=key,
        name=clip(entry.report.name, 253),
        object_name=clip(entry.report.name, 253),
        project=project,
        cluster_id=entry.item.cluster_id,
        managed=False,
        source=Source.OTHER,
        submitted_by=clip(entry.report.submitted_by, 254),
        phase=Phase.CREATING,
        phase_since=created,
        created_at=created,
        **spec_columns(_spec(entry.report)),
    )


def _spec(report: WorkloadReport) -> WorkloadSpec:
    try:
        return codec.from_dict(WorkloadSpec, report.spec)
    except (ValueError, TypeError):
        return WorkloadSpec(type=str(report.spec.get("type", "training"))[:16], image=str(report.spec.get("image", "")))


def _take(row: Workload, entry: Told, changes: list[PhaseChange]) -> bool:
    """Write a report into its row; False when it is stale or the object is not the row's any more."""
    report = entry.report
    seen = Seen(Phase(row.phase), row.message, row.desired_phase, row.report_seq)
    verdict = judge(seen, report, entry.item.report_seq)
    if verdict is None or row.deleted_at is not None:
        return False
    now = timezone.now()
    since = _since(row, verdict, report, now)
    if verdict.turned or not row.report_seq:
        changes.append(PhaseChange(workload=row, at=since, phase=verdict.phase, message=verdict.message))
    for name, value in _columns(entry, verdict, now).items():
        setattr(row, name, value)
    row.phase_since = since
    if not row.managed:
        _adopt_spec(row, report)
    return True


def _since(row: Workload, verdict: Verdict, report: WorkloadReport, now: datetime) -> datetime:
    if not verdict.turned:
        return row.phase_since
    return moment(report.phase_since) or now


def _columns(entry: Told, verdict: Verdict, now: datetime) -> dict[str, Any]:
    report = entry.report
    return {
        "object_uid": uid_of(report.uid),
        "report_seq": entry.item.report_seq,
        "phase": verdict.phase,
        "message": clip(verdict.message, 4000),
        "reasons": codec.to_dict(report.reasons),
        "conditions": codec.to_dict(report.conditions),
        "running_pods": report.running_pods,
        "ready_pods": report.ready_pods,
        "failed_attempts": report.failed_attempts,
        "allocated_gpu_milli": report.allocated_gpu_milli,
        "node_pools": list(report.node_pools),
        "started_at": moment(report.started_at),
        "completed_at": moment(report.completed_at),
        "updated_at": now,
    }


def _adopt_spec(row: Workload, report: WorkloadReport) -> None:
    """What kubectl made is kubectl's to change: its spec, and whether it shall run."""
    for name, value in spec_columns(_spec(report)).items():
        setattr(row, name, value)
    if row.desired_phase != DesiredPhase.DELETED and row.phase not in (Phase.STOPPING, Phase.RESUMING):
        suspended = report.spec.get("suspend") is True
        row.desired_phase = DesiredPhase.STOPPED if suspended else DesiredPhase.RUNNING


def _write(rows: list[Workload], changes: list[PhaseChange]) -> None:
    """All rows exist and are held, or are new: one upsert writes the reported columns of each."""
    managed = [row for row in rows if row.managed]
    foreign = [row for row in rows if not row.managed]
    for group, columns in ((managed, REPORTED), (foreign, (*REPORTED, *SPEC_COLUMNS, "desired_phase"))):
        Workload.objects.bulk_create(group, update_conflicts=True, unique_fields=["id"], update_fields=columns)
    PhaseChange.objects.bulk_create(changes)


def _deleted(items: list[InboxItem]) -> None:
    """Objects that are gone. One of ours that nobody here deleted (time to live, kubectl) takes its document along.

    Unless that were many at once: then the report is doubted rather than the cluster emptied, the documents stay, and
    what is really gone is made again from them.
    """
    for cluster_id in {item.cluster_id for item in items}:
        uids = [uid for item in items if item.cluster_id == cluster_id and (uid := uid_of(item.uid))]
        rows = Workload.objects.filter(cluster_id=cluster_id, object_uid__in=uids, deleted_at=None)
        gone = list(rows.select_for_update(of=("self",)).order_by("pk"))
        unasked = [row for row in gone if row.managed and row.desired_phase != DesiredPhase.DELETED]
        running = [row for row in unasked if row.phase not in FINAL]
        if len(running) > _plausible(cluster_id):
            log.warning("cluster %s reports %s workloads gone that run: not believed", cluster_id, len(running))
            unasked = [row for row in unasked if row.phase in FINAL]
            gone = [row for row in gone if row not in running]
        mark_deleted([row.pk for row in gone])
        for row in unasked:
            link.delete_desired(cluster_id=cluster_id, key=document_key(row))


def _plausible(cluster_id: UUID) -> int:
    """How many unfinished workloads may vanish in one batch without anybody here having asked."""
    present = Workload.objects.unfinished().filter(cluster_id=cluster_id, managed=True).count()
    return max(10, present // 5)
