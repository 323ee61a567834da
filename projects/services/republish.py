"""Documents again as this release makes them: those of units that nobody has saved since they would come out otherwise.

A release that says more about a project, or a change above it whose message was lost, reaches every cluster so without
a person who saves. Equal bodies cost no revision, so it is safe to repeat, and to stop anywhere. A cluster in safe mode
is left as it is: it gets what it missed after that.
"""

import logging

from django.db import transaction

from clusters.models import Cluster
from projects.documents import publish_department, publish_project
from projects.models import Department, Project

log = logging.getLogger(__name__)
BATCH = 100
"""Projects in one transaction: so long another who saves in the same department waits."""


def republish() -> int:
    """Every department and project of the tenant whose cluster stays. Returns how many documents were looked at.

    A department that cannot be published is written to the log and keeps no other from its turn.
    """
    clusters = Cluster.objects.present().filter(safe_mode=False)
    count = 0
    for pk in Department.objects.filter(cluster__in=clusters).order_by("pk").values_list("pk", flat=True):
        try:
            count += republish_department(pk)
        except Exception:
            log.exception("department %s was not published again", pk)
    return count


def republish_department(pk: int) -> int:
    """A department and its projects, in batches.

    Rows are locked before they are read, projects before their department as every save does: a document is never older
    than the one it follows, and nobody waits for one who waits for him.
    """
    with transaction.atomic():
        department = _locked(pk)
        if department is None:
            return 0
        publish_department(department)
    last, count = 0, 1
    while True:
        with transaction.atomic():
            rows = Project.objects.select_for_update(of=("self",)).filter(
                department_id=pk, delete_requested_at=None, pk__gt=last
            )
            batch = list(rows.select_related("scope").order_by("pk")[:BATCH])
            department = _locked(pk)
            if department is None:
                return count
            for project in batch:
                project.department = department
                publish_project(project)
        count += len(batch)
        if len(batch) < BATCH:
            return count
        last = batch[-1].pk


def _locked(pk: int) -> Department | None:
    rows = Department.objects.select_for_update(of=("self",)).select_related("scope")
    return rows.filter(pk=pk, delete_requested_at=None).first()
