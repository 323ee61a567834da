"""Text that no form would send, in every field of people and rights that takes text: huge, alike, of another case,
crafted for a database or a spreadsheet; and members that no caller may set."""

from urllib.parse import urlencode

import pytest

from access.models import Application, Group, Role, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.services
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MEGABYTE = "a" * 1_000_000
ROLES, RULES = "/api/v2/authorization/roles", "/api/v1/authorization/access-rules"
USER = {"email": "new@example.test", "name": "New", "password": PASSWORD}
RULE = {"subjectId": "bob@example.test", "subjectType": "user", "roleId": 4, "scopeId": "1", "scopeType": "tenant"}
ROLE = {"name": "auditor", "description": "d", "permissionSets": ["event-history"]}
HOOK = {"name": "hook", "url": "https://hook.example/", "events": ["user.*"]}
TOKEN = {"grantType": "password", "username": "bob@example.test", "password": PASSWORD}
TEXTS = [
    *(("/api/v1/users", USER, field) for field in USER),
    *(("/api/v1/groups", {"name": "team", "description": "d"}, field) for field in ("name", "description")),
    *((ROLES, ROLE, field) for field in ("name", "description")),
    *((RULES, RULE, field) for field in ("subjectId", "subjectType", "scopeId", "scopeType", "expiresAt")),
    *(("/api/v1/webhooks", HOOK, field) for field in ("name", "url")),
    *(("/api/v1/token", TOKEN, field) for field in ("grantType", "username", "password")),
    ("/api/v1/service-accounts", {"name": "ci"}, "name"),
    ("/api/v1/access-keys", {"name": "laptop"}, "name"),
    ("/api/v1/idps", {"type": "oidc", "alias": "x", "oidcData": {}}, "alias"),
    ("/api/v1/logo", {"logo": ""}, "logo"),
    ("/api/v1/kubernetes/token", {"clusterId": ""}, "clusterId"),
]
"""(address, a body that is otherwise right, the field that is a megabyte)."""


def send(client, address, body):
    return client.post(address, body, content_type=JSON)


@pytest.mark.parametrize(("address", "body", "field"), TEXTS)
def test_a_megabyte_is_refused_in_a_short_answer(acme, address, body, field):
    client = acme.api("alice@example.test")
    answer = send(client, address, body | {field: MEGABYTE})
    assert 400 <= answer.status_code < 500, answer.content[:300]
    assert len(answer.content) < 2_000
    assert not User.objects.filter(email__contains="new@").exists()


@pytest.mark.parametrize("name", ["search", "filterBy", "sortBy", "cursor", "limit"])
def test_a_megabyte_in_a_question_finds_nothing_or_is_refused(acme, name):
    value = f"username=={MEGABYTE}" if name == "filterBy" else MEGABYTE
    answer = acme.api().get(f"/api/v1/users?{urlencode({name: value})}")
    assert (answer.status_code, answer.content == b"[]") in [(200, True), (400, False)]


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("/login/", {"email": MEGABYTE, "password": "x"}),
        ("/login/", {"email": "bob@example.test", "password": MEGABYTE}),
        ("/access/groups/new/", {"name": MEGABYTE}),
        ("/access/users/new/", {"email": MEGABYTE, "password": PASSWORD}),
        ("/access/roles/new/", {"name": MEGABYTE, "sets": ["event-history"]}),
        ("/account/keys/", {"name": MEGABYTE}),
        ("/settings/branding/save", {"name": MEGABYTE}),
    ],
)
def test_a_megabyte_in_a_form_comes_back_with_what_is_wrong(acme, address, form):
    client = acme.client() if address == "/login/" else acme.browser()
    assert client.post(address, form).status_code == 422


