"""How a page of a journey looks to everybody: light and dark, wide and narrow."""

from __future__ import annotations

import os

from playwright.sync_api import Page

from tests.browser.test_browser_quality import _axe, _sideways

WIDE = {"width": 1366, "height": 844}
LOOKS = [(1366, "light"), (390, "dark")]
if os.environ.get("RUNAI_TEST_LONG"):
    LOOKS += [(1366, "dark"), (390, "light")]
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Media queries are asked anew with the next frame, which a busy machine draws late."""


def look(page: Page, what: str) -> None:
    """No accessibility finding and no sideways scroll; wide and light again afterwards."""
    wrong = []
    for width, theme in LOOKS:
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.evaluate(FRAMES)
        page.wait_for_timeout(250)  # a colour that is still on its way to the other theme has no contrast
        where = f"{what} at {width} {theme}"
        wrong += _sideways(page, where) + _axe(page, where)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    assert wrong == []
