"""A tenant's own look in a real browser: set on its page, clean in every theme and width, and gone again."""

from __future__ import annotations

import pytest

from access.services.bootstrap import system_actor
from access.services.brand import change_brand, remove_logo
from tests.access.pictures import png
from tests.browser.conftest import signed_in
from tests.browser.test_browser_quality import _axe, _sideways

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]
NAME = "Atlas compute platform of ours"


@pytest.fixture
def plain(site):
    """The product's own look again, whatever happens."""
    yield

    def reset() -> None:
        change_brand(actor=system_actor(), name="", colour="")
        remove_logo(actor=system_actor())

    site.rows(reset)


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (1366, "light"),
        (390, "dark"),
        pytest.param(1366, "dark", marks=pytest.mark.long),
        pytest.param(390, "light", marks=pytest.mark.long),
    ],
)
def test_a_look_is_uploaded_and_clean_everywhere(browser, site, plain, width, theme):
    wrong: list[str] = []
    shape = {"viewport": {"width": width, "height": 844}, "color_scheme": theme}
    for tab in signed_in(browser, site, **shape):
        page = tab.open("/settings/branding/")
        page.fill("[name=name]", NAME)
        page.fill("[name=colour]", "#ffd400")
        picture = {"name": "logo.png", "mimeType": "image/png", "buffer": png(160, 48)}
        page.set_input_files("[name=logo]", picture)
        page.get_by_role("button", name="Save the look").click()
        page.get_by_text("The look was saved").wait_for()
        for address in ("/settings/branding/", "/access/rules/", "/account/"):
            page = tab.open(address)
            assert page.title().endswith(NAME)
            assert page.locator(".brand img").first.evaluate("el => el.naturalWidth") == 160
            wrong += _sideways(page, address) + _axe(page, address)
    context = browser.new_context(base_url=site.url, **shape)
    page = context.new_page()
    page.goto("/login/")
    assert page.locator(".auth-brand").inner_text() == NAME
    wrong += _sideways(page, "login") + _axe(page, "login")
    context.close()
    assert wrong == []
