"""An access rule: this subject has this role on this scope and everything below it."""

from django.db import models

from access.models.scope import Scope


class SubjectKind(models.TextChoices):
    USER = "user"
    APPLICATION = "application"


class AccessRule(models.Model):
    subject_kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    subject_id = models.UUIDField()
    subject_name = models.CharField(max_length=254)
    """E-mail of a user or name of an application, as it was when the rule was made: for lists and for RoleBindings."""
    role = models.CharField(max_length=64)
    scope = models.ForeignKey(Scope, on_delete=models.CASCADE, related_name="rules")
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject_kind", "subject_id", "role", "scope"], name="access_rule_once")
        ]
        indexes = [models.Index(fields=["subject_kind", "subject_id"], name="access_rule_subject")]

    def __str__(self) -> str:
        return f"{self.subject_name}: {self.role}"
