"""Signing in with everything that an account may need, and the life of an access right: given, used, taken, found."""

from __future__ import annotations

import base64
import re
import time

import pytest
from playwright.sync_api import expect

from access.auth import totp
from access.models import IdentityProvider, Setting, User
from access.services import factors
from access.services.bootstrap import system_actor
from access.services.providers import create_provider
from access.services.users import create_user
from tenants.models import Domain
from tests.browser.conftest import signed_in
from tests.browser.test_browser_quality import _axe, _sideways
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]
OWN = "a phrase of my own"


def code(key: str, ahead: int = 0) -> str:
    """What an app shows that was given this key; ``ahead`` steps of 30 seconds from now."""
    secret = base64.b32decode(key.replace(" ", "") + "=" * (-len(key.replace(" ", "")) % 8))
    return totp.code_at(secret, int(time.time() // totp.STEP_S) + ahead)


def person(site, email: str, **more: object) -> None:
    site.rows(lambda: create_user(actor=system_actor(), email=email, password=PASSWORD, **more))  # type: ignore[arg-type]


def show_password(page, email: str, password: str = PASSWORD) -> None:
    page.goto("/login/?local")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.get_by_role("button", name="Sign in").click()


def test_a_right_is_given_used_taken_and_found_in_the_audit(tab, browser, site):
    """Invite, sign in with a second factor, delegate, revoke, look it up."""
    page = tab.open("/access/users/new/")
    page.fill("[name=email]", "mira@example.test")
    page.fill("[name=password]", PASSWORD)
    page.select_option("[name=role]", "viewer")
    page.get_by_role("button", name="Create user").click()
    expect(page.locator(".toasts")).to_contain_text("mira@example.test can sign in")

    own = browser.new_context(base_url=site.url)
    hers = own.new_page()
    show_password(hers, "mira@example.test")
    expect(hers.locator("h1")).to_have_text("Choose your own password")
    hers.fill("[name=new]", OWN)
    hers.fill("[name=again]", OWN)
    hers.get_by_role("button", name="Save and continue").click()
    hers.goto("/account/")
    hers.get_by_role("link", name="Add an authenticator app").click()
    hers.get_by_text("Cannot scan it?").click()
    key = hers.locator(".key").inner_text()
    hers.fill("[name=code]", code(key))
    hers.get_by_role("button", name="Confirm").click()
    expect(hers.locator("#codes li")).to_have_count(10)
    hers.get_by_role("link", name="I have kept them").click()
    hers.get_by_role("button", name="Account of mira@example.test").click()
    hers.get_by_role("button", name="Sign out").click()
    show_password(hers, "mira@example.test", OWN)
    expect(hers.locator("h1")).to_have_text("One more step")
    hers.fill("[name=code]", code(key, 1))
    hers.get_by_role("button", name="Continue").click()
    hers.wait_for_url(re.compile("/$"))
    assert hers.goto("/access/users/").status == 403

    page.goto(site.url + "/access/rules/new/")
    page.fill("[name=who]", "mira@example.test")
    page.select_option("[name=role]", "department-administrator")
    page.get_by_role("button", name="Give the role").click()
    assert hers.goto("/access/users/").status == 200

    page.goto(site.url + "/access/rules/?search=mira")
    row = page.locator("tbody tr", has_text="mira@example.test").filter(has_text="Department")
    row.get_by_role("link", name="Change the rule of mira@example.test").click()
    page.get_by_role("button", name="Remove the rule").click()
    expect(page).to_have_url(re.compile("/access/rules/"))
    assert hers.goto("/access/users/").status == 403
    own.close()

    page.goto(site.url + "/audit/?search=mira")
    for words in ("create", "delete", "sign-in"):
        expect(page.locator("tbody")).to_contain_text(words)


def test_a_passkey_of_the_browser_signs_in(browser, site):
    """On ``localhost``: a browser makes no passkeys for an address of numbers."""
    site.rows(
        lambda: Domain.objects.get_or_create(domain="localhost", defaults={"tenant": site.tenant, "is_primary": False})
    )
    person(site, "keys@example.test")
    own = browser.new_context(base_url=site.url.replace("127.0.0.1", "localhost"))
    page = own.new_page()
    devices = own.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"automaticPresenceSimulation": True}})
    show_password(page, "keys@example.test")
    page.goto("/account/")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#codes li")).to_have_count(10)
    page.goto("/account/")
    expect(page.get_by_role("strong").filter(has_text="Passkey of Chrome on Linux")).to_be_visible()
    own.clear_cookies()
    show_password(page, "keys@example.test")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: "/login/" not in url)
    page.goto("/account/")
    expect(page.get_by_text(re.compile("Passkey, added.*last used"))).to_be_visible()
    own.close()


@pytest.fixture
def needy(site):
    """An account for each step of the sign-in, and the tenant's setting for the last; taken back afterwards."""

    def make() -> None:
        for email, temporary in (
            ("temp@example.test", True),
            ("app@example.test", False),
            ("enrol@example.test", False),
        ):
            if not User.objects.filter(email=email).exists():
                create_user(actor=system_actor(), email=email, password=PASSWORD, temporary=temporary)
        user = User.objects.get(email="app@example.test")
        if not factors.has_factor(user):
            _, secret = factors.begin_app(user=user)
            factors.confirm_app(user=user, code=code(totp.base32(secret)))
        data = {
            "clientId": "c",
            "clientSecret": "s",
            "discoverDocumentUrl": "https://idp.example/.well-known/openid-configuration",
        }
        create_provider(
            actor=system_actor(), values={"type": "oidc", "alias": "corp", "name": "Corp", "oidcData": data}
        )
        Setting.objects.update_or_create(key="mfaRequired", defaults={"value": True, "updated_by": "test"})

    site.rows(make)
    yield
    site.rows(lambda: (Setting.objects.filter(key="mfaRequired").delete(), IdentityProvider.objects.all().delete()))


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (1366, "light"),
        (390, "dark"),
        pytest.param(1366, "dark", marks=pytest.mark.long),
        pytest.param(390, "light", marks=pytest.mark.long),
    ],
)
def test_the_pages_before_and_around_a_session_are_clean(browser, site, needy, width, theme):
    shape = {"viewport": {"width": width, "height": 844}, "color_scheme": theme}
    wrong: list[str] = []

    def look(page, name: str) -> None:
        wrong.extend(_sideways(page, name) + _axe(page, name))

    for email, heading in (
        ("app@example.test", "One more step"),
        ("temp@example.test", "Choose your own password"),
        ("enrol@example.test", "Set up a second factor"),
    ):
        context = browser.new_context(base_url=site.url, **shape)
        page = context.new_page()
        page.goto("/login/")
        look(page, "login")
        show_password(page, email)
        expect(page.locator("h1")).to_have_text(heading)
        look(page, heading)
        context.close()
    site.rows(lambda: Setting.objects.filter(key="mfaRequired").delete())
    for tab in signed_in(browser, site, **shape):
        for address in (
            "/account/", "/account/password/", "/account/app/", "/account/confirm/", "/settings/", "/settings/sign-in/",
            "/settings/sign-in/new/saml/", "/settings/sign-in/corp/",
        ):  # fmt: skip
            look(tab.open(address), address)
    assert wrong == []
