"""What a page would never send: forms of other sites, fields that are locked, ways back that lead elsewhere."""

import pytest
from django.db import transaction
from django.test import override_settings

from access.models import Group, GroupMember, GroupOrigin, User
from access.services.users import create_user
from runai_cp.lib.errors import Conflict
from tests.access.test_access_matrix import ALL_ROUTES, LOGIN, REST
from tests.architecture.test_routes_are_guarded import sample
from tests.conftest import PASSWORD

pytestmark = pytest.mark.services
RATES = {"read": 10**6, "write": 10**6, "token": 10**6}
EVIL = ["https://evil.example/", "//evil.example", "/\\evil.example", "https:evil.example", "javascript:alert(1)"]
NAMES = ("next", "back", "url", "redirect", "return", "to", "uri", "q")


@override_settings(API_RATES=RATES)
def test_a_form_of_another_site_changes_nothing_anywhere(acme):
    """Every route and method that writes, with the person's cookie and without the page's token."""
    client = acme.client(enforce_csrf_checks=True)
    client.cookies.update(acme.browser().cookies)
    found = {}
    for method, route, _ in ALL_ROUTES:
        if method != "GET":
            media = "application/json" if route.startswith(REST) else "application/x-www-form-urlencoded"
            answer = client.generic(method, sample(route), "{}" if "json" in media else "", content_type=media)
            if answer.status_code not in (403, 405):
                found[method, route] = answer.status_code
    assert found == {}


@override_settings(API_RATES=RATES)
@pytest.mark.parametrize("evil", EVIL)
def test_no_way_back_leads_elsewhere(acme, evil):
    """Every console route, asked and posted to with every word for a way back."""
    browser, fields, found = acme.browser(), dict.fromkeys(NAMES, evil), {}
    for method, route, _ in ALL_ROUTES:
        if method not in ("GET", "POST") or route.startswith((*REST, "logout")):
            continue
        with transaction.atomic():
            answer = (browser.get if method == "GET" else browser.post)(sample(route), fields)
            transaction.set_rollback(True)
        if "evil" in answer.headers.get("Location", "") and not answer.headers["Location"].startswith("/"):
            found[method, route] = answer.headers["Location"]
    assert found == {}


@pytest.mark.parametrize("evil", EVIL)
def test_nor_does_the_sign_in_or_a_kept_view(acme, evil):
    signed = acme.client().post(LOGIN, {"email": "alice@example.test", "password": PASSWORD, "next": evil})
    kept = acme.browser().post("/views/", {"page": "users", "name": "v", "query": "q=a", "back": evil})
    assert (signed["Location"], kept["Location"]) == ("/", "/")


def test_fields_that_a_form_locks_stay_as_they_are(acme):
    group = Group.objects.create(name="vision", origin=GroupOrigin.PROVIDER, created_by="sign-in")
    GroupMember.objects.create(group=group, user=User.objects.get(email="bob@example.test"))
    forced = {"name": "admins", "description": "ours now", "members": "charlie@example.test", "origin": "local"}
    acme.browser().post(f"/access/groups/{group.pk}/edit/", forced)
    group.refresh_from_db()
    assert (group.name, group.origin) == ("vision", GroupOrigin.PROVIDER)
    assert [row.email for row in group.members.all()] == ["bob@example.test"]


def test_preferences_set_nothing_but_preferences(acme):
    acme.browser("bob@example.test").post(
        "/preferences/", {"theme": "dark", "is_active": "", "email": "x@example.test", "must_change_password": "on"}
    )
    bob = User.objects.get(email="bob@example.test")
    assert (bob.theme, bob.is_active, bob.must_change_password) == ("dark", True, False)


@pytest.mark.parametrize("twin", ["BOB@example.test", "Bob@Example.Test"])
def test_one_address_is_one_account_in_any_case(acme, alice, twin):
    with pytest.raises(Conflict):
        create_user(actor=alice, email=twin, password=PASSWORD)
    assert acme.client().post(LOGIN, {"email": twin, "password": PASSWORD}).status_code == 302


def test_letters_that_only_become_alike_in_capitals_are_two_names(acme):
    """``ſ`` in capitals is ``S``: by UPPER, one of these would be found for the other."""
    Group.objects.create(name="\u017fales", created_by="x")
    assert not Group.objects.filter(name__same="Sales").exists()
    assert Group.objects.filter(name__same="\u017fALES").exists()
