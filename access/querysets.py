"""``visible_to(actor)`` is the only door to reading: forgetting it shows nothing new, since lists begin with it."""

import functools
from typing import Any, ClassVar

from django.db.models import Model, Q, QuerySet

from access.grants import Actor, ancestors
from access.roles import Action


class ScopedQuerySet(QuerySet[Any]):
    """QuerySet of a model that belongs to a scope.

    ``SCOPE_PATH`` is the lookup of the scope's path. ``VISIBLE_FROM_BELOW`` models (clusters, departments) are shown
    to people who hold the action only further down: a researcher sees the department of their project.
    """

    SCOPE_PATH: ClassVar[str] = "scope__path"
    VIEW: ClassVar[Action]
    VISIBLE_FROM_BELOW: ClassVar[bool] = False

    def visible_to(self, actor: Actor, action: Action | None = None) -> "ScopedQuerySet":
        """Rows in whose scope the actor may do ``action`` (default: the model's view action).

        One prefix query; none for who may do it in the whole tenant, so that sorted lists come straight from an index.
        """
        paths = actor.paths(action or self.VIEW)
        if not paths:
            return self.none()
        if is_root(paths[0]) and _always_scoped(self.model, self.SCOPE_PATH):
            return self.all()
        condition = Q()
        for path in paths:
            condition |= Q(**{f"{self.SCOPE_PATH}__startswith": path})
        above = {item for path in paths for item in ancestors(path)}
        if self.VISIBLE_FROM_BELOW and action is None and above:
            condition |= Q(**{f"{self.SCOPE_PATH}__in": sorted(above)})
        return self.filter(condition)


def is_root(path: str) -> bool:
    """``/1/``: the tenant's own scope. Every other one of the schema is below it, so no row needs to be asked."""
    return path.count("/") == 2


@functools.cache
def _always_scoped(model: type[Model], lookup: str) -> bool:
    """Whether no row of the model can be without a scope: no relation on the way to it may be empty."""
    found: Any = model
    for step in lookup.split("__")[:-1]:
        field = found._meta.get_field(step)
        if field.null:
            return False
        found = field.related_model
    return True


def scope_path_of(row: Model) -> str:
    """Path of the scope a row belongs to, following the QuerySet's ``SCOPE_PATH``."""
    value: Any = row
    for step in type(row).objects.all().SCOPE_PATH.split("__"):  # type: ignore[attr-defined]
        value = getattr(value, step)
    return str(value)
