"""An access rule: this subject has this role on this scope and everything below it, for ever or until a time."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from access.models.role import Role
from access.models.scope import Scope


class SubjectKind(models.TextChoices):
    USER = "user"
    APPLICATION = "application"
    GROUP = "group"


class RuleQuerySet(models.QuerySet["AccessRule"]):
    def in_force(self) -> "RuleQuerySet":
        """Rules that grant something now: not removed, not expired."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now()), deleted_at=None)


class LiveRules(models.Manager["AccessRule"]):
    """Rules that were not removed; ``AccessRule.ever`` has the others too."""

    def get_queryset(self) -> RuleQuerySet:
        return RuleQuerySet(self.model, using=self._db).filter(deleted_at=None)


class AccessRule(models.Model):
    subject_kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    subject_id = models.UUIDField()
    subject_name = models.CharField(max_length=254)
    """E-mail of a user or name of an application, as it was when the rule was made: for lists and for RoleBindings."""
    role = models.CharField(max_length=64)
    """Key of a predefined role, or ``custom-<id>`` beside ``custom_role``."""
    custom_role = models.ForeignKey(Role, null=True, on_delete=models.PROTECT, related_name="rules")
    scope = models.ForeignKey(Scope, on_delete=models.CASCADE, related_name="rules")
    expires_at = models.DateTimeField(null=True, db_index=True)
    created_by = models.CharField(max_length=200)
    updated_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)

    objects = LiveRules()
    ever: ClassVar = models.Manager.from_queryset(RuleQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id", "role", "scope"],
                condition=models.Q(deleted_at=None),
                name="access_rule_live_once",
            )
        ]
        indexes = [models.Index(fields=["subject_kind", "subject_id"], name="access_rule_subject")]

    def __str__(self) -> str:
        return f"{self.subject_name}: {self.role}"
