"""A database of its own with the series tables and two tenants' schemas, made by the migration's own SQL."""

import os
import uuid
from collections.abc import Iterator
from importlib import import_module
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest


def _url(name: str) -> str:
    url = os.environ.get("RUNAI_DATABASE_URL")
    if not url:
        pytest.skip("RUNAI_DATABASE_URL is not set")
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def series_url() -> Iterator[str]:
    name = f"series_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(_url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        tables = import_module("series.migrations.0001_tables")
        with psycopg.connect(_url(name), autocommit=True) as conn:
            for statements in (tables.TABLES, tables.POLICIES, tables.PARTITIONS):
                conn.execute(statements)
            conn.execute("CREATE SCHEMA acme; CREATE SCHEMA globex")
        yield _url(name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def conn(series_url: str) -> Iterator[psycopg.Connection]:
    """A connection as the link has it, in the public schema; everything is rolled back."""
    with psycopg.connect(series_url) as connection:
        connection.execute("SET search_path = public")
        yield connection
        connection.rollback()
