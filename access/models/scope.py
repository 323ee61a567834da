"""The tree that access rules, and later assets and policies, attach to: tenant ▸ cluster ▸ department ▸ project."""

from django.db import models


class ScopeKind(models.TextChoices):
    TENANT = "tenant"
    CLUSTER = "cluster"
    DEPARTMENT = "department"
    PROJECT = "project"


class Scope(models.Model):
    """One node of the tree. The object's name is stored here only, so that it cannot drift.

    ``ref`` is the owner's public id (cluster uuid, department or project number); ``path`` is ``/1/4/9/``.
    """

    kind = models.CharField(max_length=16, choices=ScopeKind.choices)
    name = models.CharField(max_length=253)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    path = models.CharField(max_length=255, unique=True)
    ref = models.CharField(max_length=64, blank=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["parent", "kind", "name"], name="scope_name_once_under_parent"),
            models.UniqueConstraint(fields=["kind"], condition=models.Q(kind="tenant"), name="scope_one_root"),
        ]
        indexes = [models.Index(fields=["path"], name="scope_path_prefix", opclasses=["varchar_pattern_ops"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
