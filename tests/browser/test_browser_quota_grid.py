"""The quota grid in a real browser: keys, sums, undo, paste, review, save, and a second administrator."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from access.services.bootstrap import system_actor
from agent.wire.objects import PoolQuota, ResourceQuota
from projects.models import Project, Quota
from projects.services import set_quotas
from tests.browser.conftest import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]
GRID = "/projects/quotas/"
PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData('text/plain', text);
  const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
  document.activeElement.dispatchEvent(event);
}"""


@pytest.fixture
def grid(tab):
    """The grid, and the quotas as they were when it is left."""
    before = tab.site.rows(lambda: list(Quota.objects.values_list("pk", "gpu_deserved_milli", "gpu_limit_milli")))
    yield tab.open(GRID)
    tab.page.evaluate("document.querySelector('[data-grid=discard]').click()")

    def put_back():
        for pk, deserved, limit in before:
            Quota.objects.filter(pk=pk).update(gpu_deserved_milli=deserved, gpu_limit_milli=limit)

    tab.site.rows(put_back)


def cell(page, unit, pool="a100"):
    columns = page.locator("thead [data-pool]").evaluate_all("all => all.map(th => th.dataset.name)")
    return page.locator(f"tr[data-name={unit}] td").nth(columns.index(pool))


def enter(page, unit, *values):
    cell(page, unit).click()
    for value in values:
        page.keyboard.type(value)
        page.keyboard.press("Enter")


def stored(site, name):
    def read():
        return Quota.objects.get(project__scope__name=name, node_pool__name="a100").gpu_deserved_milli

    return site.rows(read)


def test_typing_moves_down_adds_up_and_can_be_taken_back(grid):
    enter(grid, "nlp", "12", "10.5")
    expect(grid.locator("#changes")).to_have_text("2 unsaved changes")
    expect(cell(grid, "research").locator("i")).to_have_text("30.5")
    expect(cell(grid, "vision")).to_be_focused()
    grid.keyboard.press("Control+z")
    expect(cell(grid, "research").locator("i")).to_have_text("28")
    grid.keyboard.press("Control+z")
    expect(cell(grid, "research").locator("i")).to_have_text("32")
    expect(grid.locator(".dirty")).to_have_count(0)
    grid.keyboard.press("Control+y")
    expect(grid.locator("#changes")).to_have_text("1 unsaved change")


def test_a_department_given_away_beyond_its_quota_is_marked_as_it_happens(grid):
    enter(grid, "ranking", "9")
    assert "over" in (cell(grid, "product").get_attribute("class") or "")
    enter(grid, "ranking", "7")
    assert "over" not in (cell(grid, "product").get_attribute("class") or "")


@pytest.mark.parametrize(
    ("value", "says"), [("-1", "0 to 1000000"), ("1,5", "0.001"), ("8 GiB", "number"), ("unlimited", "number")]
)
def test_a_wrong_value_is_marked_with_what_is_allowed_and_cannot_be_saved(grid, value, says):
    enter(grid, "nlp", value)
    wrong = cell(grid, "nlp")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    assert says in wrong.get_attribute("title")
    expect(grid.locator("#review-open")).to_have_attribute("aria-disabled", "true")


def test_a_block_of_a_spreadsheet_lands_on_the_cursor_and_is_one_step(grid):
    cell(grid, "nlp", "default").click()
    grid.evaluate(PASTE, "1\t14\r\n2\t6\r\n3\t4\tbeyond\r\n")
    expect(grid.locator("#changes")).to_have_text("6 unsaved changes")
    expect(cell(grid, "vision")).to_contain_text("4")
    expect(grid.locator("#say")).to_contain_text("1 left out")
    grid.keyboard.press("Control+z")
    expect(grid.locator(".dirty")).to_have_count(0)


def test_review_tells_the_effect_and_save_stores_every_sheet(grid, site):
    enter(grid, "nlp", "14")
    grid.get_by_role("link", name="Limit").click()
    expect(grid.locator("#grid")).to_have_attribute("data-sheet", "gpu.limit")
    enter(grid, "nlp", "24")
    expect(grid.locator("#changes")).to_have_text("2 unsaved changes")
    grid.get_by_role("button", name="Review and save").click()
    expect(grid.locator("#review-effect")).to_contain_text("What it does")
    expect(grid.locator("#review-cells li")).to_have_count(2)
    grid.get_by_role("button", name="Save", exact=True).click()
    expect(grid.locator(".toasts")).to_contain_text("2 changes were saved")
    expect(grid.locator("#savebar")).to_be_hidden()
    assert stored(site, "nlp") == 14_000


@pytest.mark.parametrize(("choice", "ends"), [("Take what is stored", "11"), ("Keep mine and go on editing", "14")])
def test_the_second_administrator_sees_both_values_before_anything_is_lost(grid, site, tab, choice, ends):
    tab.refusals.add(412)
    enter(grid, "nlp", "14")

    def first_one():
        owner = Project.objects.with_names().get(scope__name="nlp")
        quota = PoolQuota("a100", gpu=ResourceQuota(11_000))
        set_quotas(actor=system_actor(), owner=owner, wanted=(quota,), merge=True)

    site.rows(first_one)
    grid.get_by_role("button", name="Review and save").click()
    expect(grid.locator("#review-effect")).to_contain_text("What it does")
    grid.get_by_role("button", name="Save", exact=True).click()
    expect(grid.locator("#review-effect tbody tr")).to_have_text(["GPU quota of nlp in a100161114"])
    assert stored(site, "nlp") == 11_000
    grid.get_by_role("button", name=choice).click()
    expect(cell(grid, "nlp")).to_contain_text(ends)
    if ends == "14":
        grid.get_by_role("button", name="Review and save").click()
        expect(grid.locator("#review-save")).to_have_attribute("aria-disabled", "false")
        grid.get_by_role("button", name="Save", exact=True).click()
        expect(grid.locator(".toasts")).to_contain_text("1 change was saved")
    assert stored(site, "nlp") == int(ends) * 1000


def test_a_finger_edits_with_one_tap_at_390(browser, site):
    for tab in signed_in(browser, site, viewport={"width": 390, "height": 844}, has_touch=True):
        page = tab.open(GRID)
        cell(page, "vision").tap()
        expect(page.locator(".qcell")).to_be_focused()
        page.keyboard.press("Escape")


def test_who_may_only_look_gets_no_field(browser, site):
    for tab in signed_in(browser, site, "vera@example.test"):
        page = tab.open(GRID)
        cell(page, "vision").dblclick()
        expect(page.locator(".qcell")).to_have_count(0)
        expect(page.locator("#say")).to_contain_text("not yours to change")
