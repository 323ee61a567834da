"""Reads of the projects room; every list begins with ``visible_to(actor)``."""

from typing import ClassVar

from django.apps import apps
from django.db.models import BigIntegerField, OuterRef, Prefetch, Subquery, Sum
from django.db.models.functions import Coalesce

from access.querysets import ScopedQuerySet
from access.roles import Action


class DepartmentQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "scope__path"
    VIEW: ClassVar[Action] = Action.DEPARTMENT_VIEW
    VISIBLE_FROM_BELOW: ClassVar[bool] = True

    def with_names(self) -> "DepartmentQuerySet":
        return self.select_related("scope", "cluster__scope")

    def with_quota(self) -> "DepartmentQuerySet":
        """Quotas with their node pools, in one query more; and the sums over them."""
        return self.prefetch_related("quotas__node_pool").with_sums()

    def with_sums(self) -> "DepartmentQuerySet":
        """Sums over the pools of quota and allocation, in milli-GPU.

        What a department holds is what its projects hold: its own queues are only their parents.
        """
        return self.annotate(
            gpu_quota_milli=_sum_of("department", "gpu_deserved_milli"),
            gpu_allocated_milli=_sum_of("project__department", "allocated_gpu_milli"),
            gpu_requested_milli=_sum_of("project__department", "requested_gpu_milli"),
            gpu_projects_milli=_sum_of("project__department", "gpu_deserved_milli"),
        )


class ProjectQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "scope__path"
    VIEW: ClassVar[Action] = Action.PROJECT_VIEW

    def with_names(self) -> "ProjectQuerySet":
        return self.select_related("scope", "department__scope", "cluster__scope")

    def with_shared_names(self) -> "ProjectQuerySet":
        """For long lists: two queries more, and one object a department and cluster rather than one a row. Making
        objects is what a list of hundreds of projects costs most."""
        department, cluster = self.model._meta.get_field("department"), self.model._meta.get_field("cluster")
        return self.select_related("scope").prefetch_related(
            Prefetch("department", department.related_model.objects.select_related("scope")),
            Prefetch("cluster", cluster.related_model.objects.select_related("scope")),
        )

    def with_quota(self) -> "ProjectQuerySet":
        """Quotas with their node pools, in one query more; and the sums over them."""
        return self.prefetch_related("quotas__node_pool").with_sums()

    def with_sums(self) -> "ProjectQuerySet":
        """Sums over the pools of quota and allocation, in milli-GPU."""
        return self.annotate(
            gpu_quota_milli=_sum_of("project", "gpu_deserved_milli"),
            gpu_allocated_milli=_sum_of("project", "allocated_gpu_milli"),
        )

    def present(self) -> "ProjectQuerySet":
        return self.filter(delete_requested_at=None)


def with_listed_quotas(rows: DepartmentQuerySet | ProjectQuerySet) -> DepartmentQuerySet | ProjectQuerySet:
    """Quotas with their node pools as the plain list ``listed_quotas``: a prefetched manager makes a QuerySet a row,
    which is a quarter of what a list of three hundred projects costs."""
    quotas = rows.model._meta.get_field("quotas").related_model.objects.prefetch_related("node_pool")
    return rows.prefetch_related(Prefetch("quotas", quotas, to_attr="listed_quotas"))


def _sum_of(owner: str, column: str) -> Coalesce:
    """Sum of a column of the quotas whose ``owner`` is the row: a sub-query, so that no join multiplies rows."""
    quotas = apps.get_model("projects", "Quota").objects.filter(**{owner: OuterRef("pk")})
    total = quotas.order_by().values(owner).annotate(total=Sum(column)).values("total")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), 0)
