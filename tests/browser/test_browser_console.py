"""The console in a real browser: sign-in, lists that keep their place, forms, keys, themes, small screens."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import signed_in
from tests.conftest import PASSWORD
from workloads.models import Workload

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]


def test_a_wrong_password_is_said_once_and_keeps_the_address(browser, site):
    page = browser.new_page(base_url=site.url)
    page.goto("/login/?next=/nodes/")
    page.fill("input[name=email]", "ops@example.test")
    page.fill("input[name=password]", "wrong horse")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.locator("input[name=email]")).to_have_value("ops@example.test")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page).to_have_url(re.compile("/nodes/$"))
    page.close()


def test_signing_out_ends_the_session(tab):
    page = tab.open("/")
    page.get_by_role("button", name="Account of ops@example.test").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login/"))
    page.goto("/workloads/")
    expect(page).to_have_url(re.compile(r"/login/\?next=%2Fworkloads%2F"))


def test_a_session_that_ended_elsewhere_becomes_a_whole_login_page(tab):
    tab.refusals.add(401)
    page = tab.open("/workloads/?phase=Pending")
    tab.page.context.clear_cookies()
    page.wait_for_url(re.compile(r"/login/\?next="), timeout=10_000)
    assert page.locator(".table-wrap").count() == 0


def test_live_refresh_shows_a_change_and_keeps_ticks_scroll_and_focus(tab, site):
    page = tab.open("/workloads/")
    chosen = page.locator("tbody .check input").nth(2)
    chosen.check()
    page.locator(".table-wrap").evaluate("el => { el.scrollTop = 300 }")
    search = page.locator("#search-box")
    search.focus()
    row = page.locator(f"#workloads-{site.scene.workloads['tokenizer-ablation-9'].pk}")
    site.report("tokenizer-ablation-9", phase="Running", message="1 of 1 pods run")
    expect(row).to_contain_text("1 of 1 pods run", timeout=6000)
    assert chosen.is_checked()
    assert page.locator(".table-wrap").evaluate("el => el.scrollTop") == 300
    assert search.evaluate("el => el === document.activeElement")
    expect(page.locator(".bulk")).to_be_visible()


def test_pausing_holds_the_rows_and_says_so(tab):
    page = tab.open("/workloads/?q=reward")
    page.get_by_role("button", name="Live").click()
    expect(page.locator(".live")).to_have_text("Paused")
    tab.site.report("reward-model-dpo", message="changed while paused")
    page.wait_for_timeout(4000)
    assert "changed while paused" not in page.content()
    page.get_by_role("button", name="Paused").click()
    expect(page.locator("tbody")).to_contain_text("changed while paused")


def test_typing_filters_and_the_address_keeps_it(tab):
    page = tab.open("/workloads/")
    page.keyboard.press("/")
    page.keyboard.type("clip")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=clip"))
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_the_last_words_win_while_an_earlier_answer_is_late(tab):
    """A slow server answers the first words last of all: what is in the box is what is listed."""
    page, held = tab.open("/workloads/"), []
    page.route(re.compile("q=c$"), lambda route: held.append(route))
    page.keyboard.press("/")
    for words in ("c", "li", "p"):
        with page.expect_request(re.compile("[?&]q=")):
            page.keyboard.type(words)
    expect(page).to_have_url(re.compile("q=clip$"))
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#search-box")).to_have_value("clip")
    assert len(held) == 1


def test_a_chip_can_be_added_and_removed(tab):
    page = tab.open("/workloads/")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("link", name="Failed").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("f=phase%3D%3DFailed"))
    page.get_by_role("link", name="Remove filter: Phase").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    expect(page).not_to_have_url(re.compile("phase"))


def test_sort_and_page_are_links_with_an_address(tab):
    page = tab.open("/workloads/?q=sweep-0")
    page.get_by_role("link", name="Workload", exact=True).click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Workload")
    expect(page.locator("tbody tr").first).to_contain_text("sweep-00000")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("51 to 100 of 120")


def test_submit_by_form_makes_one_workload_on_a_double_click(tab):
    page = tab.open("/workloads/new/")
    page.fill("[name=name]", "made-by-form")
    page.select_option("[name=project]", label="vision")
    page.fill("[name=image]", "example.local/busybox:1")
    page.fill("[name=command]", "sh -c 'echo hello'")
    page.select_option("[name=pool]", "a100")
    expect(page.locator("#pv-yaml")).to_contain_text("name: made-by-form")
    page.get_by_role("button", name="Submit workload").dblclick()
    expect(page.locator("h1")).to_contain_text("made-by-form")
    expect(page.locator(".toasts")).to_contain_text("was submitted")
    made = tab.site.rows(lambda: Workload.objects.get(name="made-by-form"))
    assert made.spec["command"] == ["sh", "-c", "echo hello"]


def test_the_preview_and_the_quota_check_follow_the_form(tab):
    page = tab.open("/workloads/new/")
    page.select_option("[name=project]", label="vision")
    page.select_option("[name=pool]", "a100")
    page.fill("[name=gpus]", "3")
    expect(page.locator("#quota-box")).to_contain_text("Will run over quota by 3")
    expect(page.locator("#pv-yaml")).to_contain_text("gpuDevices: 3")
    page.get_by_role("tab", name="CLI").click()
    page.fill("[name=gpus]", "0.5")
    expect(page.locator("#pv-cli")).to_contain_text("--gpu-portion-request 0.5")
    expect(page.locator("#pv-cli")).to_be_visible()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "Not A Name", "lower-case letters"),
        ("image", "an image with spaces", "image reference without spaces"),
        ("gpus", "-1", "whole number of devices"),
        ("gpus", "NaN", "whole number of devices"),
        ("gpus", "1.5", "ask for 2 devices"),
        ("memory", "lots", "512Mi"),
        ("environment", "no equals sign", "NAME=value"),
    ],
)
def test_a_wrong_value_is_said_at_its_field_and_kept(tab, field, value, says):
    tab.refusals.add(422)
    page = tab.open("/workloads/new/")
    page.fill("[name=name]", "never-made")
    page.fill("[name=image]", "example.local/busybox:1")
    page.evaluate("document.querySelectorAll('details').forEach((el) => { el.open = true })")
    page.fill(f"[name={field}]", value)
    page.get_by_role("button", name="Submit workload").click()
    control = page.locator(f"[name={field}]")
    expect(control).to_have_attribute("aria-invalid", "true")
    expect(control).to_have_value(value)
    expect(page.locator(f"#f-{field}-e")).to_contain_text(says)
    assert page.locator("[data-error-summary]").evaluate("el => el === document.activeElement")


def test_the_row_menu_acts_and_comes_back_to_the_list(tab):
    page = tab.open("/workloads/?q=notebook")
    page.get_by_role("button", name="Actions for notebook-amir").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".toasts")).to_contain_text("notebook-amir is stopping")
    expect(page).to_have_url(re.compile(r"/workloads/\?q=notebook"))
    assert tab.site.rows(lambda: Workload.objects.get(name="notebook-amir").desired_phase) == "Stopped"


def test_deleting_asks_first_and_starts_on_keep(tab):
    page = tab.open(tab.site.workload("ctr-sweep"))
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#delete")).to_be_hidden()


def test_the_palette_finds_objects_and_opens_them(tab):
    page = tab.open("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("vit-l")
    expect(page.locator("#palette-objects")).to_contain_text("vit-large-finetune-0412")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("vit-large-finetune-0412")


def test_keys_go_to_places_and_walk_rows(tab):
    page = tab.open("/")
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page).to_have_url(re.compile("/workloads/$"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("tbody .check input").nth(1)).to_be_checked()


def test_the_scope_is_chosen_by_menu_and_remembered(tab):
    page = tab.open("/workloads/")
    page.locator("[popovertarget=scope-project]").click()
    page.get_by_role("link", name="ranking").click()
    expect(page.locator(".scope")).to_contain_text("ranking")
    page.goto("/projects/")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto("/projects/?scope=all")


def test_dark_is_remembered_by_the_server_and_charts_follow(browser, site):
    for tab in signed_in(browser, site, "dana@example.test"):
        page = tab.open("/")
        page.get_by_role("button", name="Use dark theme").click()
        page.wait_for_timeout(300)
    for tab in signed_in(browser, site, "dana@example.test"):
        page = tab.open("/")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 16, 21)"
        page.get_by_role("button", name="Use light theme").click()
        page.wait_for_timeout(300)


def test_dragging_zooms_every_chart_and_double_click_resets(tab):
    page = tab.open(tab.site.workload("clip-train-base") + "metrics/")
    plot = page.locator(".chart-plot").first
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 40)
    page.mouse.up()
    expect(page.locator(".zoomed canvas")).to_have_count(page.locator(".chart[data-table]").count())
    page.get_by_role("button", name="Reset zoom").click()
    expect(page.locator(".zoomed")).to_have_count(0)


def test_a_viewer_sees_no_dead_buttons(browser, site):
    for tab in signed_in(browser, site, "vera@example.test"):
        tab.refusals.add(403)
        page = tab.open("/workloads/")
        assert page.get_by_role("link", name="New workload").count() == 0
        page.goto("/workloads/new/")
        expect(page.get_by_role("heading", name="Not yours to see")).to_be_visible()
        expect(page.locator("#main")).to_contain_text("administrator")
