"""Roles, rules with an end, groups, keys, refresh tokens: who may do what, for how long, and how it ends."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.models import AccessRule, AuditEntry, Group, User
from access.services.bootstrap import system_actor
from access.services.groups import set_groups_of
from access.services.rules import create_rule, expire_rules
from access.services.scopes import root_scope
from tests.conftest import PASSWORD, grant, person
from tests.fixtures_rooms import documents

pytestmark = pytest.mark.services
JSON = "application/json"
RULES = "/api/v1/authorization/access-rules"


def user(name="bob"):
    return User.objects.get(email=f"{name}@example.test")


def rule_for(kind, subject_id, role="viewer", **more):
    return create_rule(
        actor=system_actor(), subject_kind=kind, subject_id=subject_id, role=role, scope=root_scope(), **more
    )


def token(home, **body):
    return home.client().post("/api/v1/token", body, content_type=JSON)


def bearer(home, answer):
    return home.client(headers={"authorization": f"Bearer {answer.json()['accessToken']}"})


def test_a_rule_ends_by_itself(acme, cluster):
    rule = rule_for("user", user().pk, expires_at=timezone.now() + timedelta(seconds=60))
    key = f"accessrule/{rule.pk}"
    assert documents(cluster)[key] is not None
    AccessRule.objects.filter(pk=rule.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert person("bob@example.test").grants == ()
    assert expire_rules(actor=system_actor("expiry"), now=timezone.now()) == 1
    assert documents(cluster)[key] is None
    assert AuditEntry.objects.filter(action="expire", entity_id=str(rule.pk)).exists()


@pytest.mark.parametrize("when", ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "soon", 7])
def test_an_end_that_makes_no_sense_is_refused(acme, when):
    body = {"subjectId": "bob@example.test", "subjectType": "user", "roleId": 4, "scopeType": "tenant", "scopeId": "x"}
    answer = acme.api().post(RULES, {**body, "expiresAt": when}, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "expiresAt")


def test_a_rule_is_edited_and_keeps_its_id(acme, project):
    client, rule = acme.api(), rule_for("user", user().pk)
    change = {"roleId": 3, "scopeType": "project", "scopeId": str(project.pk), "expiresAt": "2030-01-01T00:00:00Z"}
    answer = client.put(f"{RULES}/{rule.pk}", change, content_type=JSON).json()
    assert (answer["id"], answer["roleName"], answer["scopeType"]) == (rule.pk, "AI practitioner", "project")
    spec = documents(project.cluster)[f"accessrule/{rule.pk}"]["spec"]
    assert (spec["role"], spec["projects"]) == ("researcher", [project.name])


def test_the_subject_of_a_rule_is_locked(acme):
    rule = rule_for("user", user().pk)
    answer = acme.api().put(f"{RULES}/{rule.pk}", {"subjectId": "charlie@example.test"}, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "subjectId")


def test_a_rule_is_not_edited_to_more_than_one_holds(acme):
    grant("bob@example.test", "department-administrator")
    rule = rule_for("user", user("charlie").pk)
    assert acme.api("bob@example.test").put(f"{RULES}/{rule.pk}", {"roleId": 1}, content_type=JSON).status_code == 403


def test_the_last_administrator_is_not_edited_away(acme):
    rows = AccessRule.objects.filter(role="administrator", subject_kind="user").order_by("pk")
    for rule in rows[1:]:
        rule.delete()
    client = acme.api()
    assert client.put(f"{RULES}/{rows[0].pk}", {"roleId": 4}, content_type=JSON).status_code == 409
    ends = {"expiresAt": (timezone.now() + timedelta(days=1)).isoformat()}
    assert client.put(f"{RULES}/{rows[0].pk}", ends, content_type=JSON).status_code == 409


def test_a_custom_role_gives_what_its_sets_hold(acme):
    client = acme.api()
    body = {"name": "Auditor", "permissionSets": ["event-history"]}
    made = client.post("/api/v2/authorization/roles", body, content_type=JSON).json()
    assert made["id"] >= 1000
    rule_for("user", user().pk, role=made["id"])
    bob = acme.api("bob@example.test")
    assert [bob.get(at).status_code for at in ("/api/v1/audit/log", "/api/v1/users")] == [200, 403]
    client.put(f"/api/v2/authorization/roles/{made['id']}", {"enabled": False}, content_type=JSON)
    assert bob.get("/api/v1/audit/log").status_code == 403
    assert client.delete(f"/api/v2/authorization/roles/{made['id']}").status_code == 409


def test_a_custom_role_holds_no_more_than_its_maker(acme):
    rule_for("user", user().pk, role="administrator")
    made = acme.api().post(
        "/api/v2/authorization/roles", {"name": "Maker", "permissionSets": ["roles"]}, content_type=JSON
    )
    rule_for("user", user("charlie").pk, role=made.json()["id"])
    body = {"name": "More", "permissionSets": ["settings"]}
    answer = acme.api("charlie@example.test").post("/api/v2/authorization/roles", body, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "permissionSets")


def test_a_group_gives_its_rules_to_its_members(acme):
    set_groups_of(user=user(), names=["ml-team", "system:masters"])
    assert list(Group.objects.values_list("name", flat=True)) == ["ml-team"]
    rule_for("group", "ml-team", role="researcher")
    assert [held.role for held in person("bob@example.test").grants] == ["researcher"]
    set_groups_of(user=user(), names=[])
    assert person("bob@example.test").grants == ()


def test_who_is_in_a_group_of_administrators_is_an_administrators_matter(acme):
    client = acme.api()
    group = client.post("/api/v1/groups", {"name": "admins"}, content_type=JSON).json()
    rule_for("group", group["id"], role="administrator")
    made = client.post(
        "/api/v2/authorization/roles", {"name": "Grouper", "permissionSets": ["groups"]}, content_type=JSON
    )
    rule_for("user", user().pk, role=made.json()["id"])
    answer = acme.api("bob@example.test").put(
        f"/api/v1/groups/{group['id']}", {"members": ["bob@example.test"]}, content_type=JSON
    )
    assert answer.status_code == 403


def test_a_helper_cannot_take_over_an_administrator(acme):
    made = acme.api().post(
        "/api/v2/authorization/roles",
        {"name": "Helper", "permissionSets": ["users", "service-accounts"]},
        content_type=JSON,
    )
    rule_for("user", user().pk, role=made.json()["id"])
    bob = acme.api("bob@example.test")
    assert bob.post(f"/api/v1/users/{user('alice').pk}/password").status_code == 403
    assert bob.post(f"/api/v1/service-accounts/{acme.application_id}/secret").status_code == 403
    assert bob.post(f"/api/v1/users/{user('charlie').pk}/password").status_code == 200


@pytest.mark.parametrize("end", ["logout", "password"])
def test_tokens_end_with_the_next_request(acme, end):
    bob = acme.api("bob@example.test")
    assert bob.get("/api/v1/authorization/permissions").status_code == 200
    acme.api().post(f"/api/v1/users/{user().pk}/{end}")
    assert bob.get("/api/v1/authorization/permissions").status_code == 401


def test_a_console_session_ends_with_a_sign_out_everywhere(acme):
    browser = acme.browser("bob@example.test")
    assert browser.get("/account/").status_code == 200
    acme.api().post(f"/api/v1/users/{user().pk}/logout")
    assert browser.get("/account/").status_code == 302


def test_a_refresh_token_works_once_and_a_replay_ends_the_chain(acme):
    first = token(acme, grantType="password", username="bob@example.test", password=PASSWORD).json()["refreshToken"]
    second = token(acme, grantType="refresh_token", refreshToken=first)
    assert bearer(acme, second).get("/api/v1/authorization/permissions").status_code == 200
    assert token(acme, grantType="refresh_token", refreshToken=first).status_code == 400
    assert token(acme, grantType="refresh_token", refreshToken=second.json()["refreshToken"]).status_code == 400


def test_somebody_elses_key_is_not_there(acme):
    key = acme.api("alice@example.test").post("/api/v1/access-keys", {"name": "mine"}, content_type=JSON).json()
    bob = acme.api("bob@example.test")
    at = f"/api/v1/access-keys/{key['id']}"
    assert [bob.get(at).status_code, bob.delete(at).status_code, bob.post(f"{at}/secret").status_code] == [404] * 3


def test_a_key_of_a_disabled_person_opens_nothing(acme):
    key = acme.api("bob@example.test").post("/api/v1/access-keys", {"name": "mine"}, content_type=JSON).json()
    asked = {"grantType": "client_credentials", "clientID": key["clientId"], "clientSecret": key["clientSecret"]}
    client = bearer(acme, token(acme, **asked))
    User.objects.filter(pk=user().pk).update(is_active=False)
    assert client.get("/api/v1/access-keys").status_code == 401
    assert token(acme, **asked).status_code == 400


def test_a_service_account_has_no_keys_of_its_own(acme):
    assert acme.api().post("/api/v1/access-keys", {"name": "mine"}, content_type=JSON).status_code == 403


def test_a_provider_keeps_its_secret_to_itself_and_to_its_address(acme):
    client = acme.api()
    data = {"clientId": "runai", "clientSecret": "s3cret!", "discoverDocumentUrl": "https://idp.example.com/x"}
    client.post("/api/v1/idps", {"type": "oidc", "name": "corp", "oidcData": data}, content_type=JSON)
    assert "s3cret!" not in client.get("/api/v1/idps/corp").content.decode()
    moved = {"clientId": "runai", "discoverDocumentUrl": "https://evil.example.com/x"}
    answer = client.put("/api/v1/idps/corp", {"type": "oidc", "oidcData": moved}, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "clientSecret")
    assert "s3cret!" not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_one_tenants_people_are_nobody_in_the_other(acme, globex):
    key = acme.api("alice@example.test").post("/api/v1/access-keys", {"name": "mine"}, content_type=JSON).json()
    asked = {"grantType": "client_credentials", "clientID": key["clientId"], "clientSecret": key["clientSecret"]}
    assert token(globex, **asked).status_code == 400
