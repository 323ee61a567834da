"""Who may keep an answer: nobody but the browser that asked, and that asks again before it shows it."""

import pytest
from django.test import override_settings
from django.utils.cache import has_vary_header

from runai_cp.settings import CSRF_COOKIE_NAME, SECURE_COOKIES, SESSION_COOKIE_NAME
from tests.access.test_access_matrix import ALL_ROUTES, ask, through

pytestmark = pytest.mark.services


def kept_alone(answer):
    said = answer.headers.get("Cache-Control", "")
    return ("private" in said and "no-cache" in said) or "no-store" in said


@override_settings(API_RATES={"read": 10**6, "write": 10**6, "token": 10**6})
def test_no_answer_may_be_kept_for_somebody_else(acme):
    clients = acme.api("alice@example.test"), acme.browser("alice@example.test")
    found = {}
    for route in dict.fromkeys(route for method, route, _ in ALL_ROUTES if method == "GET"):
        answer = ask(through(clients, route), "GET", route)
        varies = has_vary_header(answer, "Cookie") and has_vary_header(answer, "Authorization")
        if not kept_alone(answer) or not varies:
            found[route] = (answer.status_code, answer.headers.get("Cache-Control"), answer.headers.get("Vary"))
    assert found == {}


@pytest.mark.parametrize("path", ["/login/", "/login/code/", "/healthz", "/nothing-here/", "/sso/none/start"])
def test_nor_may_what_nobody_in_particular_asks_for(acme, path):
    assert kept_alone(acme.client().get(path))


def test_a_refresh_that_finds_nothing_new_says_the_same(acme):
    browser = acme.browser()
    fragment = {"HX-Request": "true", "HX-Request-Type": "partial"}
    tag = browser.get("/workloads/", headers=fragment)["ETag"]
    again = browser.get("/workloads/", headers=fragment | {"If-None-Match": tag})
    assert (again.status_code, kept_alone(again), has_vary_header(again, "Cookie")) == (304, True, True)


def test_one_tenants_tag_does_not_make_the_others_page_unchanged(acme, globex):
    """Both have nothing but equal names: the same bytes may have the same tag, and other bytes may not."""
    fragment = {"HX-Request": "true", "HX-Request-Type": "partial"}
    one, other = (home.browser().get("/workloads/", headers=fragment) for home in (acme, globex))
    if one.content != other.content:
        assert one["ETag"] != other["ETag"]
    page = globex.browser().get("/workloads/", headers=fragment | {"If-None-Match": one["ETag"]})
    assert page.status_code == (304 if one["ETag"] == other["ETag"] else 200)


def test_cookies_belong_to_one_host_alone(acme):
    """No domain is named; where cookies are secure, their prefix makes the browser insist on that."""
    browser = acme.browser()
    browser.get("/account/")
    for name in (SESSION_COOKIE_NAME, CSRF_COOKIE_NAME):
        cookie = browser.cookies[name]
        assert (cookie["domain"], cookie["path"]) == ("", "/")
        assert name.startswith("__Host-") is SECURE_COOKIES
