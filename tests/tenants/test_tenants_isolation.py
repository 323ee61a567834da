"""Tenants are opened whole or not at all, and their schemas are entered on purpose only."""

import pytest
from django.db import connection
from django_tenants.utils import tenant_context

from access.models import AuditEntry, User
from runai_cp.lib.errors import Conflict, Invalid, NotFound
from runai_cp.platform.provision import provision_tenant
from tenants.context import in_tenant, ready_schemas
from tenants.models import Tenant, TenantState

pytestmark = pytest.mark.services


def test_the_same_person_exists_once_in_each_tenant(acme, globex):
    mine = User.objects.get(email="alice@example.test").pk
    with tenant_context(globex.tenant):
        assert User.objects.get(email="alice@example.test").pk != mine


def test_what_one_tenant_does_is_not_in_the_others_audit(acme, globex):
    acme.api().post("/api/v1/users", {"email": "x@example.test"}, content_type="application/json")
    with tenant_context(globex.tenant):
        assert not AuditEntry.objects.filter(entity_name="x@example.test").exists()


def test_an_unknown_host_is_not_found(acme):
    assert acme.client().get("/healthz", SERVER_NAME="nobody.localhost").status_code == 404


def test_a_suspended_tenant_answers_with_a_sentence(acme):
    Tenant.objects.filter(pk=acme.tenant.pk).update(state=TenantState.SUSPENDED)
    answer = acme.client().get("/api/v1/users")
    assert (answer.status_code, answer.json()["message"]) == (403, "This tenant is suspended; ask your provider.")


@pytest.mark.parametrize("schema", ["public", "t_none", ""])
def test_a_schema_that_is_no_ready_tenant_is_not_entered(acme, schema):
    with pytest.raises(NotFound), in_tenant(schema):
        pass


def test_entering_and_leaving_restores_the_schema(acme, globex):
    with in_tenant(globex.schema_name):
        assert connection.schema_name == globex.schema_name
    assert connection.schema_name == acme.schema_name


def test_ready_schemas_are_the_two_tenants(acme, globex):
    assert {acme.schema_name, globex.schema_name} <= set(ready_schemas())


def test_a_taken_name_is_a_conflict(acme):
    with pytest.raises(Conflict, match="exists already"):
        provision_tenant(name="acme", domains=("new.localhost",), admin_email="a@example.test")


@pytest.mark.parametrize(
    ("name", "domain", "email", "field"),
    [
        ("Acme", "x.test", "a@b.test", "name"),
        ("a b", "x.test", "a@b.test", "name"),
        ("a", "http://x", "a@b.test", "domain"),
        ("a", "x.test", "nobody", "admin-email"),
    ],
)
def test_bad_input_names_the_field(acme, name, domain, email, field):
    with pytest.raises(Invalid) as caught:
        provision_tenant(name=name, domains=(domain,), admin_email=email)
    assert caught.value.fields[0].field == field


def test_a_set_up_that_was_cut_short_is_taken_up_again(acme):
    connection.set_schema_to_public()
    made = provision_tenant(name="cut", domains=("cut.localhost",), admin_email="a@example.test")
    Tenant.objects.filter(pk=made.tenant.pk).update(state=TenantState.CREATING)
    again = provision_tenant(name="cut", domains=("cut.localhost",), admin_email="a@example.test")
    assert again.tenant.schema_name == made.tenant.schema_name
    assert again.admin_password != made.admin_password
