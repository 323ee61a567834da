"""The journal's rules: what is received once, started in order, never run twice, and forgotten only when told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.link import journal as j
from agent.link.core import Core
from agent.link.journal import Journal, Stage
from agent.wire import limits
from agent.wire.codec import from_json, to_json
from agent.wire.messages import (
    Command,
    Desired,
    PollAnswer,
    Receipt,
    Result,
    ResultsAnswer,
    SessionAnswer,
)

KINDS = frozenset({"act"})


def command(seq: int, key: str = "a", delivery: str = "at_most_once", **more) -> Command:
    return replace(Command(f"c{seq}", seq, "me", "act", delivery, {}, key), **more)


def received(*commands: Command) -> Journal:
    return j.receive(Journal(), commands, "me", KINDS)


def stages(journal: Journal) -> dict[str, str]:
    return {item.command.id: item.stage.value for item in journal.entries}


def test_the_same_command_is_written_down_once() -> None:
    journal = received(command(1))
    assert j.receive(journal, [command(1)], "me", KINDS) == journal
    assert journal.command_seq == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (command(1, cluster_id="other"), "wrong_cluster"),
        (command(1, kind="new"), "unsupported_kind"),
        (command(1, v=2), "unsupported_kind"),
    ],
)
def test_what_is_not_for_us_is_refused_without_an_act(wrong: Command, code: str) -> None:
    entry = received(wrong).entries[0]
    assert (entry.stage, entry.result.state, entry.result.code) == (Stage.DONE, "failed", code)


def test_one_object_at_a_time_in_order_of_seq() -> None:
    journal = received(command(2), command(1), command(3, key="b"))
    assert j.startable(journal, 8) == ("c1", "c3")
    journal = j.finish(j.start(journal, ["c1"]), Result("c1", "failed"))
    assert "c2" in j.startable(journal, 8)


def test_no_more_at_a_time_than_allowed() -> None:
    journal = received(*(command(seq, key=str(seq)) for seq in range(1, 6)))
    journal = j.start(journal, ["c1"])
    assert j.startable(journal, 3) == ("c2", "c3")


@pytest.mark.parametrize(("delivery", "stage"), [("at_most_once", "done"), ("at_least_once", "received")])
def test_a_crash_after_the_start(delivery: str, stage: str) -> None:
    journal = j.take_over(j.start(received(command(1, delivery=delivery)), ["c1"]), "new")
    assert stages(journal) == {"c1": stage}
    if stage == "done":
        assert journal.entries[0].result.state == "unknown"


def test_a_crash_before_the_start_changes_nothing() -> None:
    assert stages(j.take_over(received(command(1)), "new")) == {"c1": "received"}


def test_a_first_result_stays() -> None:
    journal = j.finish(j.finish(received(command(1)), Result("c1", "succeeded")), Result("c1", "failed"))
    assert journal.entries[0].result.state == "succeeded"


def test_cancel_and_expiry_touch_only_what_waits() -> None:
    journal = j.start(received(command(1), command(2, key="b")), ["c1"])
    journal = j.cancel(j.expire(journal, ["c1"]), ["c1", "c2"])
    assert stages(journal) == {"c1": "started", "c2": "done"}


def test_a_finished_command_is_not_run_again_after_a_restored_server() -> None:
    journal = j.forget(j.finish(received(command(1)), Result("c1", "succeeded")), ["c1"])
    assert journal.entries == ()
    again = j.receive(j.new_generation(journal, "g2"), [command(1)], "me", KINDS)
    assert (again.entries[0].stage, again.entries[0].result.state) == (Stage.DONE, "succeeded")


def test_the_journal_survives_its_storage() -> None:
    journal = j.finish(received(command(1), command(2)), Result("c1", "failed", code="x"))
    assert from_json(Journal, to_json(journal)) == journal


# ---------------------------------------------------------------- core


def core(stored: Journal | None = None) -> Core:
    made = Core("me", "i-1", KINDS, stored or Journal())
    made.written(made.draft)
    made.session_opened(SessionAnswer("s", 1, "me", "g", 0), 0)
    made.written(made.draft)
    return made


def offered(made: Core, *commands: Command, now: int = 0, **more) -> None:
    made.poll_answered(made.poll_request(), PollAnswer(1, "g", commands=commands, **more), now)


def test_nothing_is_done_before_it_is_durable() -> None:
    made = core()
    offered(made, command(1))
    made.plan(0)
    assert made.to_execute(0) == []
    assert made.poll_request().cursor.command_seq == 0
    made.written(made.draft)
    assert [item.id for item in made.to_execute(0)] == ["c1"]
    assert made.to_execute(0) == []
    assert made.poll_request().cursor.command_seq == 1


def test_a_fenced_instance_starts_nothing() -> None:
    made = core()
    offered(made, command(1))
    made.fence()
    made.plan(0)
    made.written(made.draft)
    assert made.to_execute(0) == []


def test_an_instance_the_server_gave_up_starts_nothing() -> None:
    made = core()
    offered(made, command(1))
    later = limits.AGENT_LEASE_MS + 1
    made.plan(later)
    made.written(made.draft)
    assert made.to_execute(later) == []


def test_what_waits_too_long_expires_by_our_own_clock() -> None:
    made = core()
    offered(made, command(1, start_within_ms=100))
    made.last_poll_ok = 200
    made.plan(200)
    assert made.draft.entries[0].result.state == "expired"


def test_results_are_kept_until_they_are_taken() -> None:
    made = core()
    offered(made, command(1))
    made.written(made.draft)
    made.finished(Result("c1", "succeeded"))
    assert made.results_request().items == ()
    made.written(made.draft)
    request = made.results_request()
    assert [item.id for item in request.items] == ["c1"]
    made.results_answered(request, ResultsAnswer((Receipt("c1", "accepted"),)))
    assert made.draft.entries == ()


def test_another_generation_means_no_removals() -> None:
    made = core()
    made.session_opened(SessionAnswer("s", 2, "me", "g2", 0), 0)
    assert made.safe_mode and made.draft.command_seq == 0


def test_an_answer_for_another_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="cluster other"):
        core().session_opened(SessionAnswer("s", 2, "other", "g", 0), 0)


def test_a_full_backlog_takes_no_more_commands() -> None:
    made = core()
    offered(made, *(command(seq, key=str(seq), kind="new") for seq in range(1, 201)))
    assert made.poll_request().capacity == 0


def test_safe_mode_outlives_a_restart_and_ends_with_a_confirmation() -> None:
    made = core()
    made.session_opened(SessionAnswer("s", 2, "me", "g2", 0), 0)
    again = Core("me", "i-2", KINDS, made.draft)
    again.session_opened(SessionAnswer("s", 3, "me", "g2", 0), 0)
    assert again.safe_mode
    desired = Desired(0, 9, full=True, confirm_removals=True)
    again.poll_answered(again.poll_request(), PollAnswer(3, "g2", desired=desired), 0)
    assert not again.safe_mode
