"""The command signs in through the browser: code with PKCE, device code, refresh, and the end of it."""

import base64
import hashlib
import secrets
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.utils import timezone

from access.models import AuditEntry, Authorization, RefreshToken, User
from access.services.applications import hash_secret
from access.services.authorizations import is_loopback

pytestmark = pytest.mark.services
FORM = "application/x-www-form-urlencoded"
HERE = "http://127.0.0.1:43121/callback"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def question(verifier, **changes):
    asked = {
        "response_type": "code",
        "client_id": "runai-cli",
        "redirect_uri": HERE,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        "state": "xyz",
        "label": "laptop",
    }
    return "/authorize/?" + urlencode({**asked, **changes})


def trade(home, **fields):
    return home.client().post("/api/v2/token", urlencode(fields), content_type=FORM)


def approved(home, verifier):
    answer = home.browser().post(question(verifier), {"answer": "yes"})
    assert answer.status_code == 302, answer.content[:300]
    return parse_qs(urlsplit(answer["Location"]).query)


def use(home, code, verifier, redirect_uri=HERE):
    return trade(home, grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=redirect_uri)


def signed_in(home):
    verifier = secrets.token_urlsafe(48)
    return use(home, approved(home, verifier)["code"][0], verifier).json()


def reaches(home, token):
    return home.client(headers={"authorization": f"Bearer {token}"}).get("/api/v1/users").status_code


def test_a_code_is_traded_once_by_who_knows_the_verifier(acme):
    verifier = secrets.token_urlsafe(48)
    back = approved(acme, verifier)
    assert back["state"] == ["xyz"]
    assert use(acme, back["code"][0], verifier).status_code == 200
    again = use(acme, back["code"][0], verifier)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_grant")


@pytest.mark.parametrize(
    ("verifier", "redirect"), [("w" * 64, HERE), ("short", HERE), (None, "http://127.0.0.1:1/callback")]
)
def test_a_stolen_code_is_worth_nothing(acme, verifier, redirect):
    right = secrets.token_urlsafe(48)
    code = approved(acme, right)["code"][0]
    assert use(acme, code, right if verifier is None else verifier, redirect).status_code in (400, 401)
    assert use(acme, code, right).status_code == 401, "a failed try uses the code up"


def test_a_code_is_good_for_a_minute(acme):
    verifier = secrets.token_urlsafe(48)
    code = approved(acme, verifier)["code"][0]
    Authorization.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert use(acme, code, verifier).status_code == 401


def test_another_tenant_does_not_know_the_code(acme, globex):
    verifier = secrets.token_urlsafe(48)
    code = approved(acme, verifier)["code"][0]
    assert use(globex, code, verifier).status_code == 401


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "http://evil.example:80/",
        "http://127.0.0.1/",
        "http://127.0.0.1.evil.example:80/",
        "http://u@127.0.0.1:80/",
        "http://127.0.0.1:80/?a=1",
        "http://127.0.0.1:80/#a",
        "javascript:alert(1)",
        "http://[::1",
        "",
    ],
)
def test_a_code_goes_to_this_machine_alone(acme, address):
    assert not is_loopback(address)
    answer = acme.browser().post(question("v" * 43, redirect_uri=address), {"answer": "yes"})
    assert answer.status_code >= 400
    assert not Authorization.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "token"},
        {"client_id": "other"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
    ],
)
def test_a_wrong_question_is_answered_here_and_not_sent_on(acme, changes):
    assert acme.browser().get(question("v" * 43, **changes)).status_code >= 400


def test_looking_hands_out_nothing(acme):
    answer = acme.browser().get(question("v" * 43))
    assert answer.status_code == 200
    assert not Authorization.objects.exists()
    assert "form-action 'self' http://127.0.0.1:43121" in answer["Content-Security-Policy"]


def test_a_form_of_another_site_approves_nothing(acme):
    client = acme.client(enforce_csrf_checks=True)
    client.cookies.update(acme.browser().cookies)
    assert client.post(question("v" * 43), {"answer": "yes"}).status_code == 403
    assert not Authorization.objects.exists()


def test_saying_no_tells_the_program(acme):
    answer = acme.browser().post(question("v" * 43), {"answer": "no"})
    assert "error=access_denied" in answer["Location"]


