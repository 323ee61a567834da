"""The protocol's tables: transitions, offers, documents, sessions, state cursors, buckets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import limits
from agent.wire.commands import Delivery, ResultState, Verdict
from agent.wire.messages import Ack, Cursor, Digest, SnapshotPage, StateItem
from link.protocol.commands import (
    ENDED,
    CommandRow,
    CommandState,
    Fact,
    advance,
    fact_of_ack,
    judge_result,
    proves_double_execution,
)
from link.protocol.exchange import (
    DesiredPlan,
    open_session,
    overdue,
    plan_desired,
    settle_acks,
    settle_offers,
)
from link.protocol.pace import Bucket, hold_ms, take
from link.protocol.state import DigestWatch, SnapshotCursor, Take, due, judge_delta, judge_page, next_cursor

S, F = CommandState, Fact
NOW = 1_000_000


def row(state: CommandState = S.OWED, seq: int = 1, **more) -> CommandRow:
    options = {"delivery": Delivery.AT_MOST_ONCE, "not_after": NOW + 60_000, **more}
    return CommandRow(f"c{seq}", seq, state, **options)


@pytest.mark.parametrize(
    ("state", "fact", "after"),
    [
        (S.OWED, F.OFFERED, S.OFFERED),
        (S.OWED, F.OVERDUE, S.EXPIRED),
        (S.OFFERED, F.OVERDUE, S.OFFERED),
        (S.OFFERED, F.NOT_TAKEN, S.EXPIRED),
        (S.OFFERED, F.WITHDRAWN, S.CANCELLED),
        (S.OFFERED, F.RECEIVED, S.HELD),
        (S.HELD, F.STARTED, S.RUNNING),
        (S.HELD, F.OVERDUE, S.UNCONFIRMED),
        (S.RUNNING, F.OVERDUE, S.UNCONFIRMED),
        (S.UNCONFIRMED, F.SUCCEEDED, S.SUCCEEDED),
        (S.UNCONFIRMED, F.OVERDUE, S.UNKNOWN),
        (S.RUNNING, F.UNKNOWN, S.UNCONFIRMED),
        (S.OFFERED, F.SUCCEEDED, S.SUCCEEDED),
    ],
)
def test_transitions(state: CommandState, fact: Fact, after: CommandState) -> None:
    assert advance(state, fact) is after


@given(st.sampled_from(sorted(ENDED)), st.sampled_from(list(Fact)))
def test_what_has_ended_never_changes(state: CommandState, fact: Fact) -> None:
    assert advance(state, fact) is state


@given(st.lists(st.sampled_from(list(Fact)), max_size=12))
def test_time_alone_never_ends_what_was_offered(facts: list[Fact]) -> None:
    """From the offer on, a word of the agent, a poll that shows it was not taken, or the grace of silence ends it."""
    state = S.OFFERED
    for fact in facts:
        before, state = state, advance(state, fact)
        if fact is F.OVERDUE and state in ENDED and before not in ENDED:
            assert before is S.UNCONFIRMED


def test_words_of_acks() -> None:
    assert [fact_of_ack(word) for word in ("received", "started", "rejected", "new word")] == [
        F.RECEIVED,
        F.STARTED,
        F.REJECTED,
        None,
    ]


@pytest.mark.parametrize(
    ("state", "result", "verdict", "after"),
    [
        (S.RUNNING, "succeeded", Verdict.ACCEPTED, S.SUCCEEDED),
        (S.OFFERED, "failed", Verdict.ACCEPTED, S.FAILED),
        (S.RUNNING, "unknown", Verdict.ACCEPTED, S.UNCONFIRMED),
        (S.UNCONFIRMED, "unknown", Verdict.ACCEPTED, None),
        (S.SUCCEEDED, "succeeded", Verdict.DUPLICATE, None),
        (S.SUCCEEDED, "unknown", Verdict.DUPLICATE, None),
        (S.SUCCEEDED, "failed", Verdict.CONFLICT, None),
        (S.UNKNOWN, "succeeded", Verdict.CONFLICT, None),
    ],
)
def test_results(state: CommandState, result: str, verdict: Verdict, after: CommandState | None) -> None:
    assert judge_result(row(state), ResultState(result)) == (verdict, after)


def test_a_result_of_nothing() -> None:
    assert judge_result(None, ResultState.FAILED) == (Verdict.UNKNOWN_COMMAND, None)


def test_late_news_is_no_contradiction() -> None:
    assert not proves_double_execution(S.UNKNOWN, ResultState.SUCCEEDED)
    assert proves_double_execution(S.EXPIRED, ResultState.SUCCEEDED)


# ---------------------------------------------------------------- offers


def test_everything_beyond_the_cursor_is_offered_each_time() -> None:
    rows = [row(S.OFFERED, 4), row(S.OWED, 5)]
    settled = settle_offers(rows, 3, 50, NOW)
    assert settled.offers == ("c4", "c5")
    assert [item.state for item in settled.changed] == [S.OFFERED]


def test_what_the_cursor_covers_is_not_offered() -> None:
    assert settle_offers([row(S.HELD, 4)], 4, 50, NOW).offers == ()


def test_capacity_leaves_the_rest_for_the_next_poll() -> None:
    settled = settle_offers([row(seq=seq) for seq in (1, 2, 3)], 0, 2, NOW)
    assert (settled.offers, settled.more) == (("c1", "c2"), True)


def test_no_capacity_is_no_reason_to_come_back_at_once() -> None:
    settled = settle_offers([row()], 0, 0, NOW)
    assert (settled.offers, settled.changed, settled.more) == ((), (), False)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (row(S.OFFERED, not_after=NOW), S.EXPIRED),
        (row(S.OFFERED, cancel=True), S.CANCELLED),
        (row(S.OWED, cancel=True), S.CANCELLED),
        (row(S.RUNNING), S.UNCONFIRMED),
        (row(S.HELD, delivery=Delivery.AT_LEAST_ONCE), S.OFFERED),
    ],
)
def test_what_a_cursor_that_stops_short_proves(before: CommandRow, after: CommandState) -> None:
    assert settle_offers([before], 0, 50, NOW).changed[0].state is after


def test_a_named_command_is_in_the_journal_whatever_the_cursor_says() -> None:
    assert settle_offers([row(S.RUNNING)], 0, 50, NOW, named=frozenset({"c1"})).changed == ()


@pytest.mark.parametrize(
    ("state", "told"), [(S.OFFERED, True), (S.HELD, True), (S.RUNNING, False), (S.UNCONFIRMED, False)]
)
def test_cancel_is_told_for_what_may_not_have_started(state: S, told: bool) -> None:
    assert settle_offers([row(state, cancel=True)], 1, 50, NOW).cancel == (("c1",) if told else ())


def test_acks_move_on_and_renew() -> None:
    settled = settle_acks([row(S.OFFERED, 1), row(S.RUNNING, 2)], [Ack("c1", "received")], ["c2"], NOW)
    assert [(item.state, item.until) for item in settled.changed] == [
        (S.HELD, NOW + limits.LEASE_MS),
        (S.RUNNING, NOW + limits.LEASE_MS),
    ]


def test_acks_of_ended_commands_are_confirmed_too() -> None:
    assert settle_acks([], [Ack("gone", "received")], [], NOW).acked == ("gone",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (row(not_after=NOW), S.EXPIRED),
        (row(S.OFFERED, not_after=NOW), S.OFFERED),
        (row(S.HELD, until=NOW), S.UNCONFIRMED),
        (row(S.HELD, until=NOW + 1), S.HELD),
        (row(S.UNCONFIRMED, until=NOW), S.UNKNOWN),
        (row(cancel=True), S.CANCELLED),
    ],
)
def test_the_sweeper(before: CommandRow, after: CommandState) -> None:
    assert overdue(before, NOW).state is after


def test_the_agent_gives_up_before_the_server() -> None:
    assert limits.AGENT_LEASE_MS < limits.LEASE_MS


# ---------------------------------------------------------------- documents and sessions


@pytest.mark.parametrize(
    ("cursor", "last", "pruned", "plan"),
    [
        (Cursor(), 0, 0, None),
        (Cursor(), 7, 0, DesiredPlan(True, 0, 7)),
        (Cursor(desired_rev=7), 7, 0, None),
        (Cursor(desired_rev=5), 7, 0, DesiredPlan(False, 5, 7)),
        (Cursor(desired_rev=5), 7, 6, DesiredPlan(True, 5, 7)),
        (Cursor(desired_rev=9), 7, 0, DesiredPlan(True, 9, 7)),
        (Cursor(full_to=6, full_after="k"), 7, 0, DesiredPlan(True, 0, 6, "k")),
        (Cursor(full_to=9, full_after="k"), 7, 0, DesiredPlan(True, 0, 7)),
    ],
)
def test_documents_owed(cursor: Cursor, last: int, pruned: int, plan: DesiredPlan | None) -> None:
    assert plan_desired(cursor, last, pruned) == plan


def test_a_new_instance_raises_the_epoch_and_the_same_one_does_not() -> None:
    first = open_session(4, "a", (), "b", NOW)
    again = open_session(5, "b", first.log, "b", NOW)
    assert (first.epoch, first.resumed, again.epoch, again.resumed) == (5, False, 5, True)


@pytest.mark.parametrize(("names", "cloned"), [("abcdef", False), ("aba", False), ("ababab", True), ("abcabc", True)])
def test_clones_take_turns(names: str, cloned: bool) -> None:
    log, current, found = (), "", False
    for index, name in enumerate(names):
        made = open_session(index, current, log, name, NOW + index)
        log, current, found = made.log, name, made.cloned
    assert found is cloned


# ---------------------------------------------------------------- state


def items(*seqs: int) -> tuple[StateItem, ...]:
    return tuple(StateItem(seq, "Pod", f"u{seq}", "delete") for seq in seqs)


@pytest.mark.parametrize(
    ("committed", "base", "seqs", "verdict"),
    [
        (5, 5, (6, 7), Take.APPLY),
        (7, 5, (6, 7), Take.DUPLICATE),
        (6, 5, (6, 7), Take.GAP),
        (5, 6, (7,), Take.GAP),
        (5, 5, (7,), Take.GAP),
    ],
)
def test_deltas(committed: int, base: int, seqs: tuple[int, ...], verdict: Take) -> None:
    assert judge_delta(committed, base, items(*seqs)) is verdict


def page(name: str, number: int, base: int = 5, complete: bool = False) -> SnapshotPage:
    return SnapshotPage(1, name, number, complete, base)


@pytest.mark.parametrize(
    ("cursor", "next_page", "verdict"),
    [
        (SnapshotCursor(), page("s", 0), Take.APPLY),
        (SnapshotCursor("s", 0), page("s", 1), Take.APPLY),
        (SnapshotCursor("s", 1), page("s", 1), Take.DUPLICATE),
        (SnapshotCursor("s", 0), page("s", 2), Take.GAP),
        (SnapshotCursor("s", 3), page("t", 0), Take.APPLY),
        (SnapshotCursor("s", 3), page("t", 1), Take.GAP),
        (SnapshotCursor(), page("s", 0, base=4), Take.GAP),
        (SnapshotCursor(done="s"), page("s", 0, base=4), Take.DUPLICATE),
    ],
)
def test_snapshot_pages(cursor: SnapshotCursor, next_page: SnapshotPage, verdict: Take) -> None:
    assert judge_page(5, cursor, next_page) is verdict


def test_a_finished_snapshot_is_remembered() -> None:
    assert next_cursor(SnapshotCursor("s", 0), page("s", 1, complete=True)) == SnapshotCursor(done="s")


def test_digests_are_compared_at_rest_only() -> None:
    digest = Digest(1, "root", report_seq=5)
    assert due(DigestWatch(), digest, 5, 10**9)
    assert not due(DigestWatch(), digest, 6, 10**9)
    assert not due(DigestWatch(0, 10**9), digest, 5, 10**9 + 1)
    assert due(DigestWatch(1, 10**9), digest, 5, 10**9 + 1)


# ---------------------------------------------------------------- pace


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_a_bucket_never_gives_more_than_its_rate(pauses: list[float]) -> None:
    bucket, now, taken = Bucket.full(2.0, 5.0, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, now)
        taken += wait == 0
    assert taken <= 5 + 2 * now + 1e-6


def test_a_refusal_says_when_to_come_back() -> None:
    empty = replace(Bucket.full(2.0, 5.0, 0.0), tokens=0.0)
    _, wait = take(empty, 0.0)
    assert take(empty, wait)[1] == 0.0


@given(st.integers(-5, 10**9), st.floats(0, 0.999))
def test_holds_stay_within_ten_percent(wanted: int, chance: float) -> None:
    base = max(0, min(wanted, limits.HOLD_MS))
    assert abs(hold_ms(wanted, chance) - base) <= base * limits.HOLD_JITTER + 1
