"""REST of users, service accounts, roles and access rules."""

import pytest
from django_tenants.utils import tenant_context

from access.models import AccessRule, AuditEntry, User
from tests.conftest import grant

pytestmark = pytest.mark.services


def post(client, path, **body):
    headers = body.pop("headers", {})
    return client.post(path, body, content_type="application/json", headers=headers)


def test_a_user_is_made_once_and_gets_a_password(acme):
    answer = post(acme.api(), "/api/v1/users", email="new@example.test")
    assert answer.status_code == 201
    assert len(answer.json()["tempPassword"]) >= 12


def test_the_same_address_in_other_case_is_a_conflict(acme):
    assert post(acme.api(), "/api/v1/users", email="Alice@Example.test").status_code == 409


@pytest.mark.parametrize("email", [None, 7, "", "no-at-sign"])
def test_a_bad_address_names_the_field(acme, email):
    answer = post(acme.api(), "/api/v1/users", email=email)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "email")


def test_somebody_without_a_role_is_refused(acme):
    answer = acme.api("charlie@example.test").get("/api/v1/users")
    assert answer.status_code == 403
    assert "an administrator can grant" in answer.json()["message"]


def test_a_rule_gives_a_role(acme):
    body = {"subjectId": "bob@example.test", "subjectType": "user", "roleId": 4, "scopeType": "tenant", "scopeId": "x"}
    answer = post(acme.api(), "/api/v1/authorization/access-rules", **body)
    assert answer.status_code == 201
    assert answer.json()["roleName"] == "Viewer"


def test_nobody_grants_more_than_they_hold(acme):
    grant("bob@example.test", "department-administrator")
    body = {
        "subjectId": "charlie@example.test",
        "subjectType": "user",
        "roleId": 1,
        "scopeType": "tenant",
        "scopeId": "x",
    }
    assert post(acme.api("bob@example.test"), "/api/v1/authorization/access-rules", **body).status_code == 403


def test_the_last_administrator_stays(acme):
    client = acme.api()
    rules = AccessRule.objects.filter(role="administrator", subject_kind="user").values_list("pk", flat=True)
    codes = [client.delete(f"/api/v1/authorization/access-rules/{pk}").status_code for pk in sorted(rules)]
    assert codes == [204] * (len(codes) - 1) + [409]


def test_people_of_the_other_tenant_are_not_there(acme, globex):
    with tenant_context(globex.tenant):
        stranger = User.objects.get(email="alice@example.test").pk
    assert acme.api().get(f"/api/v1/users/{stranger}").status_code == 404


def test_a_service_account_shows_its_secret_once(acme):
    client = acme.api()
    made = post(client, "/api/v1/service-accounts", name="ci-bot").json()
    assert made["clientSecret"] not in client.get(f"/api/v1/service-accounts/{made['id']}").content.decode()


def test_the_audit_log_remembers_without_secrets(acme):
    client = acme.api()
    secret = post(client, "/api/v1/apps", name="old-bot").json()["secret"]
    body = client.get("/api/v1/audit/log?filterBy=entity_type==application").content.decode()
    assert "old-bot" in body
    assert secret not in body


def test_the_same_key_and_request_is_answered_once_and_again(acme):
    client, key = acme.api(), {"Idempotency-Key": "k1"}
    first = post(client, "/api/v1/service-accounts", name="twice", headers=key)
    second = post(client, "/api/v1/service-accounts", name="twice", headers=key)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()


def test_the_same_key_with_another_request_is_a_conflict(acme):
    client, key = acme.api(), {"Idempotency-Key": "k2"}
    post(client, "/api/v1/service-accounts", name="one", headers=key)
    assert post(client, "/api/v1/service-accounts", name="two", headers=key).status_code == 409


def test_a_failed_request_does_not_use_up_its_key(acme):
    client, key = acme.api(), {"Idempotency-Key": "k3"}
    assert post(client, "/api/v1/service-accounts", name="", headers=key).status_code == 400
    assert post(client, "/api/v1/service-accounts", name="fine", headers=key).status_code == 201


def test_a_change_is_audited_with_actor_and_request(acme):
    post(acme.api(), "/api/v1/users", email="seen@example.test")
    entry = AuditEntry.objects.filter(entity_type="user", entity_name="seen@example.test").get()
    assert (entry.actor_name, entry.action, len(entry.request_id)) == ("first-application", "create", 36)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("filterBy=shoe==1", "filterBy"),
        ("sortBy=shoe", "sortBy"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("sortOrder=up", "sortOrder"),
    ],
)
def test_a_wrong_list_question_names_the_parameter(acme, query, field):
    answer = acme.api().get(f"/api/v1/users?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
