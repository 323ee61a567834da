"""The store: what it holds and what it tells."""

from __future__ import annotations

from typing import Any

from agent.kube.cache import Change, Store


def obj(name: str, version: int, uid: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "uid": uid or name, "resourceVersion": str(version)}}


def told(store: Store) -> list[tuple[str, str]]:
    """(kind of change, uid) of all that follows."""
    seen: list[tuple[str, str]] = []

    def handler(change: Change) -> None:
        kind = "gone" if change.new is None else "new" if change.old is None else "changed"
        seen.append((kind, change.current["metadata"]["uid"]))

    store.on_change(handler)
    return seen


def test_finds_by_name_and_uid():
    store = Store()
    store.put(obj("a", 1, "u1"))
    assert store.get("a", "ns") is store.by_uid("u1") is store.by_key("ns/a")


def test_an_equal_version_is_no_change():
    store = Store()
    store.put(obj("a", 1))
    seen = told(store)
    store.put(obj("a", 1))
    assert seen == [("new", "a")]


def test_another_uid_under_the_name_is_a_deletion_and_an_addition():
    store = Store()
    store.put(obj("a", 1, "u1"))
    seen = told(store)
    store.put(obj("a", 2, "u2"))
    assert seen[1:] == [("gone", "u1"), ("new", "u2")]
    assert store.by_uid("u1") is None


def test_a_late_deletion_of_a_predecessor_changes_nothing():
    store = Store()
    store.put(obj("a", 2, "u2"))
    store.drop(obj("a", 1, "u1"))
    assert store.get("a", "ns") is not None


def test_a_fresh_list_tells_only_differences():
    store = Store()
    store.put(obj("a", 1))
    store.put(obj("b", 2))
    seen = told(store)
    store.replace_all([obj("b", 2), obj("c", 3)])
    assert seen[2:] == [("gone", "a"), ("new", "c")]


def test_a_late_handler_hears_what_is_there():
    store = Store()
    store.put(obj("a", 1))
    assert told(store) == [("new", "a")]
