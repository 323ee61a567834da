"""People's rights in a real browser: every page clean in both themes and widths, and an administrator's journeys."""

from __future__ import annotations

import uuid

import pytest

from access.models import AccessRule, AuditEntry, Group, Role, Scope, User
from access.services.authorizations import ask_device
from access.services.bootstrap import system_actor
from access.services.groups import create_group
from access.services.users import create_user
from tests.browser import test_browser_quality as quality
from tests.browser.conftest import signed_in
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]
MENUS = ("Filter", "Views", "Columns", "Export")


@pytest.fixture
def person(site):
    """Somebody new without any role: the address."""
    email = f"{uuid.uuid4().hex[:8]}@people.test"
    site.rows(lambda: create_user(actor=system_actor(), email=email, password=PASSWORD, name="New Person"))
    yield email
    site.rows(lambda: User.objects.filter(email=email).delete())


@pytest.fixture
def places(site):
    """Addresses of every page below Access, with something on each."""

    def make():
        suffix = uuid.uuid4().hex[:6]
        group = create_group(actor=system_actor(), name=f"vision {suffix}", members=["dana@example.test"])
        role = Role.objects.create(name=f"Auditor {suffix}", permission_sets=["event-history"], created_by="ops")
        rule = AccessRule.objects.filter(subject_name="dana@example.test").first()
        entry = AuditEntry.objects.filter(entity_type="access-rule").order_by("pk").first()
        scope = Scope.objects.filter(kind="project").order_by("pk").first()
        return group.pk, role.pk, [
            "/access/rules/", "/access/rules/?f=subjectType%3D%3Duser&f=roleName%3D%40A&sort=createdAt&order=desc",
            "/access/rules/new/", f"/access/rules/{rule.pk}/", "/access/users/", "/access/users/?q=nobody-here",
            "/access/users/new/", "/access/groups/", f"/access/groups/{group.pk}/", f"/access/groups/{group.pk}/edit/",
            "/access/groups/new/", "/access/applications/", "/access/applications/new/", "/access/keys/",
            "/access/roles/", "/access/roles/new/", f"/access/roles/{role.pk}/", f"/access/roles/{role.pk}/edit/",
            "/access/explain/", f"/access/explain/?subject=dana@example.test&at={scope.pk}",
            "/audit/", f"/audit/{entry.pk}/", "/audit/?columns=subject,action,before,after",
            "/account/keys/", "/device/",
        ]  # fmt: skip

    group, role, addresses = site.rows(make)
    yield addresses
    site.rows(lambda: (Group.objects.filter(pk=group).delete(), Role.objects.filter(pk=role).delete()))


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (1366, "light"),
        (390, "dark"),
        pytest.param(1366, "dark", marks=pytest.mark.long),
        pytest.param(390, "light", marks=pytest.mark.long),
    ],
)
def test_every_page_of_rights_is_clean(browser, site, places, width, theme):
    wrong: list[str] = []
    for tab in signed_in(browser, site, viewport={"width": width, "height": 844}, color_scheme=theme):
        for address in places:
            page = tab.open(address)
            page.evaluate(quality.OPEN_ALL)
            wrong += quality._sideways(page, address)
            wrong += quality._axe(page, address)
    assert wrong == []


def test_the_menus_and_dialogs_of_a_list_are_accessible(tab):
    page = tab.open("/access/users/")
    wrong = []
    for name in MENUS:
        page.locator(".bar").get_by_role("button", name=name).first.click()
        wrong += quality._axe(page, name)
        page.keyboard.press("Escape")
    page.get_by_role("checkbox", name="Select vera@example.test").check()
    page.get_by_role("region", name="Selected").get_by_role("button", name="Delete").click()
    wrong += quality._axe(page, "bulk dialog")
    assert wrong == []


def test_a_right_is_given_found_and_taken(tab, person):
    """Delegate, look at why, revoke, find both in the audit."""
    page = tab.open("/access/rules/new/")
    page.get_by_label("E-mail or name").fill(person)
    page.get_by_label("Role").select_option("viewer")
    page.get_by_role("button", name="Give the role").click()
    page.wait_for_url("**/access/rules/")
    page.get_by_role("searchbox").fill(person)
    row = page.get_by_role("row").filter(has_text=person)
    row.get_by_role("link", name=person, exact=True).click()
    assert "Viewer" in page.locator("#main").inner_text()
    page = tab.open(f"/access/rules/?q={person}")
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    assert "1 rule done" in page.locator("#main").inner_text()
    page = tab.open(f"/audit/?q={person}")
    told = page.locator("tbody").inner_text()
    assert "delete" in told
    assert "create" in told
    page.locator("tbody a").first.click()
    assert "Before" in page.locator("#main").inner_text()


def test_filters_columns_and_views_work_by_mouse_and_stay_in_the_address(tab):
    page = tab.open("/access/users/")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.locator("#add-filter").get_by_role("link", name="Password").click()
    page.wait_for_url("**f=isLocal**")
    page.get_by_role("button", name="Columns").click()
    page.locator("#list-columns").get_by_role("link", name="Made by").click()
    page.wait_for_url("**columns=**")
    assert page.get_by_role("columnheader", name="Made by").count() == 0
    page.get_by_role("button", name="Views").click()
    name = f"v{uuid.uuid4().hex[:6]}"
    page.get_by_label("Name of this view").fill(name)
    page.get_by_role("button", name="Keep", exact=True).click()
    page.wait_for_load_state()
    page = tab.open("/access/users/")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name=name).click()
    page.wait_for_url("**columns=**")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
        page.locator("#list-export").get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("users-")


def test_a_device_is_let_in_with_two_presses(tab):
    _, code = tab.site.rows(lambda: ask_device(label="cluster login node"))
    page = tab.open("/device/")
    page.get_by_label("Code on the device").fill(code)
    page.get_by_role("button", name="Go on").click()
    wrong = quality._axe(page, "device")
    page.get_by_role("button", name="Let it sign in").click()
    assert "signs in as ops@example.test" in page.get_by_role("status").inner_text()
    assert wrong == []
