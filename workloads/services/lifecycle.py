"""Suspend, resume, delete: acts of a person, by compare-and-set on the row's generation. Repeating one changes nothing.

What came down the link is changed through its document; what kubectl made, through a command.
"""

from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from agent.wire import codec
from agent.wire.commands import Kind
from agent.wire.phases import Phase
from clusters.models import Cluster
from clusters.services.clusters import not_safe
from link import services as link
from projects.models import Project
from projects.services.projects import finish_removal
from runai_cp.lib.errors import Conflict
from workloads.models import DesiredPhase, PhaseChange, Workload
from workloads.querysets import WorkloadQuerySet
from workloads.services.commands import send_act
from workloads.services.rows import document, document_key, spec_of
from workloads.specs.phases import MESSAGES, may_resume, may_suspend

BATCH = 500


@transaction.atomic
def suspend_workload(*, actor: Actor, workload: Workload) -> Workload:
    """Its pods end, its GPUs come free, its spec stays. Raises ``Conflict`` for what has ended or is being deleted, and
    in safe mode.
    """
    require(actor, Action.WORKLOAD_UPDATE, workload.project.scope)
    workload = _locked(workload.pk)
    not_safe(workload.cluster)
    if may_suspend(Phase(workload.phase), workload.desired_phase):
        return _set_suspend(actor, workload, suspend=True)
    if workload.phase in (Phase.STOPPING, Phase.STOPPED):
        return workload
    raise Conflict(f"{workload.name} is {workload.phase}: only what runs or waits can be suspended.")


@transaction.atomic
def resume_workload(*, actor: Actor, workload: Workload) -> Workload:
    """New pods of the same spec, queued again. Raises ``Conflict`` for what has ended or is being deleted, and in safe
    mode.
    """
    require(actor, Action.WORKLOAD_UPDATE, workload.project.scope)
    workload = _locked(workload.pk)
    not_safe(workload.cluster)
    if may_resume(Phase(workload.phase), workload.desired_phase):
        return _set_suspend(actor, workload, suspend=False)
    if may_suspend(Phase(workload.phase), workload.desired_phase):
        return workload  # it runs or waits already
    raise Conflict(f"{workload.name} is {workload.phase}: only a suspended workload can be resumed; clone this one.")


def _set_suspend(actor: Actor, workload: Workload, *, suspend: bool) -> Workload:
    phase = Phase.STOPPING if suspend else Phase.RESUMING
    desired = DesiredPhase.STOPPED if suspend else DesiredPhase.RUNNING
    spec = replace(spec_of(workload), suspend=suspend)
    _turn(workload, phase, desired, spec=codec.to_dict(spec))
    _record(actor, "suspend" if suspend else "resume", workload)
    if workload.managed:
        link.put_desired(cluster_id=workload.cluster_id, key=document_key(workload), body=document(workload, spec))
    else:
        send_act(workload, Kind.WORKLOAD_SUSPEND, {"suspend": suspend})
    return workload


@transaction.atomic
def delete_workload(*, actor: Actor, workload: Workload) -> Workload:
    """Its pods end and the object goes; the row stays, in the list of the deleted. Safe to repeat. Raises ``Conflict``
    in safe mode.
    """
    require(actor, Action.WORKLOAD_DELETE, workload.project.scope)
    workload = _locked(workload.pk)
    if workload.desired_phase == DesiredPhase.DELETED or workload.deleted_at is not None:
        return workload
    not_safe(workload.cluster)
    _record(actor, "delete", workload)
    _let_go(workload)
    return workload


def _let_go(workload: Workload) -> None:
    """From here on the workload is on its way out. The caller holds the row."""
    _turn(workload, Phase.DELETING, DesiredPhase.DELETED)
    if not workload.managed:
        send_act(workload, Kind.WORKLOAD_DELETE, {})
    elif link.delete_desired(cluster_id=workload.cluster_id, key=document_key(workload)) == 0:
        mark_deleted([workload.pk])  # it never was in a document, so nothing will report its end


def _locked(workload_id: UUID) -> Workload:
    """The row, held until the transaction ends, so that a report cannot slip between reading and writing."""
    rows = Workload.objects.with_names().select_for_update(of=("self",))
    found: Workload = rows.get(pk=workload_id)
    return found


def _turn(workload: Workload, phase: Phase, desired: DesiredPhase, **columns: object) -> None:
    now = timezone.now()
    written = {
        "phase": phase,
        "phase_since": now,
        "message": MESSAGES[phase],
        "reasons": [],
        "desired_phase": desired,
        "generation": workload.generation + 1,
        "updated_at": now,
        **columns,
    }
    if Workload.objects.filter(pk=workload.pk, generation=workload.generation).update(**written) != 1:
        raise Conflict(f"{workload.name} was changed by somebody else at the same moment; look again.")
    for name, value in written.items():
        setattr(workload, name, value)
    PhaseChange.objects.create(workload=workload, at=now, phase=phase, message=MESSAGES[phase])


def _record(actor: Actor, action: str, workload: Workload) -> None:
    record(
        actor=actor,
        action=action,
        entity_type="workload",
        entity_id=workload.pk,
        entity_name=workload.name,
        scope_path=workload.project.scope.path,
        before={"phase": workload.phase},
    )


def mark_deleted(workload_ids: list[UUID]) -> int:
    """The cluster holds no such objects any more. Their pods are gone with them."""
    now = timezone.now()
    gone = Workload.objects.filter(pk__in=workload_ids, deleted_at=None)
    return gone.update(
        deleted_at=now,
        updated_at=now,
        desired_phase=DesiredPhase.DELETED,
        running_pods=0,
        ready_pods=0,
        allocated_gpu_milli=0,
        message="Deleted.",
    )


def finish_deletions() -> int:
    """Deleted documents that the cluster has removed without an object to report on. Swept by beat; safe to repeat."""
    leaving = Workload.objects.present().filter(desired_phase=DesiredPhase.DELETED, managed=True)
    done = 0
    for cluster_id in list(leaving.order_by().values_list("cluster_id", flat=True).distinct()):
        ids = list(leaving.filter(cluster_id=cluster_id).values_list("pk", flat=True)[:BATCH])
        known = link.desired_status(cluster_id=cluster_id, keys=[f"workload/{pk}" for pk in ids])
        gone = [pk for pk in ids if f"workload/{pk}" not in known or known[f"workload/{pk}"].applied]
        done += mark_deleted(gone)
    return done


@transaction.atomic
def withdraw_project(project: Project) -> int:
    """Take back every workload of a project that is being deleted, then let the project go. Safe to repeat."""
    if project.delete_requested_at is None:
        return 0
    number = _withdraw(Workload.objects.filter(project=project))
    finish_removal(project)
    return number


@transaction.atomic
def withdraw_cluster(cluster: Cluster) -> int:
    """Take back every workload of a cluster that is leaving. Safe to repeat."""
    return _withdraw(Workload.objects.filter(cluster=cluster)) if cluster.delete_requested_at is not None else 0


def _withdraw(rows: WorkloadQuerySet) -> int:
    going = rows.present().with_names().exclude(desired_phase=DesiredPhase.DELETED)
    number = 0
    for workload in going.select_for_update(of=("self",)).order_by("pk"):
        if workload.managed:
            _let_go(workload)
        else:
            _turn(workload, Phase.DELETING, DesiredPhase.DELETED)  # it goes with its namespace
        number += 1
    return number
