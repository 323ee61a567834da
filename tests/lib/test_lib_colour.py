"""Whatever colour somebody chooses, words and buttons can be read in both themes."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runai_cp.lib.colour import DARK, LIGHT, WHITE, _read, accent, contrast

PAIR = re.compile(r"light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
NEARLY = 4.4
"""4.5 less what rounding to eight bits can take."""


@given(st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}"))
@example("#000000")
@example("#ffffff")
@example("#ffff00")
@example("#0000ff")
def test_every_colour_becomes_one_that_reads(colour):
    found = {name: [_read(part) for part in PAIR.fullmatch(value).groups()] for name, value in accent(colour).items()}
    for theme, surfaces in enumerate((LIGHT, DARK)):
        words = found["accent"][theme]
        for surface in [*map(_read, surfaces), found["accent-soft"][theme], found["selected"][theme]]:
            assert contrast(words, surface) >= NEARLY
        for fill in (found["accent-fill"][theme], found["accent-fill-hover"][theme]):
            assert contrast(fill, WHITE) >= NEARLY


def test_a_colour_that_reads_already_stays_as_it_is():
    assert accent("#4a4dcc")["accent-fill"].startswith("light-dark(#4a4dcc,")


@pytest.mark.parametrize("text", ["", "4a4dcc", "#4A4DCC", "#4a4dcc ", "red"])
def test_what_is_no_colour_is_refused(text):
    with pytest.raises(ValueError, match="#rrggbb"):
        accent(text)
