"""The one list of the console, over the lists below Access: filters, order, columns, views, bulk acts, files."""

import csv
import html
import io
import json
import re
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from access.models import AccessRule, Application, AuditEntry, Group, SavedView, User
from access.services.bootstrap import system_actor
from access.services.groups import create_group
from access.services.users import create_user
from tests.conftest import PASSWORD, grant

pytestmark = pytest.mark.services
LISTS = (
    "/access/users/",
    "/access/groups/",
    "/access/applications/",
    "/access/keys/",
    "/access/rules/",
    "/access/roles/",
    "/audit/",
)
BUDGET = 15


def text(answer):
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode()


def people(count, prefix="p"):
    for number in range(count):
        User.objects.create(email=f"{prefix}{number:03d}@people.test", name=f"Person {number}", created_by="test")


@pytest.mark.parametrize("address", LISTS)
def test_every_list_is_drawn_within_the_budget(acme, address):
    people(60)
    client = acme.browser()
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        answer = client.get(address)
    assert answer.status_code == 200
    assert len(seen) <= BUDGET, [query["sql"][:120] for query in seen]


@pytest.mark.parametrize("address", LISTS)
def test_every_list_is_a_file_of_all_that_match(acme, address):
    client = acme.browser()
    answer = client.get(f"{address}?export=csv")
    assert answer["Content-Disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(text(answer))))
    also = json.loads(text(client.get(f"{address}?export=json")))
    assert len(also) >= len(rows)
    assert AuditEntry.objects.filter(action="export", entity_type="list").count() == 2


def test_a_file_holds_what_the_filters_leave_and_more_than_a_page(acme):
    people(1203)
    rows = json.loads(text(acme.browser().get("/access/users/?f=username%3D%40people.test&export=json")))
    assert len(rows) == 1203
    assert rows[0]["email"] == "p000@people.test"


def test_a_cell_is_no_formula(acme):
    User.objects.create(email="x@people.test", name="=cmd|'/c calc'!A1")
    found = csv.DictReader(io.StringIO(text(acme.browser().get("/access/users/?q=x@people&export=csv"))))
    assert [row["name"] for row in found] == ["'=cmd|'/c calc'!A1"]


def test_a_file_of_a_value_of_the_wrong_type_is_empty_as_the_page_is(acme):
    assert json.loads(text(acme.browser().get("/access/users/?f=isLocal%3D%3Dmaybe&export=json"))) == []


def test_a_file_holds_nothing_of_the_other_tenant(acme, globex):
    with tenant_context(globex.tenant):
        create_user(actor=system_actor(), email="dora@example.test", password=PASSWORD)
    assert "dora" not in text(acme.browser().get("/access/users/?export=csv"))


def test_filters_stand_as_chips_and_go_one_by_one(acme):
    body = text(acme.browser().get("/access/users/?f=username%3D%40bob&f=isLocal%3D%3Dtrue"))
    assert "bob@example.test" in body
    assert "charlie@example.test" not in body
    assert "Remove filter: E-mail" in body
    assert "Remove filter: Signs in with" in body


def test_a_text_filter_of_the_menu_becomes_a_chip(acme):
    answer = acme.browser().get("/access/users/?by=username&value=bob&sort=username")
    assert answer["Location"] == "/access/users/?sort=username&f=username%3D%40bob"


@pytest.mark.parametrize(
    "query",
    [
        "f=nothing%3D%3D1",
        "f=lastLogin%3D%3Dyesterday",
        "f=type%3D%3Dx",
        "f=username%3D%40%00",
        "sort=nothing",
        "page=-3",
        "page=²",
        "scope=²",
        "q=%00",
        "columns=x,y",
    ],
)
def test_a_wrong_address_is_a_page_that_says_so(acme, query):
    assert acme.browser().get(f"/access/users/?{query}").status_code == 200


def test_columns_are_chosen_and_the_name_stays(acme):
    body = text(acme.browser().get("/access/users/?columns=createdBy"))
    head = body.split("<thead>")[1].split("</thead>")[0]
    assert "Made by" in head
    assert "Person" in head
    assert "Last sign-in" not in head


def test_the_head_says_which_way_the_list_is_sorted(acme):
    client = acme.browser()
    assert 'aria-sort="ascending"' in text(client.get("/access/users/"))
    body = text(client.get("/access/users/?sort=username&order=desc"))
    assert 'aria-sort="descending"' in body
    assert body.index("charlie@example.test") < body.index("alice@example.test</a>")


def test_a_view_is_kept_for_its_owner_alone(acme):
    grant("bob@example.test", "administrator")
    client = acme.browser()
    form = {"page": "users", "name": "Mine", "query": "f=isLocal%3D%3Dtrue", "back": "/access/users/"}
    assert client.post("/views/", form)["Location"] == "/access/users/"
    client.post("/views/", {**form, "name": "MINE", "query": "q=b"})
    row = SavedView.objects.get()
    assert (row.name, row.query) == ("MINE", "q=b")
    assert 'href="?q=b"' in text(client.get("/access/users/"))
    bob = acme.browser("bob@example.test")
    assert "MINE" not in text(bob.get("/access/users/"))
    assert bob.post(f"/views/{row.pk}/delete").status_code == 404
    assert client.post(f"/views/{row.pk}/delete", {"back": "https://evil.example/"})["Location"] == "/"
    assert not SavedView.objects.exists()


def test_many_acts_tell_of_every_row(acme):
    """Alice is the last administrator for ever but one: the other's row works, hers does not."""
    User.objects.filter(email="admin@example.test").delete()
    bob = User.objects.get(email="bob@example.test")
    alice = User.objects.get(email="alice@example.test")
    form = {"verb": "delete", "ids": f"{bob.pk},{alice.pk},no-id"}
    answer = acme.browser().post("/access/users/bulk", form)
    assert answer.status_code == 207
    body = text(answer)
    assert "last administrator" in body
    assert not User.objects.filter(pk=bob.pk).exists()
    assert User.objects.filter(pk=alice.pk).exists()


def test_all_that_match_are_what_the_list_showed(acme):
    people(70)
    form = {"verb": "delete", "every": "yes", "query": "f=username%3D%40people.test", "ids": ""}
    assert acme.browser().post("/access/users/bulk", form).status_code == 200
    assert User.objects.filter(email__endswith="people.test").count() == 0
    assert User.objects.filter(email="bob@example.test").exists()


def test_all_that_match_are_of_a_filter_however_long(acme):
    people(3)
    filters = [f"username!@{letter * 190}" for letter in "abcdefghijk"] + ["username==p001@people.test"]
    address = "/access/users/?" + urlencode({"f": filters}, doseq=True)
    client = acme.browser()
    (query,) = set(
        re.findall(
            r'name="verb" value="delete"><input type="hidden" name="query" value="([^"]*)"', text(client.get(address))
        )
    )
    client.post("/access/users/bulk", {"verb": "delete", "every": "yes", "query": html.unescape(query), "ids": ""})
    assert list(User.objects.filter(email__endswith="people.test").values_list("name", flat=True)) == [
        "Person 0",
        "Person 2",
    ]


@pytest.mark.parametrize(
    ("address", "query"), [("/access/users/bulk", "f=usern"), ("/access/users/bulk?scope=999999999", "")]
)
def test_what_would_match_more_than_was_shown_is_refused(acme, address, query):
    people(1)
    form = {"verb": "delete", "every": "yes", "query": query, "ids": ""}
    assert acme.browser().post(address, form).status_code == 400
    assert User.objects.filter(email="p000@people.test").exists()


def test_ids_of_the_other_tenant_are_not_found(acme, globex):
    with tenant_context(globex.tenant):
        there = User.objects.get(email="bob@example.test").pk
    body = text(acme.browser().post("/access/users/bulk", {"verb": "delete", "ids": str(there)}))
    assert "Nothing was selected" in body
    with tenant_context(globex.tenant):
        assert User.objects.filter(pk=there).exists()


@pytest.mark.parametrize("address", ["/access/users/bulk", "/access/applications/bulk"])
def test_an_act_that_is_none_is_refused(acme, address):
    assert acme.browser().post(address, {"verb": "explode", "ids": ""}).status_code == 400


def test_service_accounts_are_disabled_together(acme):
    rows = [
        Application.objects.create(name=f"ci-{n}", client_id=f"app-{n}", secret_hash="", created_by="t") for n in "ab"
    ]
    form = {"verb": "disable", "ids": ",".join(str(row.pk) for row in rows)}
    assert acme.browser().post("/access/applications/bulk", form).status_code == 200
    assert not Application.objects.filter(name__startswith="ci-", enabled=True).exists()


def test_a_group_is_made_changed_and_removed(acme):
    client = acme.browser()
    made = client.post("/access/groups/new/", {"name": "vision", "members": "bob@example.test\ncharlie@example.test"})
    group = Group.objects.get(name="vision")
    assert made["Location"] == f"/access/groups/{group.pk}/"
    assert "2 members" in text(client.get(made["Location"]))
    client.post(f"/access/groups/{group.pk}/edit/", {"description": "d", "members": "bob@example.test"})
    assert list(group.members.values_list("email", flat=True)) == ["bob@example.test"]
    wrong = client.post(f"/access/groups/{group.pk}/edit/", {"members": "nobody@example.test"})
    assert wrong.status_code == 422
    client.post("/access/groups/bulk", {"ids": str(group.pk)})
    assert not Group.objects.exists()


def test_rules_of_many_are_removed_but_for_the_last_administrator(acme):
    create_group(actor=system_actor(), name="g")
    User.objects.filter(email="admin@example.test").delete()
    AccessRule.objects.filter(subject_name="admin@example.test").delete()
    form = {"every": "yes", "query": "f=roleName%3D%40System", "ids": ""}
    answer = acme.browser().post("/access/rules/bulk", form)
    assert "last administrator" in text(answer)
    assert AccessRule.objects.filter(subject_name="alice@example.test", role="administrator").exists()
