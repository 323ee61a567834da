"""The pages of settings and identity providers, and the test of a connection."""

import pytest

from access.models import AuditEntry, IdentityProvider, Setting
from access.services.providers import secret_of
from access.services.settings import read_settings
from tests.access.oidc_worlds import lying_provider
from tests.access.saml_world import Provider
from tests.conftest import grant

pytestmark = pytest.mark.services
SETTINGS = {"idle": "30", "redirect": "", "logout": "", "retention": "90"}


@pytest.fixture(autouse=True)
def near(settings):
    settings.SSO_PRIVATE_ADDRESSES = True


@pytest.fixture
def browser(acme):
    return acme.browser()


def oidc_form(base="https://idp.example", **more):
    return {
        "name": "Example login",
        "alias": "example",
        "enabled": "on",
        "discovery": f"{base}/.well-known/openid-configuration",
        "client_id": "console",
        "client_secret": "s3cret",
        "scopes": "email groups",
        "claim": "department",
        "claim_values": "ml, ops",
        "groups": "roles",
    } | more


def test_settings_are_saved_and_only_what_changed_is_audited(browser):
    answer = browser.post("/settings/save", SETTINGS | {"mfa": "on", "idle": "30"})
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    assert read_settings(["mfaRequired", "browserSessionTimeout"]) == {
        "mfaRequired": True,
        "browserSessionTimeout": {"idleTimeout": 30},
    }
    changed = AuditEntry.objects.filter(entity_type="setting").values_list("entity_id", flat=True)
    assert set(changed) == {"mfaRequired", "browserSessionTimeout"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"idle": "0"}, b"greater than or equal to 1"),
        ({"retention": "3"}, b"greater than or equal to 30"),
        ({"logout": "javascript:alert(1)"}, b"Must be an address that begins with"),
        ({"redirect": "nobody"}, b"not one of the available choices"),
    ],
)
def test_a_wrong_value_saves_nothing_and_says_why(browser, wrong, says):
    answer = browser.post("/settings/save", SETTINGS | {"mfa": "on"} | wrong)
    assert (answer.status_code, says in answer.content) == (422, True)
    assert not Setting.objects.exists()


def test_only_who_may_change_settings_sees_and_saves_them(acme):
    grant("bob@example.test", "viewer")
    browser = acme.browser("bob@example.test")
    assert browser.get("/settings/").status_code == 403
    assert browser.post("/settings/save", SETTINGS).status_code == 403


def test_a_provider_is_made_and_changed_by_form(browser):
    made = browser.post("/settings/sign-in/new/oidc/", oidc_form())
    assert made["Location"] == "/settings/sign-in/example/"
    row = IdentityProvider.objects.get()
    assert (row.kind, row.enabled, secret_of(row)) == ("oidc", True, "s3cret")
    assert row.data["mandatoryClaim"] == {"claim": "department", "values": ["ml", "ops"]}
    assert (row.data["scopes"], row.mappers["groups"], row.mappers["email"]) == (["email", "groups"], "roles", "email")
    page = browser.get("/settings/sign-in/example/").content
    assert b"s3cret" not in page
    assert b"/sso/example/callback" in page
    changed = oidc_form(name="Other", client_secret="", enabled="")
    assert browser.post("/settings/sign-in/example/", changed).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.enabled, secret_of(row)) == ("Other", False, "s3cret")


def test_a_new_address_wants_the_secret_again(browser):
    browser.post("/settings/sign-in/new/oidc/", oidc_form())
    answer = browser.post("/settings/sign-in/example/", oidc_form("https://evil.example", client_secret=""))
    assert answer.status_code == 422
    assert b"must be given" in answer.content.lower()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"discovery": "ftp://x"}, b"Must be an address"),
        ({"alias": "No Spaces"}, b"lower-case letters"),
        ({"claim_values": ""}, b"Must be an object with claim and values"),
    ],
)
def test_a_wrong_provider_is_refused_at_its_field(browser, wrong, says):
    answer = browser.post("/settings/sign-in/new/oidc/", oidc_form(**wrong))
    assert (answer.status_code, says in answer.content) == (422, True)
    assert not IdentityProvider.objects.exists()


def outcome(browser, alias="example"):
    page = browser.post(f"/settings/sign-in/{alias}/test").content.decode()
    return page.split('class="checks"')[1].split("</ul>")[0]


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ({"token_answer": (400, {"error": "invalid_grant"})}, "knows the client id and its secret"),
        ({"token_answer": (401, {"error": "invalid_client"})}, "does not know this client id"),
        ({"document": {"issuer": "https://evil.example"}}, "is that of"),
        ({"document": {"jwks_uri": "http://127.0.0.1:9/"}}, "key set cannot be read"),
    ],
)
def test_the_test_says_what_is_wrong_before_people_find_out(browser, lie, says):
    with lying_provider() as world:
        world.__dict__.update(lie)
        browser.post("/settings/sign-in/new/oidc/", oidc_form(world.base))
        assert says in outcome(browser)
    entry = AuditEntry.objects.filter(action="test").get()
    assert any(says in text for text in entry.after["checks"])


def test_a_saml_provider_is_made_from_its_metadata_and_tested(browser, tmp_path):
    form = {"name": "Corp", "alias": "corp", "enabled": "on", "metadata_file": Provider(tmp_path).metadata}
    assert browser.post("/settings/sign-in/new/saml/", form).status_code == 302
    said = outcome(browser, "corp")
    assert "https://idp.example.test/metadata" in said
    assert "certificate is valid until" in said
    assert "st-failed" not in said


def test_the_address_of_us_may_be_asked_for_by_nobody_in_particular(acme, browser, tmp_path):
    form = {"name": "Corp", "alias": "corp", "enabled": "on", "metadata_file": Provider(tmp_path).metadata}
    browser.post("/settings/sign-in/new/saml/", form)
    assert b"/sso/corp/callback" in acme.client().get("/sso/corp/metadata").content


def test_a_removed_provider_is_gone(browser):
    browser.post("/settings/sign-in/new/oidc/", oidc_form())
    assert browser.post("/settings/sign-in/example/delete").status_code == 302
    assert not IdentityProvider.objects.exists()
