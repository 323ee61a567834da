"""How long a session lasts, what keeps it alive, and how its owner ends it."""

import time

import pytest

from access.models import AuditEntry, Setting, UserSession
from tests.conftest import PASSWORD

pytestmark = pytest.mark.services
BOB = "bob@example.test"


@pytest.fixture
def browser(acme):
    return acme.browser(BOB)


def age(client, **seconds):
    """Move the clock of a session back: ``seen`` or ``began``."""
    session = client.session
    for key, value in seconds.items():
        session[key] = int(time.time()) - value
    session.save()


def inside(client, **headers):
    return client.get("/account/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("minutes", "idle_s", "lasts"), [(1, 50, True), (1, 70, False), (60, 3500, True), (60, 3700, False)]
)
def test_an_idle_session_ends_after_the_tenants_time_out(browser, minutes, idle_s, lasts):
    Setting.objects.create(key="browserSessionTimeout", value={"idleTimeout": minutes}, updated_by="test")
    age(browser, seen=idle_s)
    assert inside(browser) is lasts


def test_a_shorter_time_out_ends_sessions_that_are_open(browser):
    age(browser, seen=600)
    Setting.objects.create(key="browserSessionTimeout", value={"idleTimeout": 5}, updated_by="test")
    assert not inside(browser)


def test_a_session_that_ended_is_gone_and_audited(browser):
    age(browser, seen=10**6)
    inside(browser)
    assert not UserSession.objects.filter(user__email=BOB).exists()
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.actor_name, entry.after) == (
        "session-ended",
        BOB,
        {"reason": "it was idle for too long"},
    )


def test_a_page_that_refreshes_itself_keeps_nothing_alive(browser):
    age(browser, seen=1800)
    before = browser.session["seen"]
    assert inside(browser, **{"X-Live": "1"})
    assert browser.session["seen"] == before
    assert inside(browser)
    assert browser.session["seen"] > before


def test_no_session_outlives_its_longest_life_however_busy(browser, settings):
    settings.SESSION_COOKIE_AGE = 3600
    age(browser, began=3590)
    assert inside(browser)
    age(browser, began=3610)
    assert not inside(browser)


def test_a_busy_session_asks_for_no_setting(browser, django_assert_max_num_queries):
    inside(browser)
    with django_assert_max_num_queries(11) as queries:
        inside(browser)
    assert not [query for query in queries if "access_setting" in query["sql"]]


def test_all_other_sessions_end_with_one_click(acme, browser):
    others = [acme.browser(BOB), acme.browser(BOB)]
    alice = acme.browser()
    assert browser.post("/account/sessions/revoke").status_code == 302
    assert [inside(client) for client in (browser, *others, alice)] == [True, False, False, True]
    assert AuditEntry.objects.filter(action="revoke-session", actor_name=BOB).count() == 2


def test_the_list_shows_only_sessions_that_still_open_something(acme, browser):
    other = acme.browser(BOB)
    other.session.flush()
    page = browser.get("/account/").content.decode()
    assert page.count("this one") == 1
    assert "End all others" not in page


def test_a_planted_session_key_is_not_kept(acme, settings):
    client = acme.client()
    client.get("/login/")
    planted = client.session
    planted["planted"] = 1
    planted.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = planted.session_key
    client.post("/login/", {"email": BOB, "password": PASSWORD})
    assert client.session.session_key != planted.session_key


def test_signing_out_leads_to_the_tenants_page(browser):
    Setting.objects.create(key="logoutRedirectUri", value={"uri": "https://intranet.example/"}, updated_by="test")
    page = browser.post("/logout/")
    assert b'content="0;url=https://intranet.example/"' in page.content
    assert not inside(browser)
