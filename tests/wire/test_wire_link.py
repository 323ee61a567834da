"""The link's messages as bytes: round trips, unknown fields, digests, tokens."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import tokens
from agent.wire.codec import from_json, to_json
from agent.wire.digest import StateDigest, bucket_of, content_hash, differing
from agent.wire.messages import (
    Ack,
    Applied,
    Command,
    Cursor,
    Desired,
    DesiredItem,
    Digest,
    Failure,
    LogOrder,
    LogTarget,
    PollAnswer,
    PollRequest,
    Problem,
    Result,
    ResultsRequest,
    SnapshotPage,
    StateItem,
)

COMMAND = Command("id", 3, "c-1", "pod.delete", "at_most_once", {"name": "p"}, "pod/a/p")
MESSAGES = [
    PollRequest(
        "s", 4, 9, 25_000, Cursor(3, 7), (Ack("id", "received"),), ("id",), Applied(7, (Failure("k", 8, "c"),))
    ),
    PollRequest("s", 4, 9, 0, digest=Digest(1, "r", 5, ("a", "b"))),
    PollAnswer(4, "g", commands=(COMMAND,), desired=Desired(1, 2, items=(DesiredItem("k", 2, "delete", "c-1"),))),
    ResultsRequest(4, (Result("id", "succeeded", elapsed_ms=3),)),
    SnapshotPage(4, "s", 0, True, 5, (StateItem(6, "Pod", "u", "upsert", "h", {"a": [1, None]}),), (1, 2)),
    LogOrder("s", LogTarget("ns", "p", previous=True), tail=5),
    Problem("gap", status=409, committed=7),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda item: type(item).__name__)
def test_messages_survive_the_way(message: object) -> None:
    assert from_json(type(message), to_json(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda item: type(item).__name__)
def test_fields_of_a_newer_release_are_ignored(message: object) -> None:
    data = json.loads(to_json(message)) | {"fromTheFuture": {"x": 1}}
    assert from_json(type(message), json.dumps(data)) == message


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="'epoch' is missing"):
        from_json(PollRequest, b'{"session": "s"}')


ROWS = st.lists(st.tuples(st.sampled_from(["Pod", "Node"]), st.text(max_size=6), st.text(max_size=6)), max_size=30)


@given(ROWS, st.randoms())
def test_a_digest_does_not_know_the_order(rows: list[tuple[str, str, str]], random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, two = StateDigest.of(rows), StateDigest.of(shuffled)
    assert (one.root(), one.buckets(), one.count) == (two.root(), two.buckets(), two.count)


@given(ROWS, st.tuples(st.just("Pod"), st.text(max_size=6), st.text(max_size=6)))
def test_removing_undoes_adding(rows: list[tuple[str, str, str]], extra: tuple[str, str, str]) -> None:
    digest = StateDigest.of(rows)
    before = (digest.root(), digest.buckets())
    digest.add(*extra)
    assert digest.root() != before[0]
    digest.remove(*extra)
    assert (digest.root(), digest.buckets()) == before


def test_a_changed_content_shows_in_its_bucket() -> None:
    mine = StateDigest.of([("Pod", "a", "1"), ("Pod", "b", "1")])
    theirs = StateDigest.of([("Pod", "a", "1"), ("Pod", "b", "2")])
    assert differing(mine.buckets(), theirs.buckets()) == (bucket_of("b"),)


def test_digests_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(ValueError, match="256"):
        differing(("a",), ("b",))


def test_equal_content_has_equal_hashes() -> None:
    assert content_hash(to_json({"b": 1, "a": 2})) == content_hash(to_json({"a": 2, "b": 1}))


def test_enrolment_tokens_show_their_id_only() -> None:
    text = f"rne_{'a' * 12}_{'b' * 43}"
    token = tokens.parse_enrolment(f" {text}\n")
    assert (str(token), token.id) == (text, "a" * 12)
    assert "b" * 43 not in repr(token)


@pytest.mark.parametrize("text", ["", "rne_short_x", f"fbx_{'a' * 12}_{'b' * 43}", f"rne_{'a' * 12}_{'b' * 43}x"])
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="rne_<12 characters>"):
        tokens.parse_enrolment(text)


def test_scopes() -> None:
    assert "metrics" not in tokens.parse_scopes("")
    assert tokens.parse_scopes("metrics") == ("metrics",)
    with pytest.raises(ValueError, match="unknown 'root'"):
        tokens.parse_scopes("poll root")
