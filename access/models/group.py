"""A group of people, ours or the identity provider's; access rules may name it."""

from django.db import models
from django.db.models.functions import Lower

from access.models.user import User
from runai_cp.lib.models import BaseModel


class GroupOrigin(models.TextChoices):
    LOCAL = "local"
    PROVIDER = "identity-provider"


class Group(BaseModel):
    """Members of a provider's group are set at each sign-in; those of a local one by an administrator."""

    name = models.CharField(max_length=253)
    origin = models.CharField(max_length=24, choices=GroupOrigin.choices, default=GroupOrigin.LOCAL)
    description = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=200, blank=True)
    members = models.ManyToManyField(User, related_name="user_groups", through="GroupMember")

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="group_name_once")]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    group = models.ForeignKey(Group, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "group"], name="group_member_once")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id}"
