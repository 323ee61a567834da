"""Connections of the link process: an async pool for the loop, a sync one for the metrics threads."""

from __future__ import annotations

from typing import Any

from django.db import connections
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

Conn = AsyncConnection[Any]
Pool = AsyncConnectionPool[Conn]

POOL_SIZE = 10
"""Enough for hundreds of polls a second: each uses a connection for milliseconds."""
_OPTIONS = "-c search_path=public -c statement_timeout=15000 -c idle_in_transaction_session_timeout=30000"


def _conninfo(name: str) -> str:
    database = connections["default"].settings_dict
    return make_conninfo(
        dbname=database["NAME"],
        user=database["USER"] or None,
        password=database["PASSWORD"] or None,
        host=database["HOST"] or None,
        port=database["PORT"] or None,
        options=_OPTIONS,
        application_name=name,
        connect_timeout=5,
    )


def open_pool() -> Pool:
    """Not opened yet. Held polls use none of it."""
    kwargs: dict[str, Any] = {"autocommit": True, "row_factory": namedtuple_row}
    return AsyncConnectionPool(
        _conninfo("runai-link"),
        connection_class=AsyncConnection[Any],
        kwargs=kwargs,
        min_size=1,
        max_size=POOL_SIZE,
        timeout=5.0,
        max_waiting=500,
        max_idle=120.0,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )


def open_metrics_pool() -> ConnectionPool[Connection[Any]]:
    """For ``series.ingest``, which works in threads."""
    return ConnectionPool(_conninfo("runai-link-metrics"), min_size=0, max_size=2, timeout=10.0, open=True)
