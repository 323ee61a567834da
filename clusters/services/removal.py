"""The rows of a cluster that is gone: batch after batch, whatever rooms they belong to, and last the cluster itself."""

from collections.abc import Iterator

from django.db import transaction
from django.db.models import Model

from access.models import Scope
from access.services.scopes import remove_scope
from clusters.models import Cluster

BATCH = 200
SMALL = 1000
"""Rows that a request may delete while somebody waits."""


def size(cluster: Cluster) -> int:
    """How many rows refer to the cluster directly; counted up to a little over ``SMALL`` a table."""
    return sum(len(model.objects.filter(cluster=cluster).values("pk")[: SMALL + 1]) for model in _models())


def forget_rows(cluster: Cluster) -> int:
    """Delete what refers to the cluster, ``BATCH`` rows a transaction; returns how many. Safe to die within."""
    done = 0
    for model in _models():
        while True:
            with transaction.atomic():
                keys = list(model.objects.filter(cluster=cluster).order_by("pk").values_list("pk", flat=True)[:BATCH])
                if not keys:
                    break
                model.objects.filter(pk__in=keys).delete()
            done += len(keys)
    return done


def forget(cluster: Cluster) -> None:
    """The cluster with all that is left of it: rows first (they hold the scopes), then scopes from the leaves up, with
    their access rules. Inside the caller's transaction.
    """
    path = cluster.scope.path
    cluster.delete()
    below = sorted(Scope.objects.filter(path__startswith=path), key=lambda scope: -scope.path.count("/"))
    for scope in below:
        remove_scope(scope)


def _models() -> Iterator[type[Model]]:
    """Models of any room with a foreign key ``cluster``; those that others of them refer to come last."""
    relations = [item for item in Cluster._meta.get_fields(include_hidden=True) if item.one_to_many]
    found = {relation.related_model for relation in relations if relation.field.name == "cluster"}

    def depth(model: type[Model]) -> int:
        above = [field.related_model for field in model._meta.fields if field.related_model in found - {model}]
        return 1 + max((depth(item) for item in above), default=0)

    return iter(sorted(found, key=lambda model: (-depth(model), model.__name__)))
