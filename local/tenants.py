"""Customers of a local stack: created once with ``manage.py create_tenant``; their secrets kept with mode 0600."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.control_plane import Place, manage
from local.files import read_json, write_json
from local.options import tenant_address, tenant_name


@dataclass(frozen=True)
class Tenant:
    """A customer and how to reach it: ``console`` is for browsers, ``api`` for programs (without ``/api/v1``)."""

    name: str
    host: str
    address: str
    email: str
    password: str
    application: str
    secret: str

    def console(self, port: int) -> str:
        return f"http://{self.host}:{port}"

    def api(self, port: int) -> str:
        return f"http://{self.address}:{port}"

    def document(self, port: int) -> dict[str, Any]:
        """The part of the ``up --json`` document that is about this tenant."""
        return {
            "tenant": self.name,
            "console": self.console(port),
            "api": self.api(port),
            "admin": {"email": self.email, "password": self.password},
            "application": {"id": self.application, "secret": self.secret},
        }


def ensure_tenant(place: Place, index: int) -> Tenant:
    """Create tenant number ``index`` unless its secrets are known for this database."""
    name, address = tenant_name(index), tenant_address(index)
    host, email = f"{name}.localhost", f"admin@{name}.example"
    path = secrets_file(place.directory)
    known = read_json(path) or {}
    key = f"{name}@{place.database_url.rpartition('@')[2]}"
    if key not in known:
        out = manage(
            place, "create_tenant", name, "--domain", host, "--domain", address, "--admin-email", email, "--json"
        )
        known = {**(read_json(path) or {}), key: json.loads(out.strip().splitlines()[-1])}
        write_json(path, known)
    made = known[key]
    return Tenant(
        name=name,
        host=host,
        address=address,
        email=made["admin"]["email"],
        password=made["admin"]["password"],
        application=made["application"]["id"],
        secret=made["application"]["secret"],
    )


def secrets_file(directory: Path) -> Path:
    return directory / "secrets" / "tenants.json"
