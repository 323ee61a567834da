"""Reads of the workloads room; every list begins with ``visible_to(actor)``."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Count, Q, Sum

from access.querysets import ScopedQuerySet
from access.roles import Action
from agent.wire.phases import FINAL

CLUSTER_DOCUMENTS = ("cluster__roles", "cluster__dependencies", "cluster__conditions")
"""Reports of the cluster: kilobytes that would be sent and parsed again with every row."""


class WorkloadQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "project__scope__path"
    VIEW: ClassVar[Action] = Action.WORKLOAD_VIEW

    def present(self) -> "WorkloadQuerySet":
        """In the cluster, on the way there, or on the way out: everything but the deleted ones."""
        return self.filter(deleted_at=None)

    def deleted(self) -> "WorkloadQuerySet":
        return self.filter(deleted_at__isnull=False)

    def unfinished(self) -> "WorkloadQuerySet":
        return self.present().exclude(phase__in=FINAL)

    def with_names(self) -> "WorkloadQuerySet":
        """Project, department and cluster with their names: three joins, no query per row."""
        return self.select_related("project__scope", "project__department__scope", "cluster__scope")

    def for_list(self) -> "WorkloadQuerySet":
        """What a list shows: names joined, the large documents left in the database."""
        return self.with_names().defer("request", "conditions", *CLUSTER_DOCUMENTS)

    def window(self, offset: int, size: int, *left_out: str) -> list[Any]:
        """One page of a list, in the order of this query, without the columns ``left_out``. Two queries.

        The keys first: PostgreSQL then sorts ten thousand keys, and joins names to fifty rows.
        """
        keys = list(self.values_list("pk", flat=True)[offset : offset + size])
        rows = self.model.objects.filter(pk__in=keys).for_list().defer(*left_out).in_bulk()
        return [rows[key] for key in keys if key in rows]

    def impact(self) -> dict[str, int]:
        """What is lost if all of these go: ``{"Running": 2, "Pending": 1}``, deleted ones left out."""
        rows = self.present().order_by().values_list("phase").annotate(number=Count("id"))
        return dict(rows)

    def by_project(self) -> dict[int, dict[str, int]]:
        """Project id → present workloads by phase: one grouped query for a page of projects."""
        rows = self.present().order_by().values_list("project_id", "phase").annotate(number=Count("id"))
        counts: dict[int, dict[str, int]] = {}
        for project_id, phase, number in rows:
            counts.setdefault(project_id, {})[phase] = number
        return counts

    def gpu_totals(self) -> dict[str, int]:
        """``requested`` and ``allocated`` milli-GPU of the unfinished ones."""
        found = self.unfinished().aggregate(
            requested=Sum("requested_gpu_milli", default=0), allocated=Sum("allocated_gpu_milli", default=0)
        )
        return {key: int(value) for key, value in found.items()}


class PodQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "project__scope__path"
    VIEW: ClassVar[Action] = Action.WORKLOAD_VIEW

    def of(self, workload_id: UUID) -> "PodQuerySet":
        """Pods of a workload: newest attempt first, then by replica."""
        return self.filter(workload_id=workload_id).order_by("-attempt", "replica_index", "pk")

    def present(self) -> "PodQuerySet":
        return self.filter(deleted_at=None)

    def on_node(self, cluster_id: UUID, node: str) -> "PodQuerySet":
        return self.filter(cluster_id=cluster_id, node=node, deleted_at=None).exclude(phase__in=("Succeeded", "Failed"))

    def with_names(self) -> "PodQuerySet":
        return self.select_related("project__scope", "workload")


class EventQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "workload__project__scope__path"
    VIEW: ClassVar[Action] = Action.WORKLOAD_VIEW

    def of(self, workload_id: UUID) -> "EventQuerySet":
        return self.filter(workload_id=workload_id).order_by("-last_at", "-pk")

    def warnings(self) -> "EventQuerySet":
        return self.filter(~Q(type="Normal"))
