"""Signing in and out of the console, one's sessions, and the scope bar."""

import pytest

from access.models import Scope, User, UserSession
from tests.conftest import PASSWORD, grant
from tests.factories.scene import build_scene

pytestmark = pytest.mark.services


def sign_in(client, **extra):
    return client.post("/login/", {"email": "alice@example.test", "password": PASSWORD} | extra)


@pytest.mark.parametrize(
    ("wanted", "lands"),
    [
        ("/nodes/?q=a", "/nodes/?q=a"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_lands_where_one_wanted_but_never_elsewhere(acme, wanted, lands):
    assert sign_in(acme.client(), next=wanted)["Location"] == lands


def test_a_wrong_password_is_refused_without_saying_which_half(acme):
    client = acme.client()
    known = client.post("/login/", {"email": "alice@example.test", "password": "wrong"})
    unknown = client.post("/login/", {"email": "nobody@example.test", "password": "wrong"})
    assert known.status_code == unknown.status_code == 422
    assert b"do not belong together" in known.content
    assert b"do not belong together" in unknown.content


def test_a_fragment_without_a_session_is_sent_to_a_whole_login_page(acme):
    answer = acme.client().get("/workloads/", headers={"HX-Request": "true", "HX-Current-URL": "http://x/workloads/"})
    assert answer.status_code == 401
    assert answer["HX-Redirect"].startswith("/login/")
    assert answer.content == b""


def test_a_page_without_a_session_comes_back_after_login(acme):
    assert acme.client().get("/workloads/?q=a")["Location"] == "/login/?next=%2Fworkloads%2F%3Fq%3Da"


def test_ending_another_session_signs_that_browser_out(acme):
    one, other = acme.browser(), acme.browser()
    row = UserSession.objects.exclude(session_key=one.session.session_key).get()
    assert one.post(f"/account/sessions/{row.pk}/revoke").status_code == 302
    assert other.get("/account/").status_code == 302
    assert one.get("/account/").status_code == 200


def test_nobody_ends_somebody_elses_session(acme):
    grant("bob@example.test", "administrator")
    acme.browser("bob@example.test")
    row = UserSession.objects.get(user__email="bob@example.test")
    assert acme.browser().post(f"/account/sessions/{row.pk}/revoke").status_code == 404


def test_the_theme_is_kept_and_written_by_the_server(acme):
    client = acme.browser()
    assert client.post("/preferences/", {"theme": "dark"}, headers={"HX-Request": "true"}).status_code == 204
    assert User.objects.get(email="alice@example.test").theme == "dark"
    assert b'data-theme="dark"' in client.get("/account/").content
    assert client.post("/preferences/", {"theme": "pink"}).status_code == 400


def test_posting_without_a_token_is_refused(acme):
    answer = sign_in(acme.client(enforce_csrf_checks=True))
    assert answer.status_code == 403
    assert b"This page was open too long" in answer.content
    assert b"<style" not in answer.content


def test_signing_out_needs_a_post(acme):
    client = acme.browser()
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get("/account/").status_code == 302


def test_the_scope_narrows_lists_and_is_remembered(acme):
    scene = build_scene()
    client = acme.browser()
    body = client.get(f"/workloads/?scope={scene.projects['vision'].scope.pk}").content.decode()
    assert "clip-train-base" in body
    assert "asr-finetune-fr" not in body
    assert "asr-finetune-fr" not in client.get("/workloads/").content.decode()
    assert "asr-finetune-fr" in client.get("/workloads/?scope=all").content.decode()


@pytest.mark.parametrize("wanted", ["999999", "x", "-1", "9" * 30])
def test_a_scope_that_is_not_there_counts_as_everything(acme, wanted):
    assert acme.browser().get(f"/workloads/?scope={wanted}").status_code == 200


def test_the_scope_menu_offers_only_what_is_visible(acme):
    scene = build_scene()
    grant("bob@example.test", "researcher", scene.projects["vision"].scope)
    body = acme.browser("bob@example.test").get("/scope/project/?at=/workloads/").content.decode()
    assert "vision" in body
    assert "ranking" not in body


def test_the_scope_menu_links_stay_on_this_host(acme):
    body = acme.browser().get("/scope/cluster/?at=//evil.example/").content.decode()
    assert "evil" not in body


def test_a_rule_is_made_and_removed_in_the_console(acme):
    root = Scope.objects.get(kind="tenant")
    client = acme.browser()
    form = {"kind": "user", "who": "bob@example.test", "role": "viewer", "scope": root.pk}
    made = client.post("/access/rules/new/", form)
    assert made.status_code == 302
    assert "bob@example.test" in client.get("/access/rules/").content.decode()
    again = client.post("/access/rules/new/", form)
    assert again.status_code == 422
    assert b"already" in again.content
