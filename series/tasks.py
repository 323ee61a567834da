"""The hourly care of the series tables. Every step may be lost or run twice: it looks at what is there first."""

from datetime import UTC, datetime

from celery import shared_task

from series import services
from series.ingest import KEEP_DAYS
from tenants.context import in_tenant, ready_schemas


@shared_task(name="series.tasks.maintain")
def maintain() -> None:
    """Partitions ahead, old days away, and series without samples forgotten tenant by tenant."""
    today = datetime.now(UTC).date()
    services.make_partitions(today)
    services.drop_partitions(today, KEEP_DAYS)
    for schema in ready_schemas():
        with in_tenant(schema):
            services.prune(KEEP_DAYS)
