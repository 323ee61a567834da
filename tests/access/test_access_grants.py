"""Grants: pure decisions over paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.grants import Actor, Grant, ancestors, topmost
from access.roles import ALL, ROLES, Action, role_named

paths = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda ids: "/" + "/".join(map(str, ids)) + "/")


def actor(*grants: tuple[str, str]) -> Actor:
    return Actor("user", "1", "ann", tuple(Grant(role, ROLES[role], path) for role, path in grants))


@pytest.mark.parametrize(
    ("grants", "action", "path", "allowed"),
    [
        ([("administrator", "/1/")], Action.PROJECT_CREATE, "/1/4/", True),
        ([("researcher", "/1/4/9/")], Action.WORKLOAD_CREATE, "/1/4/9/", True),
        ([("researcher", "/1/4/9/")], Action.WORKLOAD_CREATE, "/1/4/", False),
        ([("researcher", "/1/4/")], Action.WORKLOAD_CREATE, "/1/40/", False),
        ([("researcher", "/1/")], Action.PROJECT_CREATE, "/1/4/", False),
        ([("viewer", "/1/")], Action.WORKLOAD_DELETE, "/1/4/", False),
        ([], Action.WORKLOAD_VIEW, "/1/", False),
    ],
)
def test_a_grant_reaches_its_subtree_and_no_further(grants, action, path, allowed):
    assert actor(*grants).allows(action, path) is allowed


def test_ancestors_are_the_scopes_above():
    assert ancestors("/1/4/9/") == ("/1/", "/1/4/")


@given(st.lists(paths, max_size=8))
def test_topmost_covers_the_same_paths_with_no_overlap(given_paths):
    kept = topmost(given_paths)
    assert all(any(path.startswith(top) for top in kept) for path in given_paths)
    assert not any(a != b and a.startswith(b) for a in kept for b in kept)


def test_the_administrator_may_do_everything():
    assert ROLES["administrator"] == ALL


@pytest.mark.parametrize(
    ("value", "role"),
    [
        (1, "administrator"),
        ("3", "researcher"),
        ("viewer", "viewer"),
        ("x", None),
        (99, None),
        ("L2 researcher", "l2-researcher"),
    ],
)
def test_roles_have_names_and_numbers(value, role):
    assert role_named(value) == role
