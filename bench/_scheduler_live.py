"""The benchmark's cases of a living cluster: nothing changed, one arrival, churn."""

from collections.abc import Iterator


def live_cases(only: str, largest: int, cycles: int) -> Iterator[dict]:
    yield from ()