def test_signing_out_ends_the_access_token_with_the_next_request(acme):
    got = signed_in(acme)
    assert reaches(acme, got["access_token"]) == 200
    done = acme.client().post("/api/v2/token/revoke", urlencode({"token": got["refresh_token"]}), content_type=FORM)
    assert done.status_code == 200
    assert reaches(acme, got["access_token"]) == 401
    assert trade(acme, grant_type="refresh_token", refresh_token=got["refresh_token"]).status_code == 401


def test_a_refresh_token_that_comes_twice_ends_its_sign_in_alone(acme):
    got, other = signed_in(acme), signed_in(acme)
    following = trade(acme, grant_type="refresh_token", refresh_token=got["refresh_token"]).json()
    assert reaches(acme, following["access_token"]) == 200
    assert trade(acme, grant_type="refresh_token", refresh_token=got["refresh_token"]).status_code == 401
    assert reaches(acme, following["access_token"]) == 401
    assert reaches(acme, other["access_token"]) == 200


def test_nothing_can_be_learnt_by_revoking(acme):
    done = acme.client().post("/api/v2/token/revoke", urlencode({"token": "unknown"}), content_type=FORM)
    assert (done.status_code, done.json()) == (200, {})


def ask_device(home):
    body = urlencode({"client_id": "runai-cli", "label": "cluster-login"})
    return home.client().post("/api/v2/device", body, content_type=FORM).json()


def poll(home, device_code, *, later=True):
    if later:
        Authorization.objects.update(polled_at=None)
    return trade(home, grant_type=DEVICE, device_code=device_code)


def test_a_device_waits_and_is_let_in_once(acme):
    asked = ask_device(acme)
    assert poll(acme, asked["device_code"]).json()["error"] == "authorization_pending"
    assert poll(acme, asked["device_code"], later=False).json()["error"] == "slow_down"
    browser = acme.browser()
    shown = browser.post("/device/", {"code": asked["user_code"].lower()}).content.decode()
    assert "cluster-login" in shown
    assert (
        "signs in as alice@example.test"
        in browser.post("/device/", {"code": asked["user_code"], "answer": "yes"}).content.decode()
    )
    got = poll(acme, asked["device_code"])
    assert reaches(acme, got.json()["access_token"]) == 200
    assert poll(acme, asked["device_code"]).json()["error"] == "invalid_grant"
    assert AuditEntry.objects.filter(entity_type="program-sign-in", action="approve").count() == 1


def test_a_refused_device_is_told_so(acme):
    asked = ask_device(acme)
    acme.browser().post("/device/", {"code": asked["user_code"], "answer": "no"})
    assert poll(acme, asked["device_code"]).json()["error"] == "access_denied"


def test_a_device_that_took_too_long_asks_anew(acme):
    asked = ask_device(acme)
    Authorization.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert poll(acme, asked["device_code"]).json()["error"] == "expired_token"
    assert acme.browser().post("/device/", {"code": asked["user_code"]}).status_code == 422


def test_guessing_codes_is_braked(acme):
    browser = acme.browser()
    said = [browser.post("/device/", {"code": "BBBBBBBB"}).content.decode() for _ in range(11)]
    assert "Too many codes" in said[-1]


def test_a_person_who_was_disabled_meanwhile_is_not_let_in(acme):
    asked = ask_device(acme)
    acme.browser().post("/device/", {"code": asked["user_code"], "answer": "yes"})
    User.objects.filter(email="alice@example.test").update(is_active=False)
    assert poll(acme, asked["device_code"]).status_code == 400


def test_a_program_is_signed_out_from_the_account_page(acme):
    got, other = signed_in(acme), signed_in(acme)
    browser = acme.browser()
    assert browser.get("/account/").content.decode().count("laptop</strong>") == 2
    family = RefreshToken.objects.get(token_hash=hash_secret(got["refresh_token"])).family
    stranger = acme.browser("bob@example.test")
    assert stranger.post(f"/account/programs/{family}/end").status_code == 404
    assert browser.post(f"/account/programs/{family}/end").status_code == 302
    assert reaches(acme, got["access_token"]) == 401
    assert reaches(acme, other["access_token"]) == 200
