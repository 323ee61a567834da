"""Actions as a table of things and verbs, for roles and for what somebody may do."""

from collections.abc import Iterable

from access.roles import Action

VERBS = ("view", "create", "update", "delete")
Cell = tuple[str, bool, bool]
"""The verb, whether the thing knows it, and whether it is allowed."""


def matrix(held: Iterable[Action]) -> list[tuple[str, list[Cell]]]:
    """(thing, cells in the order of ``VERBS``) of every thing there is."""
    have = {action.value for action in held}
    known = {action.value for action in Action}
    things = dict.fromkeys(action.value.split(".")[0] for action in Action)
    return [
        (thing.replace("-", " "), [(verb, f"{thing}.{verb}" in known, f"{thing}.{verb}" in have) for verb in VERBS])
        for thing in things
    ]
