"""Pages about rights: rules with an end, roles, secrets, one's keys, what somebody may do and why, the audit."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from access.models import AccessKey, AccessRule, Application, AuditEntry, Group, GroupMember, Role, Scope, User
from access.services.bootstrap import system_actor
from access.services.explain import explain, named_subject
from access.services.rules import create_rule
from access.services.settings import write_setting
from access.services.users import create_user
from access.views.audit import changes
from tests.conftest import PASSWORD, grant, person

pytestmark = pytest.mark.services


def user(email):
    return User.objects.get(email=email)


def root():
    return Scope.objects.get(kind="tenant")


def test_a_rule_has_an_end_and_loses_it(acme, project):
    client = acme.browser()
    end = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    form = {"kind": "user", "who": "bob@example.test", "role": "researcher", "scope": project.scope.pk}
    assert client.post("/access/rules/new/", {**form, "expires_at": end}).status_code == 302
    rule = AccessRule.objects.get(subject_name="bob@example.test")
    assert rule.expires_at.strftime("%Y-%m-%dT%H:%M") == end
    page = client.get(f"/access/rules/{rule.pk}/").content.decode()
    assert end in page
    client.post(f"/access/rules/{rule.pk}/", {"role": "viewer", "scope": project.scope.pk, "expires_at": ""})
    rule.refresh_from_db()
    assert (rule.role, rule.expires_at) == ("viewer", None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"who": "nobody@example.test"}, "f-who"), ({"expires_at": "2001-01-01T00:00"}, "f-expires_at")],
)
def test_what_is_wrong_is_said_at_its_field(acme, changes, field):
    form = {"kind": "user", "who": "bob@example.test", "role": "viewer", "scope": root().pk, **changes}
    answer = acme.browser().post("/access/rules/new/", form)
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.content.decode()


def test_nobody_grants_more_than_they_hold(acme, project):
    grant("bob@example.test", "project-administrator", project.scope)
    client = acme.browser("bob@example.test")
    form = {"kind": "user", "who": "charlie@example.test", "scope": project.scope.pk}
    assert client.post("/access/rules/new/", {**form, "role": "administrator"}).status_code == 422
    assert client.post("/access/rules/new/", {**form, "role": "researcher"}).status_code == 302


def test_a_rule_of_another_scope_cannot_be_changed(acme, project):
    grant("bob@example.test", "project-administrator", project.scope)
    rule = AccessRule.objects.get(subject_name="alice@example.test")
    assert acme.browser("bob@example.test").get(f"/access/rules/{rule.pk}/").status_code == 404


def test_a_role_of_ones_own_is_made_changed_and_kept_while_held(acme):
    client = acme.browser()
    made = client.post("/access/roles/new/", {"name": "Auditor", "sets": ["event-history"], "enabled": "on"})
    assert made.status_code == 302
    row = Role.objects.get()
    client.post(
        f"/access/roles/{row.pk}/edit/", {"name": "Auditor", "sets": ["event-history", "users"], "enabled": "on"}
    )
    row.refresh_from_db()
    assert row.permission_sets == ["event-history", "users"]
    form = {"kind": "user", "who": "bob@example.test", "role": f"custom-{row.pk}", "scope": root().pk}
    assert client.post("/access/rules/new/", form).status_code == 302
    assert acme.browser("bob@example.test").get("/audit/").status_code == 200
    client.post(f"/access/roles/{row.pk}/delete")
    assert Role.objects.exists(), "a rule gives it to somebody"


def test_a_role_without_permissions_is_none(acme):
    answer = acme.browser().post("/access/roles/new/", {"name": "Empty"})
    assert answer.status_code == 422
    assert b'id="sets-e"' in answer.content


def test_a_secret_is_shown_once_and_kept_by_no_cache(acme):
    client = acme.browser()
    answer = client.post("/access/applications/new/", {"name": "ci", "role": "viewer", "scope": root().pk})
    row = Application.objects.get(name="ci")
    secret = answer.content.decode().split('id="client-secret" value="')[1].split('"')[0]
    assert "no-store" in answer["Cache-Control"]
    body = {"grantType": "client_credentials", "clientID": row.client_id, "clientSecret": secret}
    assert acme.client().post("/api/v1/token", body, content_type="application/json").status_code == 200
    assert secret not in client.get(f"/access/applications/{row.pk}/").content.decode()
    renewed = client.post(f"/access/applications/{row.pk}/secret").content.decode()
    assert secret not in renewed
    assert acme.client().post("/api/v1/token", body, content_type="application/json").status_code == 400


def test_ones_keys_are_ones_own(acme):
    client = acme.browser()
    assert b"client-secret" in client.post("/account/keys/", {"name": "laptop"}).content
    key = AccessKey.objects.get()
    other = acme.browser("bob@example.test")
    assert other.post(f"/account/keys/{key.pk}/", {"verb": "delete"}).status_code == 404
    assert client.post(f"/account/keys/{key.pk}/", {"verb": "renew"}).status_code == 200
    assert client.post(f"/account/keys/{key.pk}/", {"verb": "delete"}).status_code == 302
    assert not AccessKey.objects.exists()


def test_a_right_is_explained_by_its_rules(acme, project):
    """Of a group, on a scope above; and what does not count says why."""
    group = Group.objects.create(name="vision")
    GroupMember.objects.create(group=group, user=user("bob@example.test"))
    create_rule(
        actor=system_actor(), subject_kind="group", subject_id=group.pk, role="researcher", scope=project.scope.parent
    )
    grant("bob@example.test", "viewer", project.scope)
    found = explain(actor=person("alice@example.test"), subject=named_subject("bob@example.test"), scope=project.scope)
    assert [(one.via, one.role, one.here) for one in found.reasons] == [
        ("vision", "AI practitioner", True),
        ("", "Viewer", True),
    ]
    above = explain(actor=person("alice@example.test"), subject=named_subject("bob@example.test"), scope=root())
    assert all("lies in here" in one.why_not for one in above.reasons)


def test_the_explanation_agrees_with_what_is_enforced(acme, project):
    """For every action and scope: told as allowed exactly where the guard would allow it."""
    grant("bob@example.test", "researcher", project.scope)
    grant("bob@example.test", "department-viewer", project.department.scope)
    AccessRule.objects.filter(role="department-viewer").update(expires_at=timezone.now() - timedelta(seconds=1))
    bob, alice = person("bob@example.test"), person("alice@example.test")
    for scope in Scope.objects.all():
        found = explain(actor=alice, subject=named_subject("bob@example.test"), scope=scope)
        for action in type(next(iter(bob.grants[0].actions))):
            assert bool(found.by(action)) is bob.allows(action, scope.path), (action, scope)


def test_a_disabled_person_may_do_nothing(acme):
    User.objects.filter(email="bob@example.test").update(is_active=False)
    grant("bob@example.test", "administrator")
    page = acme.browser().get("/access/explain/?subject=bob@example.test").content.decode()
    assert "may do nothing" in page


def test_the_page_tells_only_of_scopes_one_may_see(acme, project):
    grant("bob@example.test", "project-administrator", project.scope)
    client = acme.browser("bob@example.test")
    assert client.get(f"/access/explain/?subject=alice@example.test&at={project.scope.pk}").status_code == 200
    assert client.get(f"/access/explain/?subject=alice@example.test&at={root().pk}").status_code == 404


def test_people_of_another_tenant_are_unknown(acme, globex):
    with tenant_context(globex.tenant):
        create_user(actor=system_actor(), email="dora@example.test", password=PASSWORD)
        there = user("dora@example.test").pk
    client = acme.browser()
    assert client.get("/access/explain/?subject=dora@example.test").status_code == 422
    assert client.get(f"/access/explain/?subject=user:{there}").status_code == 422


def test_an_entry_shows_before_beside_after(acme):
    client = acme.browser()
    write_setting(actor=person("alice@example.test"), key="auditRetentionDays", value=120)
    entry = AuditEntry.objects.filter(entity_type="setting").get()
    body = client.get(f"/audit/{entry.pk}/").content.decode()
    assert "<del>90</del>" in body
    assert "<ins>120</ins>" in body


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        (None, None, []),
        ({"a": 1}, {"a": 1, "b": {"c": [1, 2]}}, [("b.c", "", "1, 2", True), ("a", "1", "1", False)]),
        ({"a": None}, {"a": "x"}, [("a", "None", "x", True)]),
        (None, "text", [("value", "", "text", True)]),
    ],
)
def test_what_differs_stands_first(before, after, rows):
    assert changes(before, after) == rows
