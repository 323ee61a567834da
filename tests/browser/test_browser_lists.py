"""The one list in a real browser: acts on what it shows now, columns, the page that asks before it deletes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from projects.models import Project

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]


def test_all_that_match_are_those_that_the_list_shows_now(tab):
    """Filters swap a part of the page: the dialog must be in it, or it would act on what was listed before."""
    page = tab.open("/workloads/")
    page.fill("#search-box", "sweep-0000")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.locator("tbody .check input").first.check()
    page.get_by_role("button", name="Resume").click()
    dialog = page.locator("#bulk-resume")
    expect(dialog).to_contain_text("All 10 workloads that match")
    dialog.get_by_label("All 10 workloads that match").check()
    dialog.get_by_role("button", name="Resume").click()
    expect(page.locator(".sentence")).to_contain_text("10 workloads refused")
    expect(page.locator("tbody tr").first).to_contain_text("is Completed")
    page.get_by_role("link", name="Back to the list").click()
    expect(page).to_have_url(re.compile("q=sweep-0000"))


def test_ticked_rows_survive_a_refresh_and_are_cleared_by_hand(tab):
    page = tab.open("/projects/")
    page.get_by_label("Select nlp").check()
    with page.expect_response(lambda answer: answer.request.headers.get("x-live") == "1", timeout=15_000):
        pass
    expect(page.get_by_label("Select nlp")).to_be_checked()
    expect(page.locator("#bulk")).to_contain_text("1 selected")
    page.get_by_role("button", name="Clear the selection").click()
    expect(page.locator("#bulk")).to_be_hidden()


def test_a_column_is_chosen_from_the_menu_and_stands_in_the_address(tab):
    page = tab.open("/nodes/")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("link", name="GPU type").click()
    expect(page.locator("thead")).to_contain_text("GPU type")
    expect(page.locator("tbody tr").first).to_contain_text("NVIDIA-A100-80GB")
    expect(page).to_have_url(re.compile("columns=.*gpuType"))


def test_a_view_is_kept_and_opens_the_same_rows(tab):
    page = tab.open("/nodes/?f=cordoned%3D%3Dtrue")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Name of this view").fill("Cordoned")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.goto("/nodes/")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name="Cordoned", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Remove the view Cordoned").click()
    expect(page.locator(".toasts")).to_contain_text("Cordoned is gone")


def test_deleting_projects_says_what_goes_and_waits_for_the_phrase(tab):
    page = tab.open("/projects/")
    page.get_by_label("Select nlp").check()
    page.get_by_role("button", name="Delete").click()
    page.locator("#bulk-delete").get_by_role("button", name="Continue").click()
    expect(page.locator(".impact")).to_contain_text("GPUs released")
    button = page.get_by_role("button", name="Delete projects")
    expect(button).to_have_attribute("aria-disabled", "true")
    page.fill("[name=typed]", "delete 1 project")
    expect(button).to_have_attribute("aria-disabled", "false")
    page.get_by_role("link", name="Keep them").click()
    expect(page).to_have_url(re.compile("/projects/"))
    assert tab.site.rows(lambda: Project.objects.filter(delete_requested_at=None).count()) == 4


def test_keys_walk_the_rows_of_every_list(tab):
    page = tab.open("/nodes/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="a100-02")).to_be_focused()


def test_a_list_is_downloaded_as_it_is_filtered(tab):
    page = tab.open("/workloads/?phase=Failed")
    page.get_by_role("button", name="Export 1 rows").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV").click()
    lines = waiting.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert "asr-finetune-fr" in lines[1]
