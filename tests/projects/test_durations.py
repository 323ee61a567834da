"""Lengths of time as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.durations import read_duration, write_duration
from projects.rules import MAX_SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45 min", 2700), ("12h", 43200), ("1 d 6 h", 108000), (" 90 S ", 90), ("1d2h3min4s", 93784), ("0 s", 0)],
)
def test_lengths_are_read(text: str, seconds: int) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "90", "-1 h", "1.5 h", "1 h 1 h", "5 min 1 h", "٣ h", "1 month", "h"]
)
def test_what_is_no_length_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 45 min"):
        read_duration(text)


@given(st.integers(0, MAX_SECONDS))
def test_what_is_written_reads_back_the_same(seconds: int) -> None:
    assert read_duration(write_duration(seconds)) == seconds
