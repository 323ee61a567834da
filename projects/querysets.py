"""Reads of the projects room; every list begins with ``visible_to(actor)``."""

from typing import ClassVar

from django.db.models import Sum

from access.querysets import ScopedQuerySet
from access.roles import Action


class DepartmentQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "scope__path"
    VIEW: ClassVar[Action] = Action.DEPARTMENT_VIEW
    VISIBLE_FROM_BELOW: ClassVar[bool] = True

    def with_names(self) -> "DepartmentQuerySet":
        return self.select_related("scope", "cluster__scope")

    def with_quota(self) -> "DepartmentQuerySet":
        """Quotas with their node pools, in one query more; and ``gpu_quota_milli`` summed over them."""
        return self.prefetch_related("quotas__node_pool").annotate(
            gpu_quota_milli=Sum("quotas__gpu_deserved_milli", default=0)
        )


class ProjectQuerySet(ScopedQuerySet):
    SCOPE_PATH: ClassVar[str] = "scope__path"
    VIEW: ClassVar[Action] = Action.PROJECT_VIEW

    def with_names(self) -> "ProjectQuerySet":
        return self.select_related("scope", "department__scope", "cluster__scope")

    def with_quota(self) -> "ProjectQuerySet":
        """Quotas with their node pools, in one query more; and the sums over them."""
        return self.prefetch_related("quotas__node_pool").annotate(
            gpu_quota_milli=Sum("quotas__gpu_deserved_milli", default=0),
            gpu_allocated_milli=Sum("quotas__allocated_gpu_milli", default=0),
        )

    def present(self) -> "ProjectQuerySet":
        return self.filter(delete_requested_at=None)
