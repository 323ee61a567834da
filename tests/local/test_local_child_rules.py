"""The pure rules of starting, stopping and restarting."""

from pathlib import Path

import pytest

from local.child import Phase, check_dependencies, exit_words, may_start, may_stop, pause_before_restart
from local.process import ProcessSpec


def spec(name: str, *depends_on: str) -> ProcessSpec:
    return ProcessSpec(name, ("true",), Path("/dev/null"), depends_on=depends_on)


@pytest.mark.parametrize(("quick_ends", "seconds"), [(0, 0.5), (1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (50, 30)])
def test_the_pause_doubles_up_to_thirty_seconds(quick_ends: int, seconds: float) -> None:
    assert pause_before_restart(quick_ends) == seconds


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.READY])
def test_nothing_starts_before_what_it_depends_on_is_ready(phase: Phase) -> None:
    assert not may_start(spec("web", "database"), {"database": phase})


def test_it_starts_when_all_it_depends_on_is_ready() -> None:
    assert may_start(spec("web", "database", "cache"), {"database": Phase.READY, "cache": Phase.READY})


def test_it_stops_only_after_its_dependents() -> None:
    specs = {"database": spec("database"), "web": spec("web", "database")}
    assert not may_stop("database", specs, {"database": Phase.READY, "web": Phase.STOPPING})
    assert may_stop("database", specs, {"database": Phase.READY, "web": Phase.STOPPED})


def test_an_unknown_dependency_is_named() -> None:
    with pytest.raises(ValueError, match="'web' depends on 'databse'"):
        check_dependencies({"web": spec("web", "databse")})


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match="circle: a, b"):
        check_dependencies({"a": spec("a", "b"), "b": spec("b", "a"), "c": spec("c")})


@pytest.mark.parametrize(("status", "words"), [(0, "status 0"), (3, "status 3"), (-9, "signal SIGKILL")])
def test_ends_are_told_in_words(status: int, words: str) -> None:
    assert exit_words(status) == words
