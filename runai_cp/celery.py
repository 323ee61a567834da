"""The Celery application. Messages carry ids only and may be lost: the database is the queue."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")

from django.conf import settings

from runai_cp.schedule import BEAT

app = Celery("runai", broker=settings.REDIS_URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_time_limit=120,
    task_soft_time_limit=90,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    # A dead broker must not hold a request: publishing gives up within a second and the sweeper repeats the work.
    broker_transport_options={
        "visibility_timeout": 600,
        "socket_timeout": 5,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": 15,
    },
    beat_schedule=BEAT,
)
app.autodiscover_tasks(
    ["runai_cp.platform", "tenants", "series", "link", "access", "clusters", "projects", "workloads", "usage"]
)
