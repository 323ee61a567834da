"""Wake a task by name after commit. The database is the queue: a lost nudge is repeated by a sweeper."""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def nudge(task_name: str, *args: object) -> None:
    """Send ``task_name(*args)`` after commit. A broker that is down costs latency, never the request."""

    def send() -> None:
        try:
            current_app.send_task(task_name, args=args, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("nudge %s not sent: %s", task_name, error)

    transaction.on_commit(send)
