"""A role that an administrator of the tenant put together from permission sets."""

from django.db import models
from django.db.models.functions import Lower

FIRST_ID = 1000
"""Numbers below are the predefined roles'."""
LAST_ID = 2**31 - 1
"""The public API has them as int32."""


class Role(models.Model):
    """``permission_sets`` names entries of ``access.permission_sets``; ``cluster_role`` what its subjects get there."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    enabled = models.BooleanField(default=True)
    permission_sets = models.JSONField(default=list)
    cluster_role = models.CharField(max_length=32, blank=True)
    """``administrator``, ``researcher``, ``viewer`` or empty: no rights with kubectl."""
    created_by = models.CharField(max_length=200)
    updated_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="role_name_once")]

    def __str__(self) -> str:
        return self.name
