"""What every REST route gets from its base: ETags, rate limits, cursors, refusals in the audit trail, bad input."""

import pytest
from django.test import override_settings

from access.models import AuditEntry
from runai_cp.lib import rates
from tests.conftest import grant

pytestmark = pytest.mark.services
JSON = "application/json"


def make_group(client, name="team"):
    return client.post("/api/v1/groups", {"name": name}, content_type=JSON).json()


def test_a_change_of_what_was_read_goes_through(acme):
    client = acme.api()
    at = f"/api/v1/groups/{make_group(client)['id']}"
    tag = client.get(at)["ETag"]
    answer = client.put(at, {"description": "x"}, content_type=JSON, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["description"]) == (200, "x")


def test_a_change_of_something_newer_is_refused(acme):
    client = acme.api()
    at = f"/api/v1/groups/{make_group(client)['id']}"
    tag = client.get(at)["ETag"]
    client.put(at, {"description": "first"}, content_type=JSON)
    answer = client.put(at, {"description": "second"}, content_type=JSON, headers={"If-Match": tag})
    assert answer.status_code == 412
    assert client.get(at).json()["description"] == "first"


def test_what_was_read_before_is_not_sent_again(acme):
    client = acme.api()
    at = f"/api/v1/groups/{make_group(client)['id']}"
    answer = client.get(at, headers={"If-None-Match": client.get(at)["ETag"]})
    assert (answer.status_code, answer.content) == (304, b"")


@override_settings(API_RATES={"read": 2, "write": 2, "token": 100})
def test_too_many_requests_are_told_when_to_come_back(acme):
    client = acme.api()
    codes = [client.get("/api/v1/users/count") for _ in range(3)]
    assert [answer.status_code for answer in codes] == [200, 200, 429]
    assert 1 <= int(codes[2]["Retry-After"]) <= rates.WINDOW_S
    assert [answer["RateLimit-Remaining"] for answer in codes] == ["1", "0", "0"]


def test_a_cache_that_is_down_limits_nobody(acme, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("no cache")

    client = acme.api()
    monkeypatch.setattr(rates.cache, "add", broken)
    assert client.get("/api/v1/users/count").status_code == 200


def test_pages_by_cursor_do_not_slip_under_writes(acme):
    client, seen, cursor = acme.api(), [], ""
    for name in ("b", "d", "f", "h"):
        make_group(client, name)
    for written in ("a", "e", "z"):
        page = client.get("/api/v1/groups", {"cursor": cursor, "limit": 2, "sortBy": "name"}).json()
        seen += [row["name"] for row in page["groups"]]
        cursor = page.get("nextCursor")
        make_group(client, written)
        if not cursor:
            break
    assert seen == sorted(set(seen))
    assert {"b", "d", "f", "h"} <= set(seen)


@pytest.mark.parametrize("cursor", ["x", "e30", "W1tdLFtdXQ", "é", "W10"])
def test_a_broken_cursor_is_a_wrong_question(acme, cursor):
    assert acme.api().get("/api/v1/groups", {"cursor": cursor}).status_code == 400


def test_a_cursor_of_another_order_is_a_wrong_question(acme):
    client = acme.api()
    for name in ("b", "c"):
        make_group(client, name)
    cursor = client.get("/api/v1/groups", {"cursor": "", "limit": 1, "sortBy": "name"}).json()["nextCursor"]
    assert client.get("/api/v1/groups", {"cursor": cursor, "sortBy": "createdAt"}).status_code == 400


@pytest.mark.parametrize("text", ["name==x,shoe==1", "shoe==1", "name~x", "name", "==x"])
def test_an_unknown_filter_is_refused_with_what_is_allowed(acme, text):
    error = acme.api().get("/api/v1/groups", {"filterBy": text}).json()["errors"][0]
    assert error["field"] == "filterBy"
    assert "name" in error["allowed"]


def test_a_comma_inside_a_value_is_part_of_it(acme):
    client = acme.api()
    make_group(client, "red, green")
    assert client.get("/api/v1/groups/count", {"filterBy": "name==red, green,origin==local"}).json() == {"count": 1}


def test_a_refusal_is_in_the_audit_trail(acme):
    assert acme.api("charlie@example.test").get("/api/v1/users").status_code == 403
    entry = AuditEntry.objects.filter(result="failed", status_code=403).latest("id")
    assert (entry.actor_name, entry.url, entry.http_method) == ("charlie@example.test", "/api/v1/users", "GET")


def test_a_failed_sign_in_is_in_the_audit_trail(acme):
    body = {"grantType": "password", "username": "bob@example.test", "password": "wrong"}
    acme.client().post("/api/v1/token", body, content_type=JSON)
    entry = AuditEntry.objects.filter(action="sign-in", result="failed").latest("id")
    assert (entry.actor_name, "wrong" in str(entry.after["reason"])) == ("bob@example.test", True)
    assert "password" not in entry.after


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "x" * 1_000_000,
        "a\x00b",
        "a\ud800b",
        "a\u202eb",
        "a\u200bb",
        "p\u0430ypal",
        "system:masters",
        7,
        None,
        ["x"],
    ],
    ids=[
        "empty",
        "blank",
        "1 MB",
        "NUL",
        "half a pair",
        "turned",
        "invisible",
        "homoglyph",
        "kubernetes",
        "number",
        "null",
        "list",
    ],
)
def test_a_bad_name_is_refused(acme, name):
    answer = acme.api().post("/api/v1/groups", {"name": name}, content_type=JSON)
    assert answer.status_code == 400
    assert len(answer.content) < 2000


