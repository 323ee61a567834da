"""Another spec for a workload that there is: the same name, project and kind of work, everything else as asked.

What the cluster does with it is the operator's: inference replaces its pods one after the other, others take limits and
rules at once and the rest with their next attempt.
"""

from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from agent.wire.phases import Phase
from clusters.services.clusters import not_safe
from link import services as link
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from workloads.models import DesiredPhase, Workload
from workloads.services.rows import document, document_key, spec_columns, spec_of
from workloads.services.submit import check_place, compiled
from workloads.specs.phases import ENDED
from workloads.specs.request import SubmitRequest, to_json

FIXED = ("type", "framework", "workers")
"""What a workload is: another of these is another workload."""


@transaction.atomic
def replace_workload(*, actor: Actor, workload: Workload, request: SubmitRequest) -> Workload:
    """Whether it is suspended stays as it is. Safe to repeat: an equal spec makes no news for the cluster.

    Raises ``Invalid`` with the request's attribute names as fields, ``NotAllowed``, and ``Conflict`` for what has
    ended, is being deleted or was made with kubectl, and in safe mode.
    """
    require(actor, Action.WORKLOAD_UPDATE, workload.project.scope)
    row: Workload = Workload.objects.with_names().select_for_update(of=("self",)).get(pk=workload.pk)
    _may_change(row)
    request = replace(request, name=row.name, name_is_prefix=False, project_id=str(row.project_id))
    spec, before = compiled(request), spec_of(row)
    wrong = [name for name in FIXED if getattr(spec, name) != getattr(before, name)]
    if wrong:
        message = "cannot change: that is another workload, submit it"
        raise Invalid(*(FieldError(name, message, getattr(spec, name)) for name in wrong))
    check_place(request, row.project)
    spec = replace(spec, suspend=before.suspend, display_name=before.display_name)
    columns = spec_columns(spec, request.category) | {"request": to_json(request), "updated_at": timezone.now()}
    for name, value in columns.items():
        setattr(row, name, value)
    row.generation += 1
    row.save(update_fields=[*columns, "generation"])
    record(
        actor=actor,
        action="update",
        entity_type="workload",
        entity_id=row.pk,
        entity_name=row.name,
        scope_path=row.project.scope.path,
        before={"image": before.image},
        after={"image": spec.image},
    )
    link.put_desired(cluster_id=row.cluster_id, key=document_key(row), body=document(row, spec))
    return row


def _may_change(row: Workload) -> None:
    not_safe(row.cluster)
    if not row.managed:
        raise Conflict(f"{row.name} was made with kubectl: change it there.")
    if row.desired_phase == DesiredPhase.DELETED or row.deleted_at is not None:
        raise Conflict(f"{row.name} is being deleted.")
    if Phase(row.phase) in ENDED:
        raise Conflict(f"{row.name} has ended ({row.phase}); clone it with what is to be different.")
