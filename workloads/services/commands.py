"""Acts on what kubectl made: sent as commands, and taken back where the cluster could not carry them out."""

from django.db import transaction
from django.utils import timezone

from agent.wire.commands import Kind
from agent.wire.phases import Phase
from link import services as link
from workloads.models import DesiredPhase, PhaseChange, Workload

COMMAND_SECONDS = 24 * 3600
"""How long an act waits for a cluster that is away."""
ACTS = (Phase.STOPPING, Phase.RESUMING, Phase.DELETING)
WORDS = {Phase.STOPPING: "suspend", Phase.RESUMING: "resume", Phase.DELETING: "delete"}
BATCH = 500


def send_act(workload: Workload, kind: Kind, body: dict[str, object]) -> None:
    """Owe the cluster an act and remember which. The caller's transaction holds the row, whose project is loaded."""
    target = {"namespace": workload.project.namespace, "name": workload.object_name, "uid": str(workload.object_uid)}
    workload.command_id = link.send_command(
        cluster_id=workload.cluster_id, kind=kind, body={**target, **body}, start_within_s=COMMAND_SECONDS
    )
    Workload.objects.filter(pk=workload.pk).update(command_id=workload.command_id)


def settle_acts() -> int:
    """Look at acts under way; one that failed is undone in the row, with the cluster's words. Swept by beat.

    Safe to repeat: a settled row has no command any more. Returns how many failed.
    """
    waiting = Workload.objects.filter(command_id__isnull=False).order_by("pk")
    rows = list(waiting.values_list("pk", "command_id", "cluster_id")[:BATCH])
    clusters = {cluster_id for _, _, cluster_id in rows}
    known = link.command_status(command_ids=[command_id for _, command_id, _ in rows], cluster_ids=clusters)
    failed = 0
    for key, command_id, _ in rows:
        status = known.get(command_id)
        if status is not None and not status.ended:
            continue
        if status is None or status.state == "succeeded":
            Workload.objects.filter(pk=key, command_id=command_id).update(command_id=None)
        else:
            _undo(key, f"{status.output or status.code or status.state}")
            failed += 1
    return failed


@transaction.atomic
def _undo(key: object, why: str) -> None:
    row = Workload.objects.select_for_update().get(pk=key)
    row.command_id = None
    if row.phase in ACTS and row.deleted_at is None:
        turns = PhaseChange.objects.filter(workload=row).exclude(phase__in=ACTS).order_by("-at", "-pk")
        before = turns.first()
        act, row.phase = WORDS[Phase(row.phase)], before.phase if before else Phase.UNKNOWN
        row.message = f"The cluster could not {act} it: {why}"
        suspended = row.spec.get("suspend") is True and row.phase == Phase.STOPPED
        row.desired_phase = DesiredPhase.STOPPED if suspended else DesiredPhase.RUNNING
        row.phase_since = row.updated_at = timezone.now()
        PhaseChange.objects.create(workload=row, at=row.phase_since, phase=row.phase, message=row.message)
    row.save()
