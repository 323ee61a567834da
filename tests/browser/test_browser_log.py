"""The log of a pod in a real browser, with the test in the agent's place: it puts the bytes where the link has them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from link.models import LogChunk, LogStream

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db]
LINES = "".join(f"2026-11-24T07:00:{n:02d}.123456789Z step {n} loss {n / 10}\n" for n in range(40))


def send(site, text: str, ended: bool = False) -> None:
    """As the agent would: the next bytes of the newest stream."""

    def write() -> None:
        stream = LogStream.objects.latest("created_at")
        data = text.encode()
        LogChunk.objects.create(stream=stream, offset=stream.next_offset, data=data)
        LogStream.objects.filter(pk=stream.pk).update(next_offset=stream.next_offset + len(data), ended=ended)

    site.rows(write)


def test_lines_arrive_follow_pause_on_scroll_and_end(tab):
    before = tab.site.rows(LogStream.objects.count)
    page = tab.open(tab.site.workload("clip-train-base") + "logs/")
    expect(page.locator("[data-log-note]")).to_have_text("Waiting for the first line.")
    assert tab.site.rows(LogStream.objects.count) == before + 1
    send(tab.site, LINES)
    rows = page.locator(".log li")
    expect(rows).to_have_count(40)
    expect(rows.last).to_contain_text("07:00:39.123")
    page.locator(".log").evaluate("el => { el.scrollTop = 0 }")
    expect(page.locator("[data-log-follow]")).to_have_text("Not following")
    send(tab.site, "2026-11-24T07:01:00Z <b>ERROR</b> überall\n2026-11-24T07:01:01Z half a li")
    expect(rows).to_have_count(41)
    assert page.locator(".log").evaluate("el => el.scrollTop") == 0
    expect(page.locator(".log .lv-e")).to_contain_text("<b>ERROR</b> überall")
    send(tab.site, "ne\n", ended=True)
    expect(rows.last).to_contain_text("half a line")
    expect(page.locator("[data-log-note]")).to_have_text("The log has ended; 42 lines.")


def test_a_search_marks_and_counts_hits(tab):
    page = tab.open(tab.site.workload("clip-train-base") + "logs/")
    expect(page.locator("[data-log-note]")).to_have_text("Waiting for the first line.")
    send(tab.site, LINES, ended=True)
    page.get_by_role("searchbox", name="Search in the log").fill("LOSS 1.")
    expect(page.locator("[data-log-hits]")).to_have_text("10 hits")
    expect(page.locator(".log mark")).to_have_count(10)


def test_only_the_newest_lines_are_kept(tab):
    page = tab.open(tab.site.workload("clip-train-base") + "logs/")
    expect(page.locator("[data-log-note]")).to_have_text("Waiting for the first line.")
    send(tab.site, "".join(f"line {n}\n" for n in range(6000)), ended=True)
    expect(page.locator(".log li").last).to_contain_text("line 5999", timeout=15_000)
    assert page.locator(".log li").count() == 5000
