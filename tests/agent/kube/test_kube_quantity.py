"""Texts of Kubernetes → integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kube import quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1000), ("1500m", 1500), ("0.1", 100), ("100u", 1), ("2e2", 200_000), (3, 3000), ("1.0005", 1001)],
)
def test_milli(text, expected):
    assert quantity.milli(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("1Gi", 1 << 30), ("1G", 10**9), ("1.5Ki", 1536), ("1500m", 2), ("1E3", 1000), ("0", 0)]
)
def test_whole(text, expected):
    assert quantity.whole(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1GB", "--1", "1e9999", "NaN"])
def test_no_quantity(text):
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.exact(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("-1s", -1), ("0", 0), ("1.5m", 90)]
)
def test_duration(text, seconds):
    assert quantity.duration_ns(text) == int(seconds * quantity.SECOND)


@pytest.mark.parametrize("text", ["", "5", "1d", "s", "1s2", "-"])
def test_no_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        quantity.duration_ns(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01T00:00:01Z", 10**9), ("1970-01-01T00:00:00.5Z", 500_000_000), (None, None), ("yesterday", None)],
)
def test_time(text, expected):
    assert quantity.time_ns(text) == expected


@given(st.integers(min_value=0, max_value=10**15))
def test_milli_text_is_read_back(value):
    assert quantity.milli(quantity.milli_text(value)) == value
