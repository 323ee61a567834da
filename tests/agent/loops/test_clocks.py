"""The time that planning goes by, when somebody sets the wall clock."""

import time

import pytest

from agent.loops.clocks import FOLLOWS, SteadyClock

HOUR, SECOND = 3600 * 10**9, 10**9


class Wall:
    """Both clocks of a machine, in nanoseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.passed = 1000 * HOUR, 0
        monkeypatch.setattr(time, "time_ns", lambda: self.wall + self.passed)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.passed)


@pytest.fixture
def wall(monkeypatch):
    return Wall(monkeypatch)


def test_it_is_the_wall_clock_when_nobody_sets_that(wall):
    clock = SteadyClock()
    wall.passed += 90 * SECOND
    assert clock() == time.time_ns()


@pytest.mark.parametrize("leap", [HOUR, -HOUR])
def test_a_leap_is_followed_slowly(wall, leap):
    clock, before = SteadyClock(), time.time_ns()
    wall.wall += leap
    wall.passed += 10 * SECOND
    gained = SECOND if leap > 0 else -SECOND
    assert clock() - before == 10 * SECOND + gained


@pytest.mark.parametrize("leap", [HOUR, -HOUR])
def test_it_comes_back_to_the_wall_clock_and_never_goes_back(wall, leap):
    clock = SteadyClock()
    wall.wall += leap
    last = clock()
    for _ in range(2 * FOLLOWS * 60):
        wall.passed += 60 * SECOND
        now = clock()
        assert now > last
        last = now
    assert last == time.time_ns()