@pytest.mark.parametrize("twin", ["Team", "TEAM", "ｔｅａｍ", " team "])
def test_a_name_that_looks_the_same_is_taken(acme, twin):
    client = acme.api()
    make_group(client, "team")
    assert client.post("/api/v1/groups", {"name": twin}, content_type=JSON).status_code == 409


def test_members_that_nobody_offered_are_not_set(acme):
    body = {"email": "mass@example.test", "id": "1", "isLocal": False, "is_active": False, "token_generation": 9}
    client = acme.api()
    made = client.post("/api/v1/users", body, content_type=JSON).json()
    shown = client.get(f"/api/v1/users/{made['id']}").json()
    assert (shown["isLocal"], shown["enabled"]) == (True, True)


def test_the_audit_file_runs_no_formula(acme):
    client = acme.api()
    make_group(client, "=1+1")
    answer = client.get("/api/v1/audit/log/file?file_type=CSV")
    text = b"".join(answer.streaming_content).decode()
    assert ",'=1+1," in text
    assert AuditEntry.objects.filter(action="export").exists()


def test_the_audit_file_as_json_is_a_list(acme):
    client = acme.api()
    make_group(client, "one")
    answer = client.get("/api/v1/audit/log/file?file_type=JSON&filterBy=entity_type==group")
    assert '"entity_name": "one"' in b"".join(answer.streaming_content).decode()


@pytest.mark.parametrize(
    "name", ["javascript:alert(1)", "//evil.example", "https://a:b@c.example", "ftp://x.example", "x"]
)
def test_a_redirect_leads_to_a_web_address_only(acme, name):
    answer = acme.api().put("/api/v1/security/settings/logoutRedirectUri", {"uri": name}, content_type=JSON)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "free", "taken"),
    [
        ("users", "nobody@example.test", "ALICE@example.test"),
        ("service-accounts", "free-bot", "first-application"),
    ],
)
def test_a_name_is_free_or_taken(acme, path, free, taken):
    client = acme.api()
    codes = [client.get(f"/api/v1/{path}/name-availability", {"name": name}).status_code for name in (free, taken, "")]
    assert codes == [204, 409, 400]


def test_a_permission_is_checked_with_one_query(acme, django_assert_max_num_queries):
    grant("bob@example.test", "administrator")
    client = acme.api("bob@example.test")
    with django_assert_max_num_queries(8):
        client.get("/api/v1/users/count")
