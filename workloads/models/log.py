"""Which log stream is of which workload, so that a stream's id alone opens nobody else's log."""

from django.db import models

from workloads.models.workload import Workload


class LogStream(models.Model):
    id = models.UUIDField(primary_key=True)
    """The link's id of the stream."""
    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="log_streams")
    opened_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return str(self.id)
