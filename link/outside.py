"""What the composition root decides for this room, found by name at run time: the topic table and the Celery app."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)
DEBOUNCE_S = 0.1


def topic_tasks() -> dict[str, str]:
    """Topic of the inbox → task name; the task takes the tenant's schema name."""
    table: dict[str, str] = import_string("runai_cp.topics.TOPICS")
    return table


class Nudger:
    """Wakes the tasks that empty the inbox, at most one message per tenant and topic in a tenth of a second.

    A message that is lost costs two seconds: the sweeper finds the rows.
    """

    def __init__(self) -> None:
        self._tasks = topic_tasks()
        self._celery: Any = import_string("runai_cp.celery.app")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nudge")
        self._planned: set[tuple[str, str]] = set()
        self._not_before = 0.0

    def nudge(self, schema_name: str, topics: set[str]) -> None:
        """Call from the event loop, after the commit."""
        loop = asyncio.get_running_loop()
        for topic in topics:
            key = (schema_name, topic)
            if topic in self._tasks and key not in self._planned:
                self._planned.add(key)
                loop.call_later(DEBOUNCE_S, self._fire, key)

    def _fire(self, key: tuple[str, str]) -> None:
        self._planned.discard(key)
        if time.monotonic() >= self._not_before:
            self._thread.submit(self._send, self._tasks[key[1]], key[0])

    def _send(self, task: str, schema_name: str) -> None:
        try:
            self._celery.send_task(task, args=(schema_name,), retry=False)
        except (OperationalError, OSError) as error:
            self._not_before = time.monotonic() + 2.0
            log.warning("nudge %s not sent, the sweeper repeats it: %s", task, type(error).__name__)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
