"""What a tenant decided about itself; ``access.setting_keys`` says which keys there are and what they may hold."""

from django.db import models


class Setting(models.Model):
    key = models.CharField(max_length=64, primary_key=True)
    value = models.JSONField()
    updated_by = models.CharField(max_length=200)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.key
