"""One JSON object a log line, stamped with the tenant's schema and the request's id."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

from django.db import connection

request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "schema": getattr(connection, "schema_name", None),
            "request": request_id.get() or None,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in entry.items() if value is not None}, default=str)