@pytest.mark.parametrize(
    ("address", "body", "field"),
    [
        ("/api/v1/users", USER, "name"),
        ("/api/v1/groups", {"name": "team"}, "name"),
        (ROLES, ROLE, "name"),
        ("/api/v1/webhooks", HOOK, "name"),
        ("/api/v1/service-accounts", {"name": "ci"}, "name"),
        ("/api/v1/access-keys", {"name": "laptop"}, "name"),
    ],
)
@pytest.mark.parametrize("name", ["p\u0430ypal", "adm\u200bin", "a\u202ecba"], ids=["alike", "unseen", "turned"])
def test_a_name_that_misleads_is_refused_at_its_field(acme, address, body, field, name):
    answer = send(acme.api("alice@example.test"), address, body | {field: name})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("address", "body"),
    [("/api/v1/groups", {"name": "Team"}), (ROLES, ROLE | {"name": "Team"}), ("/api/v1/webhooks", HOOK)],
)
@pytest.mark.parametrize("twin", [str.upper, str.swapcase, lambda name: chr(ord(name[0]) + 0xFEE0) + name[1:]])
def test_a_name_of_another_case_or_width_is_taken(acme, address, body, twin):
    """The last is in full width, as East Asian keyboards write it."""
    client = acme.api()
    assert send(client, address, body).status_code == 201
    assert send(client, address, body | {"name": twin(body["name"])}).status_code == 409


@pytest.mark.parametrize("name", ["viewer", "VIEWER", "System Administrator", "l1-Researcher"])
def test_no_role_is_named_as_one_of_the_platform_in_any_case(acme, name):
    assert send(acme.api(), ROLES, ROLE | {"name": name}).status_code == 409


@pytest.mark.parametrize(
    "text", ["' OR '1'='1", "x'; DROP TABLE access_user; --", "%", "_", "\\", "a%' ESCAPE '!", "$(id)", "{{7*7}}"]
)
@pytest.mark.parametrize("question", ["search={}", "filterBy=username=@{}", "filterBy=username=={}"])
def test_a_filter_is_text_and_never_a_pattern_or_a_statement(acme, text, question):
    name, _, rest = question.format(text).partition("=")
    answer = acme.api().get("/api/v1/users", {name: rest})
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("field", ["password", "email__startswith", "token_generation", "pk__in", "groups__name"])
def test_no_filter_or_order_reaches_a_column_that_the_list_does_not_offer(acme, field):
    client = acme.api()
    asked = [{"filterBy": f"{field}==x"}, {"sortBy": field}]
    assert [client.get("/api/v1/users", question).status_code for question in asked] == [400, 400]


FORCED = {
    "id": "0199a000-0000-7000-8000-000000000000",
    "createdBy": "root",
    "created_by": "root",
    "is_active": False,
    "isLocal": False,
    "enabled": False,
    "token_generation": 99,
    "tenantId": 1,
    "clientId": "app-mine",
    "secret_hash": "x",
    "origin": "identity-provider",
    "custom": False,
}


@pytest.mark.parametrize(
    ("address", "body", "model"),
    [
        ("/api/v1/users", USER, User),
        ("/api/v1/groups", {"name": "team"}, Group),
        ("/api/v1/service-accounts", {"name": "ci"}, Application),
        (ROLES, {key: ROLE[key] for key in ("name", "permissionSets")}, Role),
    ],
)
def test_members_that_no_caller_may_set_are_left_alone(acme, address, body, model):
    forced = {key: value for key, value in FORCED.items() if not (model is Role and key == "enabled")}
    answer = send(acme.api("alice@example.test"), address, forced | body)
    assert answer.status_code in (201, 202), answer.content
    row = model.objects.get(**{"email": "new@example.test"} if model is User else {"name": body["name"]})
    assert str(row.pk) != FORCED["id"]
    assert row.created_by == "alice@example.test"
    assert {getattr(row, name, True) for name in ("is_active", "enabled", "is_local")} == {True}
    assert (getattr(row, "token_generation", 0), getattr(row, "origin", "local")) == (0, "local")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "|", "%"])
def test_no_cell_of_the_audit_file_is_a_formula(acme, start):
    client = acme.api()
    send(client, "/api/v1/token", {"grantType": "password", "username": f"{start}cmd|'/c calc'!A1", "password": "x"})
    answer = client.get("/api/v1/audit/log/file?file_type=CSV")
    text = b"".join(answer.streaming_content).decode()
    cells = [cell.strip('"') for line in text.splitlines() for cell in line.split(",")]
    assert "calc" in text
    assert not [cell for cell in cells if "calc" in cell and not cell.startswith("'")]
