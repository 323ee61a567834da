"""The life of a tenant from outside: the platform's host, its credentials, and what deletion leaves."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from link import models as link_rows
from runai_cp.lib.errors import Conflict, Invalid, NotFound
from runai_cp.platform.export import export_tenant
from runai_cp.platform.lifecycle import ask_deletion, delete_tenant, list_tenants, resume_tenant, suspend_tenant
from tenants.models import Domain, Tenant, TenantState
from tenants.schemas import drop_schema, prepare_spares, tables_of, take_spare
from tenants.services import open_tenant
from tests.conftest import Home
from tests.fixtures_rooms import make_cluster

pytestmark = pytest.mark.services
TENANTS = "/api/v1/tenants"
SECRET = "s" * 40
JSON = "application/json"


@pytest.fixture
def platform(db: None, settings: Any, tmp_path: Path) -> Client:
    file = tmp_path / "credentials"
    file.write_text(f"# who may call\nbilling {SECRET}\n")
    settings.PLATFORM_HOST, settings.PLATFORM_CREDENTIALS_FILE = "platform.test", str(file)
    return Client(SERVER_NAME="platform.test", headers={"authorization": f"Bearer {SECRET}"})


@pytest.fixture
def spare(db: None) -> str:
    """A schema with two tables instead of all: what the rooms put into it is theirs to test."""
    connection.set_schema_to_public()
    tenant = Tenant.objects.create(name="short-lived", state=TenantState.READY, schema_name="t_aaaaaaaaaaaaa")
    Domain.objects.create(domain="short.localhost", tenant=tenant, is_primary=True)
    with connection.cursor() as cursor:
        cursor.execute('CREATE SCHEMA "t_aaaaaaaaaaaaa"')
        for number in range(23):
            cursor.execute(f'CREATE TABLE "t_aaaaaaaaaaaaa".table_{number} (id int primary key)')
    return "short-lived"


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {SECRET}", "Bearer ", f"Bearer {SECRET}x"])
def test_nobody_without_a_credential_is_answered(platform: Client, header: str | None) -> None:
    headers = {"authorization": header} if header else {}
    answer = Client(SERVER_NAME="platform.test").get(TENANTS, headers=headers)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_tenants_hosts_do_not_serve_the_platform(platform: Client, acme: Home) -> None:
    assert acme.client().get(TENANTS).status_code == 404


def test_without_a_host_there_is_no_platform(platform: Client, settings: Any) -> None:
    settings.PLATFORM_HOST = ""
    assert platform.get(TENANTS).status_code == 404


def test_short_credentials_open_nothing(platform: Client, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("billing short")
    settings.PLATFORM_CREDENTIALS_FILE = str(tmp_path / "short")
    assert platform.get(TENANTS).status_code == 503


def test_health_needs_no_credential(platform: Client) -> None:
    assert Client(SERVER_NAME="platform.test").get("/healthz").json() == {"status": "ok"}


def test_tenants_are_listed_in_pages(platform: Client) -> None:
    first = platform.get(f"{TENANTS}?limit=1").json()
    rest = platform.get(f"{TENANTS}?limit=1&offset={first['next']}").json()
    assert [row["name"] for row in first["tenants"] + rest["tenants"]] == ["acme", "globex"]
    assert first["tenants"][0]["schema"]["state"] == "current"
    others = Tenant.objects.exclude(schema_name="public").count() - 2  # other tests of the session may leave a tenant
    assert ("next" in rest) is (others > 0)


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?offset=-1", "?limit=x"])
def test_bad_pages_are_refused(platform: Client, query: str) -> None:
    assert platform.get(TENANTS + query).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Bad Name", "domains": ["x.test"], "adminEmail": "a@b.test"}, "name"),
        ({"name": "good", "domains": "x.test", "adminEmail": "a@b.test"}, "domains"),
        ({"name": "good", "domains": [], "adminEmail": "a@b.test"}, "domain"),
        ({"name": "good", "domains": ["http://x"], "adminEmail": "a@b.test"}, "domain"),
        ({"name": "good", "domains": ["x.test"], "adminEmail": "nobody"}, "admin-email"),
        ({"name": "good", "domains": ["x.test"]}, "adminEmail"),
    ],
)
def test_a_bad_tenant_is_refused_at_the_field(platform: Client, body: Any, field: str) -> None:
    answer = platform.post(TENANTS, body, content_type=JSON)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == field
    assert not Tenant.objects.filter(name="good").exists()


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'"name"'])
def test_a_body_that_is_no_object_is_refused(platform: Client, body: bytes) -> None:
    assert platform.post(TENANTS, body, content_type=JSON).status_code == 400


def test_a_taken_name_or_host_is_refused(platform: Client, acme: Home) -> None:
    body = {"name": "acme", "domains": ["x.test"], "adminEmail": "a@b.test"}
    assert platform.post(TENANTS, body, content_type=JSON).status_code == 409
    assert platform.post(TENANTS, body | {"name": "new", "domains": [acme.host]}, content_type=JSON).status_code == 409


def test_a_tenant_is_suspended_and_resumed(platform: Client, acme: Home) -> None:
    one = f"{TENANTS}/{acme.tenant.pk}"
    assert platform.post(f"{one}/suspend").json()["state"] == "suspended"
    assert acme.client().get("/healthz").status_code == 403
    assert platform.post(f"{one}/resume").json()["state"] == "ready"
    assert acme.client().get("/healthz").status_code == 200


def test_the_name_is_typed_again_before_a_deletion(platform: Client, spare: str) -> None:
    tenant = Tenant.objects.get(name=spare)
    assert platform.delete(f"{TENANTS}/{tenant.pk}?name=other").status_code == 400
    assert platform.delete(f"{TENANTS}/{tenant.pk}?name={spare}").status_code == 202
    assert platform.get(f"{TENANTS}/{tenant.pk}").json()["state"] == "deleting"


@pytest.mark.parametrize(("method", "path"), [("post", f"{TENANTS}/1001"), ("put", TENANTS), ("get", f"{TENANTS}/1/x")])
def test_other_methods_are_refused(platform: Client, acme: Home, method: str, path: str) -> None:
    path = path.replace("1001", str(acme.tenant.pk)).replace("/1/x", f"/{acme.tenant.pk}/suspend")
    assert getattr(platform, method)(path).status_code == 405


def test_unknown_tenants_and_actions_are_not_found(platform: Client, acme: Home) -> None:
    assert platform.get(f"{TENANTS}/999999").status_code == 404
    assert platform.post(f"{TENANTS}/{acme.tenant.pk}/explode").status_code == 404


def test_a_deletion_drops_the_schema_in_batches_and_keeps_the_id(spare: str) -> None:
    tenant = ask_deletion(spare, spare)
    assert delete_tenant(tenant) == 23
    assert (tables_of("t_aaaaaaaaaaaaa"), tenant.state) == ([], TenantState.DELETED)
    assert not Domain.objects.filter(domain="short.localhost").exists()
    assert delete_tenant(tenant) == 0
    assert Tenant.objects.filter(pk=tenant.pk).exists()
    with pytest.raises(NotFound):
        suspend_tenant(spare)


def test_a_deletion_that_died_goes_on(spare: str) -> None:
    tenant = ask_deletion(spare, spare)
    with connection.cursor() as cursor:
        cursor.execute('DROP TABLE "t_aaaaaaaaaaaaa".table_3')
    assert delete_tenant(ask_deletion(spare, spare)) == 22
    tenant.refresh_from_db()
    assert tenant.state == TenantState.DELETED


def test_a_deletion_revokes_the_agents_first(acme: Home) -> None:
    cluster = make_cluster()
    connection.set_schema_to_public()
    rows = link_rows.Cluster.objects.filter(pk=cluster.pk)
    rows.update(schema_name="t_aaaaaaaaaaaaa")
    tenant = Tenant.objects.create(name="leaving", state=TenantState.DELETING, schema_name="t_aaaaaaaaaaaaa")
    delete_tenant(tenant)
    assert rows.get().state == "removed"


def test_only_what_was_asked_is_deleted(spare: str) -> None:
    with pytest.raises(Invalid):
        ask_deletion(spare, "")
    with pytest.raises(ValueError, match="public"):
        drop_schema("public")
    assert len(tables_of("t_aaaaaaaaaaaaa")) == 23


def test_a_deleted_tenant_cannot_come_back(spare: str) -> None:
    ask_deletion(spare, spare)
    for act in (suspend_tenant, resume_tenant):
        with pytest.raises(Conflict):
            act(spare)


def test_the_list_costs_the_same_for_many(acme: Home, django_assert_num_queries: Any) -> None:
    connection.set_schema_to_public()
    assert Tenant.objects.exists()  # and the search path is set
    with django_assert_num_queries(4):
        assert [row.tenant.name for row in list_tenants()][:2] == ["acme", "globex"]


def test_an_export_holds_rows_and_no_secret(acme: Home, tmp_path: Path) -> None:
    manifest = export_tenant(acme.tenant, tmp_path / "out")
    users = manifest["tables"]["access_user"]
    assert users["rows"] >= 4 and "password" in users["leftOutColumns"]
    with gzip.open(tmp_path / "out" / users["file"], "rt") as file:
        first = json.loads(file.readline())
    assert "password" not in first and "@" in first["email"]
    assert "django_session" not in manifest["tables"]
    assert (tmp_path / "out" / "manifest.json").stat().st_mode & 0o077 == 0
    with pytest.raises(Conflict):
        export_tenant(acme.tenant, tmp_path / "out")


def test_an_export_comes_over_the_platforms_api_as_one_archive(platform: Client, acme: Home) -> None:
    answer = platform.get(f"{TENANTS}/{acme.tenant.pk}/export")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(b"".join(answer.streaming_content))) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        users = manifest["tables"]["access_user"]
        rows = gzip.decompress(archive.extractfile(users["file"]).read())  # type: ignore[union-attr]
    assert names[-1] == "manifest.json"
    assert set(names[:-1]) == {table["file"] for table in manifest["tables"].values()}
    assert (rows.count(b"\n"), sha256(rows).hexdigest()) == (users["rows"], users["sha256"])
    assert b'"password"' not in rows


def test_an_export_is_of_a_tenant_that_is_there_and_only_read(platform: Client, acme: Home) -> None:
    assert platform.get(f"{TENANTS}/999999/export").status_code == 404
    assert platform.post(f"{TENANTS}/{acme.tenant.pk}/export").status_code == 405


def test_a_new_tenant_takes_a_spare_schema(db: None) -> None:
    connection.set_schema_to_public()
    assert prepare_spares(1) == 1 and prepare_spares(1) == 0
    tenant = open_tenant(name="quick", domains=("quick.test",))
    assert "access_user" in tables_of(tenant.schema_name)
    assert take_spare() is None
