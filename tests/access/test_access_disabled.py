"""A person who is disabled is out everywhere with their next request, and comes back with what they had."""

import pytest
from django.db import connection
from django_tenants.utils import tenant_context

from access.models import AccessRule, AuditEntry, User
from access.services.bootstrap import system_actor
from access.services.users import set_active
from runai_cp.lib.errors import Conflict
from tests.conftest import PASSWORD, grant, person

pytestmark = pytest.mark.services
BOB, JSON = "bob@example.test", "application/json"


def user(email=BOB):
    return User.objects.get(email=email)


def switch(home, enabled, email=BOB):
    return home.api().patch(f"/api/v1/users/{user(email).pk}", {"enabled": enabled}, content_type=JSON)


def test_token_session_and_password_end_and_come_back(acme):
    grant(BOB, "viewer")
    token, browser = acme.api(BOB), acme.browser(BOB)
    assert switch(acme, False).json()["enabled"] is False
    form = {"email": BOB, "password": PASSWORD}
    assert [token.get("/api/v1/clusters").status_code, browser.get("/account/").status_code] == [401, 302]
    assert acme.client().post("/login/", form).status_code == 422
    assert switch(acme, True).status_code == 200
    assert token.get("/api/v1/clusters").status_code == 401, "what was ended stays so"
    assert acme.api(BOB).get("/api/v1/clusters").status_code == 200


def test_it_is_audited_once_however_often_it_is_asked_for(acme):
    for _ in range(2):
        switch(acme, False)
    entry = AuditEntry.objects.get(entity_type="user", entity_id=user().pk, action="update")
    assert (entry.before, entry.after) == ({"enabled": True}, {"enabled": False})


def test_the_last_administrator_stays(acme):
    AccessRule.objects.filter(role="administrator", subject_name="admin@example.test").delete()
    assert switch(acme, False, "alice@example.test").status_code == 409
    assert user("alice@example.test").is_active


def test_nobody_disables_themselves_or_somebody_who_may_do_more(acme):
    made = {"name": "Helper", "permissionSets": ["users"]}
    role = acme.api().post("/api/v2/authorization/roles", made, content_type=JSON).json()["id"]
    grant(BOB, role)
    bob = acme.api(BOB)
    codes = [
        bob.patch(f"/api/v1/users/{user(email).pk}", {"enabled": False}, content_type=JSON).status_code
        for email in ("alice@example.test", BOB, "charlie@example.test")
    ]
    assert codes == [403, 409, 200]


@pytest.mark.parametrize("given", [None, "no", 0, [], {}])
def test_what_is_neither_true_nor_false_changes_nothing(acme, given):
    answer = acme.api().patch(f"/api/v1/users/{user().pk}", {"enabled": given}, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "enabled")


def test_the_bob_of_the_other_tenant_goes_on(acme, globex):
    set_active(actor=system_actor(), user=user(), active=False)
    token = globex.api(BOB)
    assert token.get("/api/v1/authorization/permissions").status_code == 200
    with tenant_context(globex.tenant):
        assert connection.schema_name == globex.schema_name
        assert user().is_active


def test_disabled_ones_do_not_count_as_administrators(acme):
    grant(BOB, "administrator")
    set_active(actor=system_actor(), user=user("admin@example.test"), active=False)
    set_active(actor=system_actor(), user=user(), active=False)
    with pytest.raises(Conflict, match="last administrator"):
        set_active(actor=system_actor(), user=user("alice@example.test"), active=False)
    assert person("alice@example.test").grants
