"""The rig of the link's tests: one server a module, clusters removed after each test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from tenants.models import Tenant
from tests.link.linkrig import Rig, Server, in_db


@pytest.fixture(scope="module")
def link_server(django_db_setup: None, django_db_blocker: Any, services: Any) -> Iterator[Server]:
    before = settings.LINK_URL
    with django_db_blocker.unblock():
        server = Server.start()
        yield server
        server.stop()
    settings.LINK_URL = before


@pytest.fixture
def rig(link_server: Server, db: None) -> Iterator[Rig]:
    """``db`` is there so that the session has its database; the rig's own work is done in threads and committed."""
    made = Rig(link_server, asyncio.run(in_db(lambda: Tenant.objects.get(name="acme").schema_name)))
    yield made
    asyncio.run(in_db(made.remove))
