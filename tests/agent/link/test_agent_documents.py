"""Documents on their way in: order per key, retries, full sets, and what may be removed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link.documents import SWEEP_KEY, Documents, plan_removal
from agent.wire.messages import Cursor, Desired, DesiredItem


def put(key: str, rev: int, cluster: str = "me") -> DesiredItem:
    return DesiredItem(key, rev, "put", cluster, body={})


def delta(since: int, to: int, *items: DesiredItem) -> Desired:
    return Desired(since, to, items=items)


def at(rev: int) -> Documents:
    return Documents("me", Cursor(desired_rev=rev))


def test_a_delta_moves_the_cursor_and_is_applied_in_order() -> None:
    documents = at(1)
    documents.take(delta(1, 3, put("b", 3), put("a", 2)))
    assert [item.key for item in documents.due(0, 9)] == ["a", "b"]
    assert documents.cursor.desired_rev == 3


def test_an_answer_to_an_older_question_is_void() -> None:
    documents = at(5)
    documents.take(delta(1, 3, put("a", 2)))
    assert documents.due(0, 9) == [] and documents.cursor.desired_rev == 5


def test_a_newer_revision_waits_for_the_older_one() -> None:
    documents = at(1)
    documents.take(delta(1, 2, put("a", 2)))
    (older,) = documents.due(0, 9)
    documents.take(delta(2, 3, put("a", 3)))
    assert documents.due(0, 9) == []
    documents.applied(older)
    assert [item.rev for item in documents.due(0, 9)] == [3]


def test_the_report_stops_below_what_is_not_applied() -> None:
    documents = at(1)
    documents.take(delta(1, 5, put("a", 3), put("b", 5)))
    first, _ = documents.due(0, 9)
    assert documents.report().desired_rev == 2
    documents.applied(first)
    assert documents.report().desired_rev == 4


def test_a_failure_is_told_and_tried_again_later_and_later() -> None:
    documents = at(1)
    documents.take(delta(1, 2, put("a", 2)))
    now = 0
    for pause in (250, 500, 1000):
        (item,) = documents.due(now, 9)
        documents.failed(item, "not_found", "no namespace", now)
        assert documents.next_due_in(now) == pause
        assert documents.due(now + pause - 1, 9) == []
        now += pause
    assert documents.report().desired_rev == 2
    assert documents.report().failed[0].code == "not_found"
    documents.applied(documents.due(now, 9)[0])
    assert documents.report().failed == ()


def test_what_is_refused_for_good_waits_for_another_revision() -> None:
    documents = at(1)
    documents.take(delta(1, 2, put("a", 2)))
    documents.failed(documents.due(0, 9)[0], "invalid", "bad", 0, permanent=True)
    assert documents.next_due_in(0) is None
    documents.take(delta(2, 3, put("a", 3)))
    documents.applied(documents.due(0, 9)[0])
    assert documents.report().failed == ()


def test_another_clusters_document_is_refused_and_told() -> None:
    documents = at(1)
    documents.take(delta(1, 2, put("a", 2, cluster="other")))
    assert documents.due(0, 9) == []
    assert (documents.foreign, documents.report().failed[0].code) == (1, "wrong_cluster")


def test_only_the_last_page_lets_us_sweep() -> None:
    documents = Documents("me")
    documents.take(Desired(0, 9, full=True, complete=False, items=(put("a", 4),)))
    assert documents.sweep_wanted is None
    assert (documents.cursor.full_to, documents.cursor.full_after, documents.cursor.desired_rev) == (9, "a", 0)
    documents.take(Desired(0, 9, full=True, items=(put("b", 7),)))
    assert (documents.sweep_wanted, documents.cursor) == ({"a", "b"}, Cursor(desired_rev=9))


def test_pages_of_two_full_sets_do_not_mix() -> None:
    documents = Documents("me")
    documents.take(Desired(0, 9, full=True, complete=False, items=(put("old", 4),)))
    documents.take(Desired(0, 12, full=True, items=(put("b", 7),)))
    assert documents.sweep_wanted == {"b"}


def test_what_comes_before_the_sweep_is_not_swept() -> None:
    documents = Documents("me")
    documents.take(Desired(0, 9, full=True, items=(put("a", 4),)))
    documents.take(delta(9, 10, put("late", 10)))
    assert documents.sweep_wanted == {"a", "late"}


def test_applied_waits_for_the_sweep() -> None:
    documents = Documents("me")
    documents.take(Desired(0, 9, full=True, items=()))
    assert documents.report().desired_rev == 0
    documents.swept(0)
    assert documents.report().desired_rev == 9


def test_removals_held_back_are_told() -> None:
    documents = Documents("me")
    documents.take(Desired(0, 9, full=True, items=()))
    documents.swept(40)
    assert documents.report().failed[0].key == SWEEP_KEY


OWNED = [f"k{index}" for index in range(100)]


@pytest.mark.parametrize(
    ("keep", "confirmed", "safe", "removed", "held"),
    [
        (95, False, False, 5, 0),
        (80, False, False, 20, 0),
        (79, False, False, 0, 21),
        (0, False, False, 0, 100),
        (0, True, False, 100, 0),
        (95, True, True, 0, 5),
    ],
)
def test_a_wiped_server_does_not_wipe_the_cluster(
    keep: int, confirmed: bool, safe: bool, removed: int, held: int
) -> None:
    plan = plan_removal(OWNED, OWNED[:keep], confirmed=confirmed, safe_mode=safe)
    assert (len(plan.keys), plan.held_back) == (removed, held)


@given(st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3)), st.booleans(), st.booleans())
def test_only_what_is_ours_and_unwanted_goes(owned: set[str], wanted: set[str], confirmed: bool, safe: bool) -> None:
    plan = plan_removal(owned, wanted, confirmed=confirmed, safe_mode=safe)
    assert set(plan.keys) <= owned - wanted
