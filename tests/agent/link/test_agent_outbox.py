"""The outbox: coalesced per object, one batch at a time, snapshots when cursors cannot be reconciled."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agent.link.outbox import Outbox
from agent.wire.digest import StateDigest
from agent.wire.messages import SnapshotPage, StateDelta


@dataclass(frozen=True)
class Thing:
    n: int


def ready() -> Outbox:
    outbox = Outbox()
    page = outbox.next_page(1, "s")
    outbox.page_confirmed(page, 1)
    return outbox


def test_equal_reports_are_not_sent() -> None:
    outbox = ready()
    assert outbox.put("Pod", "a", Thing(1))
    assert not outbox.put("Pod", "a", Thing(1))


def test_only_the_newest_report_of_an_object_is_sent() -> None:
    outbox = ready()
    for n in range(5):
        outbox.put("Pod", "a", Thing(n))
    delta = outbox.next_delta(1)
    assert [(item.seq, item.obj) for item in delta.items] == [(2, {"n": 4})]


def test_a_batch_is_sent_again_unchanged_until_it_is_taken() -> None:
    outbox = ready()
    outbox.put("Pod", "a", Thing(1))
    first = outbox.next_delta(1)
    outbox.put("Pod", "b", Thing(2))
    assert outbox.next_delta(1) == first
    outbox.delta_confirmed(first, 2)
    assert [item.uid for item in outbox.next_delta(1).items] == ["b"]


def test_a_batch_of_an_old_session_goes_on_in_the_new_one() -> None:
    outbox = ready()
    outbox.put("Pod", "a", Thing(1))
    first = outbox.next_delta(1)
    assert outbox.next_delta(2) == StateDelta(2, first.base, first.items)


def test_a_gap_that_is_our_own_batch_is_no_gap() -> None:
    outbox = ready()
    outbox.put("Pod", "a", Thing(1))
    outbox.next_delta(1)
    outbox.gap(2)
    assert not outbox.waiting and outbox.committed == 2


def test_any_other_gap_needs_a_snapshot() -> None:
    outbox = ready()
    outbox.put("Pod", "a", Thing(1))
    outbox.next_delta(1)
    outbox.gap(40)
    page = outbox.next_page(1, "again")
    assert (page.base, page.complete, [item.uid for item in page.items]) == (40, True, ["a"])


def test_nothing_is_compared_while_something_is_under_way() -> None:
    outbox = ready()
    assert outbox.digest() is not None
    outbox.put("Pod", "a", Thing(1))
    assert outbox.digest() is None


def test_a_snapshot_of_an_old_session_begins_again() -> None:
    outbox = Outbox()
    outbox.put("Pod", "a", Thing(1))
    outbox.next_page(1, "s1")
    outbox.resume(7)
    page = outbox.next_page(2, "s2")
    assert (page.snapshot_id, page.page, page.base) == ("s2", 0, 7)


def test_large_snapshots_come_in_pages() -> None:
    outbox = Outbox()
    for index in range(1200):
        outbox.put("Pod", f"u{index}", Thing(index))
    pages: list[SnapshotPage] = []
    while (page := outbox.next_page(1, "s")) is not None:
        pages.append(page)
        outbox.page_confirmed(page, 1)
    assert [(page.page, len(page.items), page.complete) for page in pages] == [
        (0, 500, False),
        (1, 500, False),
        (2, 200, True),
    ]


def test_a_resync_sends_the_wanted_buckets_only() -> None:
    outbox = ready()
    for index in range(50):
        outbox.put("Pod", f"u{index}", Thing(index))
    outbox.delta_confirmed(outbox.next_delta(1), 51)
    outbox.start_over((3, 77))
    page = outbox.next_page(1, "s")
    assert page.buckets == (3, 77) and len(page.items) < 50


ACTS = st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 3))), max_size=40)


@given(ACTS)
def test_the_digest_is_that_of_what_is_held(acts: list[tuple[str, int | None]]) -> None:
    outbox = ready()
    for uid, n in acts:
        if n is None:
            outbox.drop("Pod", uid)
        else:
            outbox.put("Pod", uid, Thing(n))
    taken: dict[str, str] = {}
    while (delta := outbox.next_delta(1)) is not None:
        for item in delta.items:
            taken.pop(item.uid, None) if item.op == "delete" else taken.__setitem__(item.uid, item.hash)
        outbox.delta_confirmed(delta, delta.items[-1].seq)
    assert outbox.digest().root == StateDigest.of(("Pod", uid, hash_) for uid, hash_ in taken.items()).root()
