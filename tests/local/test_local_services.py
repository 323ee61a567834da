"""The stores of a test session: real servers, reached by the settings' variables, and a role that RLS binds."""

import socket
from urllib.parse import urlsplit

import psycopg
import pytest

from local.testing import Services

pytestmark = pytest.mark.services


def test_the_application_role_is_no_superuser_and_owns_its_database(services: Services) -> None:
    with psycopg.connect(services.database_url) as connection:
        row = connection.execute(
            "SELECT r.rolsuper, r.rolbypassrls, pg_get_userbyid(d.datdba) = current_user "
            "FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()"
        ).fetchone()
    assert row == (False, False, True)


def test_row_level_security_binds_the_owner_when_forced(services: Services) -> None:
    with psycopg.connect(services.database_url) as connection:
        connection.execute("CREATE TEMP TABLE fact (tenant text)")
        connection.execute("INSERT INTO fact VALUES ('ours'), ('theirs')")
        connection.execute("ALTER TABLE fact ENABLE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE fact FORCE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY mine ON fact USING (tenant = 'ours')")
        assert connection.execute("SELECT tenant FROM fact").fetchall() == [("ours",)]


def test_valkey_answers(services: Services) -> None:
    parts = urlsplit(services.redis_url)
    with socket.create_connection((parts.hostname, parts.port), 2) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(16).startswith(b"+PONG")
