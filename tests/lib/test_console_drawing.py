"""Words and geometry of the console: durations, amounts, bars that never overflow, charts that keep their gaps."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.phases import Phase
from clusters.states import TITLES
from runai_cp.lib import drawing
from runai_cp.lib.paging import pages
from runai_cp.lib.templatetags import ui
from runai_cp.lib.vocabulary import STATUS

AMOUNT = st.integers(0, 10**6)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (48, "48 s"), (840, "14 min"), (3600, "1 h"), (11520, "3 h 12 min"), (6 * 86400, "6 d"), (None, "–")],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert ui.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (4000, "4"),
        (500, "0.5"),
        (0, "0"),
        (1234, "1.234"),
        (-1, "no limit"),
        (None, "–"),
        (100000, "100"),
        (1414000, "1\u202f414"),
    ],
)
def test_thousandths_read_as_numbers(value, words):
    assert ui.milli(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(512 << 20, "512 MiB"), (3 << 29, "1.5 GiB"), (0, "0 B"), (-1, "no limit")]
)
def test_bytes_carry_a_binary_unit(value, words):
    assert ui.size(value) == words


def test_age_reads_text_of_kubernetes_too():
    moment = timezone.now() - timedelta(minutes=14)
    assert ui.age(moment) == ui.age(moment.isoformat()) == "14 min"
    assert ui.age("not a time") == "–"


@pytest.mark.parametrize(
    ("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_ordinals(number, word):
    assert ui.ordinal(number) == word


def test_every_phase_and_state_has_its_own_silhouette():
    words = [*map(str, Phase), *TITLES.values()]
    assert [word for word in words if word not in STATUS] == []
    icons = [STATUS[str(phase)].icon for phase in Phase]
    assert len(set(icons)) == len(icons)


@given(total=AMOUNT, used=AMOUNT, quota=st.none() | st.integers(-1, 10**6))
def test_a_meter_never_leaves_its_bar(total, used, quota):
    drawn = drawing.meter(total, used, quota)
    assert sum(part["width"] for part in drawn["segments"]) <= 100.02
    assert drawn["tick"] is None or 0 <= drawn["tick"] <= 100


@given(parts=st.fixed_dictionaries({kind: AMOUNT for kind in drawing.ORDER}))
def test_a_pool_bar_adds_up(parts):
    drawn = drawing.pool_bar(sum(parts.values()), parts)
    assert sum(part["width"] for part in drawn["segments"]) <= 100.05


@given(st.lists(st.none() | st.floats(0, 1e12), min_size=2, max_size=40))
def test_a_chart_keeps_gaps_and_stays_inside(values):
    figure = drawing.Figure("x", "X", list(range(len(values))), [drawing.Line("a", values)])
    drawn = drawing.draw(figure)
    known = [value for value in values if value is not None]
    if not known:
        assert drawn["empty"]
        return
    numbers = [float(part) for part in drawn["lines"][0]["path"].replace("M", " ").split()]
    assert all(0 <= y <= 100 for y in numbers[1::2])
    inner = "".join("." if value is None else "#" for value in values).strip(".")
    assert len(drawn["gaps"]) == len([run for run in inner.split("#") if run])


def test_the_table_of_a_chart_has_its_numbers():
    figure = drawing.Figure("x", "X", [0, 60, 120], [drawing.Line("a", [1.0, None, 3.0])])
    assert [row["values"] for row in drawing.draw(figure)["rows"]] == [["1"], ["–"], ["3"]]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (5e-324, 1), (0.3, 0.4), (7, 8), (9, 10), (41, 60), (100, 100), (163, 200)]
)
def test_the_axis_ends_on_a_round_number(value, top):
    assert drawing.nice_top(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("total", "raw", "number", "window"),
    [
        (0, None, 1, [1]),
        (50, "7", 1, [1]),
        (410, "5", 5, [1, 0, 4, 5, 6, 0, 9]),
        (410, "99", 9, [1, 0, 8, 9]),
        (410, "x", 1, [1, 2, 0, 9]),
        (101, "2", 2, [1, 2, 3]),
    ],
)
def test_pages(total, raw, number, window):
    found = pages(total, raw)
    assert (found.number, found.window) == (number, window)
