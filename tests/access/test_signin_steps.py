"""What stands between a right password and a session: temporary passwords and second factors, in console and API."""

import re
import time

import pytest
from django_tenants.utils import tenant_context
from hypothesis import given
from hypothesis import strategies as st

from access.auth import totp
from access.grants import Actor, Grant
from access.models import AuditEntry, Setting, User
from access.roles import Action
from access.services import factors
from access.services.scopes import root_scope
from runai_cp.lib.errors import NotAllowed
from tests.conftest import PASSWORD, grant

pytestmark = pytest.mark.services
BOB = "bob@example.test"
SECRET = b"12345678901234567890"


@pytest.fixture
def bob(acme):
    return User.objects.get(email=BOB)


@pytest.fixture
def app(bob):
    """Bob's authenticator app: ``app()`` is a code that was not used yet; ``app.recovery`` his recovery codes."""
    row, secret = factors.begin_app(user=bob)

    def code(ahead=1):
        return totp.code_at(secret, int(time.time() // totp.STEP_S) + ahead)

    code.recovery = factors.confirm_app(user=bob, code=code(-1))
    code.row = row
    return code


def password_shown(home, password=PASSWORD):
    client = home.client()
    return client, client.post("/login/?next=/account/", {"email": BOB, "password": password, "next": "/account/"})


def inside(client):
    return client.get("/account/").status_code == 200


def require_factor():
    Setting.objects.create(key="mfaRequired", value=True, updated_by="test")


# RFC 6238 appendix B, the SHA-1 column, last six of its eight digits.
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds, code):
    assert totp.code_at(SECRET, seconds // totp.STEP_S) == code


@given(st.binary(min_size=20, max_size=20), st.integers(10, 10**8), st.integers(-4, 4))
def test_a_code_counts_one_step_early_or_late_and_once(secret, step, drift):
    code = totp.code_at(secret, step + drift)
    found = totp.matching_step(secret, code, now=step * totp.STEP_S, after=0)
    if abs(drift) <= totp.DRIFT:
        assert found is not None
        assert totp.matching_step(secret, code, now=step * totp.STEP_S, after=step + totp.DRIFT) is None
    elif found is not None:  # another step of the window has the same six digits
        assert totp.code_at(secret, found) == code


def test_a_temporary_password_is_changed_before_anything_else(acme, bob):
    User.objects.filter(pk=bob.pk).update(must_change_password=True)
    client, answer = password_shown(acme)
    assert answer["Location"] == "/login/password/"
    assert not inside(client)
    same = client.post("/login/password/", {"new": PASSWORD, "again": PASSWORD})
    assert (same.status_code, b"somebody else has seen this one" in same.content) == (422, True)
    done = client.post("/login/password/", {"new": "a phrase of my own", "again": "a phrase of my own"})
    assert done["Location"] == "/account/"
    assert inside(client)
    assert not User.objects.get(pk=bob.pk).must_change_password


def test_with_a_factor_the_password_alone_opens_nothing(acme, app):
    client, answer = password_shown(acme)
    assert answer["Location"] == "/login/code/"
    assert not inside(client)
    assert (
        client.post("/login/password/", {"new": "a phrase of my own", "again": "a phrase of my own"}).status_code == 302
    )
    assert client.get("/api/v1/users").status_code == 401
    assert client.post("/login/code/", {"code": app()})["Location"] == "/account/"
    assert inside(client)


def test_the_session_key_changes_at_every_step(acme, app):
    client = acme.client()
    client.get("/login/")
    client.post("/login/", {"email": BOB, "password": PASSWORD})
    first = client.session.session_key
    client.post("/login/code/", {"code": app()})
    assert client.session.session_key != first


@pytest.mark.parametrize("shown", ["000000", "abc", "", "1" * 39, "١٢٣٤٥٦"])
def test_a_wrong_code_is_refused_and_audited(acme, app, shown):
    client, _ = password_shown(acme)
    assert client.post("/login/code/", {"code": shown}).status_code == 422
    assert not inside(client)
    if shown:
        assert AuditEntry.objects.latest("id").after == {"reason": "wrong second factor"}


def test_a_code_opens_one_session_only(acme, app):
    code = app()
    one, _ = password_shown(acme)
    two, _ = password_shown(acme)
    assert one.post("/login/code/", {"code": code}).status_code == 302
    assert two.post("/login/code/", {"code": code}).status_code == 422


def test_guessing_codes_locks_even_the_right_one_out(acme, app, bob):
    client, _ = password_shown(acme)
    for _ in range(factors.FREE_FAILURES):
        client.post("/login/code/", {"code": "000000"})
    answer = client.post("/login/code/", {"code": app()})
    assert (answer.status_code, b"Too many wrong codes" in answer.content) == (422, True)
    User.objects.filter(pk=bob.pk).update(factor_locked_until=None)
    assert client.post("/login/code/", {"code": app()}).status_code == 302
    assert User.objects.get(pk=bob.pk).factor_failures == 0


def test_each_further_failure_locks_for_twice_as_long_up_to_a_day(acme, app, bob):
    spans = []
    for failures in (4, 5, 6, 500):
        bob.factor_failures = failures
        factors.count_failure(bob)
        spans.append(round((bob.factor_locked_until.timestamp() - time.time()) / 60))
    assert spans == [5, 10, 20, 1440]


def test_a_recovery_code_works_once_in_any_case_and_without_its_dash(acme, app):
    code = app.recovery[3].upper().replace("-", " ")
    one, _ = password_shown(acme)
    two, _ = password_shown(acme)
    assert one.post("/login/code/", {"code": code}).status_code == 302
    assert two.post("/login/code/", {"code": code}).status_code == 422


def test_recovery_codes_are_kept_as_keyed_hashes_of_one_person(acme, app, bob):
    kept = set(bob.recovery_codes.values_list("code_hash", flat=True))
    assert len(kept) == 10
    assert not any(code.replace("-", "") in text for code in app.recovery for text in kept)
    alice = User.objects.get(email="alice@example.test")
    assert factors._use_recovery_code(alice, app.recovery[0]) == ""


def test_the_secret_of_an_app_is_sealed_for_its_row(acme, app):
    app.row.refresh_from_db()
    other, secret = factors.begin_app(user=User.objects.get(email="alice@example.test"))
    assert secret not in bytes(other.secret)
    with pytest.raises(ValueError, match="does not belong here"):
        factors.unseal(bytes(app.row.secret), factors._place(other))


def test_a_tenant_that_requires_a_factor_enrols_at_the_door(acme, bob):
    require_factor()
    client, answer = password_shown(acme)
    assert answer["Location"] == "/login/enrol/"
    assert not inside(client)
    page = client.get("/login/enrol/").content.decode()
    secret = "".join(re.search(r'class="key"[^>]*>([A-Z2-7 ]+)<', page)[1].split())
    assert secret == totp.base32(factors.begin_app(user=bob)[1])
    code = totp.code_at(factors.begin_app(user=bob)[1], int(time.time() // totp.STEP_S))
    shown = client.post("/login/enrol/", {"code": code})
    assert len(re.findall(r"<li><code>[a-z0-9]{5}-[a-z0-9]{5}</code>", shown.content.decode())) == 10
    assert inside(client)


def test_the_qr_code_is_drawn_without_styles(acme, bob):
    require_factor()
    client, _ = password_shown(acme)
    svg = re.search(r"<svg class=\"qr\".*?</svg>", client.get("/login/enrol/").content.decode(), re.S)[0]
    assert "style" not in svg
    assert svg.count("M") > 100


def test_where_a_factor_is_required_the_last_one_stays(acme, app, bob):
    require_factor()
    with pytest.raises(factors.Conflict, match="Everybody here needs"):
        factors.remove_factor(user=bob, factor_id=app.row.pk)


def test_removing_the_last_factor_ends_its_recovery_codes(acme, app, bob):
    factors.remove_factor(user=bob, factor_id=app.row.pk)
    assert not bob.recovery_codes.exists()
    client, _ = password_shown(acme)
    assert inside(client)


def test_nobody_removes_somebody_elses_factor(acme, app):
    client = acme.browser("alice@example.test")
    assert client.post(f"/account/factors/{app.row.pk}/remove").status_code == 302
    assert User.objects.get(email=BOB).factors.filter(confirmed=True).exists()


def test_an_administrator_resets_factors_and_it_is_audited(acme, app, bob):
    client = acme.browser("alice@example.test")
    client.post("/access/users/bulk", {"verb": "reset-factors", "ids": str(bob.pk)})
    assert not bob.factors.exists()
    entry = AuditEntry.objects.filter(entity_type="second-factor", action="reset").get()
    assert (entry.actor_name, entry.after) == ("alice@example.test", {"kinds": ["totp"]})


def test_nobody_resets_the_factors_of_somebody_who_may_do_more(acme, app, bob):
    grant(BOB, "administrator")
    helper = Actor("user", "h", "helper", (Grant("custom", frozenset({Action.USER_UPDATE}), root_scope().path),))
    with pytest.raises(NotAllowed, match="may do more"):
        factors.reset_factors(actor=helper, user=bob)
    assert bob.factors.exists()


def test_the_other_tenants_bob_signs_in_with_his_password_alone(acme, globex, app):
    require_factor()
    with tenant_context(globex.tenant):
        client = globex.browser(BOB)
    assert inside(client)


def test_changing_factors_asks_for_the_password_once_more(acme, bob):
    client = acme.browser(BOB)
    session = client.session
    session["fresh"] = 0
    session.save()
    asked = client.get("/account/app/")
    assert asked["Location"] == "/account/confirm/?next=%2Faccount%2Fapp%2F"
    assert client.post("/account/confirm/", {"password": "wrong", "next": "/account/app/"}).status_code == 422
    again = client.post("/account/confirm/", {"password": PASSWORD, "next": "/account/app/"})
    assert again["Location"] == "/account/app/"
    assert client.get("/account/app/").status_code == 200


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/account/", "/logout/"])
def test_the_page_that_asks_leads_nowhere_else(acme, wanted):
    answer = acme.browser(BOB).post("/account/confirm/", {"password": PASSWORD, "next": wanted})
    assert answer["Location"] == "/account/"


def test_changing_ones_password_keeps_this_session_and_ends_the_others(acme):
    one, other, program = acme.browser(BOB), acme.browser(BOB), acme.api(BOB)
    form = {"current": PASSWORD, "new": "a phrase of my own", "again": "a phrase of my own"}
    assert one.post("/account/password/", form)["Location"] == "/account/"
    assert (inside(one), inside(other)) == (True, False)
    assert program.get("/api/v1/users").status_code == 401


def test_a_sign_in_under_way_ends_with_the_password_it_began_with(acme, app, bob):
    client, _ = password_shown(acme)
    bob.set_password("another phrase entirely")
    bob.save()
    assert client.post("/login/code/", {"code": app()})["Location"] == "/login/"


def test_a_sign_in_under_way_does_not_last(acme, app):
    client, _ = password_shown(acme)
    session = client.session
    session["pending"] = session["pending"] | {"at": 0}
    session.save()
    assert client.post("/login/code/", {"code": app()})["Location"] == "/login/"


# --- the API's password grant ---


def token(home, **extra):
    body = {"grantType": "password", "username": BOB, "password": PASSWORD} | extra
    return home.client().post("/api/v1/token", body, content_type="application/json")


def test_the_password_grant_takes_the_code_in_a_field(acme, app):
    missing = token(acme).json()["errors"]
    assert [(item["field"], "second factor" in item["message"]) for item in missing] == [("otp", True)]
    assert token(acme, otp="000000").status_code == 400
    assert token(acme, otp=app()).status_code == 200
    assert token(acme, otp=app.recovery[0]).status_code == 200


def test_the_second_version_says_mfa_required(acme, app):
    body = {"grant_type": "password", "username": BOB, "password": PASSWORD}
    answer = acme.client().post("/api/v2/token", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "mfa_required")
    again = acme.client().post("/api/v2/token", {**body, "otp": app()}, content_type="application/json")
    assert again.status_code == 200


def test_a_wrong_password_says_nothing_of_the_factor(acme, app):
    answer = token(acme, password="wrong horse")
    assert answer.json()["message"] == "The e-mail address or the password is wrong."


def test_what_only_the_console_can_do_is_said(acme, bob):
    User.objects.filter(pk=bob.pk).update(must_change_password=True)
    assert "choose your own" in token(acme).json()["message"]
    User.objects.filter(pk=bob.pk).update(must_change_password=False)
    require_factor()
    assert "set one up" in token(acme).json()["message"]
