"""What the rooms above may ask of the post office, and what the sweeper does. In one transaction, rolled back."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection

from agent.wire import limits
from link import services, sweeping
from link.services.sql import execute, query
from runai_cp.lib.errors import Conflict, Invalid, NotFound, TooMany

pytestmark = [pytest.mark.services, pytest.mark.django_db]
POD = {"namespace": "runai-a", "name": "p"}


@pytest.fixture
def cluster_id(acme) -> uuid.UUID:
    made = uuid.uuid4()
    services.register_cluster(cluster_id=made, schema_name=acme.schema_name, name="one")
    return made


def put(cluster_id: uuid.UUID, key: str = "project/a", n: int = 1) -> int:
    return services.put_desired(cluster_id=cluster_id, key=key, body={"metadata": {"name": "a"}, "n": n})


def send(cluster_id: uuid.UUID, **more) -> uuid.UUID:
    return services.send_command(cluster_id=cluster_id, **{"kind": "pod.delete", "body": POD, **more})


def status(cluster_id: uuid.UUID, command_id: uuid.UUID):
    return services.command_status(command_ids=[command_id], cluster_ids=[cluster_id])[command_id]


def test_registering_again_changes_nothing(cluster_id: uuid.UUID, acme) -> None:
    put(cluster_id)
    services.register_cluster(cluster_id=cluster_id, schema_name=acme.schema_name, name="one")
    assert put(cluster_id, "project/b") == 2


def test_an_id_of_another_tenant_is_taken(cluster_id: uuid.UUID, globex) -> None:
    with pytest.raises(Conflict):
        services.register_cluster(cluster_id=cluster_id, schema_name=globex.schema_name, name="one")


def test_revisions_are_contiguous_and_only_for_changes(cluster_id: uuid.UUID) -> None:
    assert [put(cluster_id), put(cluster_id), put(cluster_id, n=2), put(cluster_id, "project/b")] == [1, 1, 2, 3]
    assert services.delete_desired(cluster_id=cluster_id, key="project/a") == 4
    assert services.delete_desired(cluster_id=cluster_id, key="project/a") == 4
    assert services.delete_desired(cluster_id=cluster_id, key="project/never") == 0
    assert put(cluster_id, n=2) == 5


def test_the_status_of_documents(cluster_id: uuid.UUID) -> None:
    put(cluster_id)
    put(cluster_id, "project/b")
    execute("UPDATE public.link_agentsession SET applied_rev = 1 WHERE cluster_id = %s", [cluster_id])
    execute(
        "UPDATE public.link_desired SET error_rev = rev, error_code = 'invalid', error_message = 'bad' WHERE key = %s",
        ["project/b"],
    )
    found = services.desired_status(cluster_id=cluster_id, keys=["project/a", "project/b", "project/none"])
    assert {key: (item.applied, item.error) for key, item in found.items()} == {
        "project/a": (True, ""),
        "project/b": (False, "bad"),
    }


@pytest.mark.parametrize("key", ["", "project", "/a", "project/", "x" * 200 + "/" + "y" * 300])
def test_bad_keys_are_named(cluster_id: uuid.UUID, key: str) -> None:
    with pytest.raises(Invalid, match="key"):
        put(cluster_id, key)


def test_a_body_no_cluster_can_store_is_refused(cluster_id: uuid.UUID) -> None:
    with pytest.raises(Invalid, match="body"):
        services.put_desired(cluster_id=cluster_id, key="workload/x", body={"x": "y" * limits.MAX_DOCUMENT})


def test_a_secret_needs_a_connected_cluster(cluster_id: uuid.UUID) -> None:
    with pytest.raises(Conflict, match="connected"):
        services.put_desired(cluster_id=cluster_id, key="workload/x", body={"password": {"$secret": "hunter2"}})


def test_commands_have_contiguous_numbers(cluster_id: uuid.UUID) -> None:
    ids = [send(cluster_id) for _ in range(3)]
    rows = query("SELECT id, seq, object_key FROM public.link_command WHERE cluster_id = %s ORDER BY seq", [cluster_id])
    assert [(row.id, row.seq) for row in rows] == [(ids[0], 1), (ids[1], 2), (ids[2], 3)]
    assert rows[0].object_key == "pod/runai-a/p"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "pod.explode"}, "kind"),
        ({"delivery": "perhaps"}, "delivery"),
        ({"start_within_s": 0}, "start_within_s"),
        ({"body": {"x": "y" * 70_000}}, "body"),
    ],
)
def test_bad_commands_are_named(cluster_id: uuid.UUID, wrong: dict, field: str) -> None:
    with pytest.raises(Invalid, match=field):
        send(cluster_id, **wrong)


def test_too_many_open_commands_are_told_to_the_user(cluster_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OPEN_PER_CLUSTER", 2)
    send(cluster_id)
    send(cluster_id)
    with pytest.raises(TooMany):
        send(cluster_id)


def test_what_was_never_offered_can_be_cancelled(cluster_id: uuid.UUID) -> None:
    command_id = send(cluster_id)
    services.cancel_command(command_id=command_id)
    services.cancel_command(command_id=command_id)
    assert status(cluster_id, command_id).state == "cancelled"


def test_what_was_offered_is_only_asked_to_stop(cluster_id: uuid.UUID) -> None:
    command_id = send(cluster_id)
    execute("UPDATE public.link_command SET state = 'running' WHERE id = %s", [command_id])
    services.cancel_command(command_id=command_id)
    assert not status(cluster_id, command_id).ended


def test_other_clusters_commands_are_not_shown(cluster_id: uuid.UUID) -> None:
    assert services.command_status(command_ids=[send(cluster_id)], cluster_ids=[uuid.uuid4()]) == {}


def test_a_removed_cluster_takes_nothing_more(cluster_id: uuid.UUID) -> None:
    command_id = send(cluster_id)
    services.remove_cluster(cluster_id=cluster_id)
    services.remove_cluster(cluster_id=cluster_id)
    assert status(cluster_id, command_id).code == "cluster_removed"
    with pytest.raises(NotFound):
        put(cluster_id)
    with pytest.raises(NotFound):
        services.mint_enrolment(cluster_id=cluster_id)


def test_a_new_token_ends_the_older_one(cluster_id: uuid.UUID) -> None:
    tokens = [services.mint_enrolment(cluster_id=cluster_id) for _ in range(2)]
    rows = query(
        "SELECT id, expires_at > now() AS good, secret_hash FROM public.link_enrolment WHERE cluster_id = %s",
        [cluster_id],
    )
    assert {row.id: row.good for row in rows} == {tokens[0].split("_")[1]: False, tokens[1].split("_")[1]: True}
    assert all(tokens[1].encode() not in bytes(row.secret_hash) for row in rows)


def test_a_token_lives_a_day_at_most(cluster_id: uuid.UUID) -> None:
    with pytest.raises(Invalid, match="ttl_s"):
        services.mint_enrolment(cluster_id=cluster_id, ttl_s=86_401)


def test_nobody_was_ever_heard(cluster_id: uuid.UUID) -> None:
    found = services.liveness([cluster_id, uuid.uuid4()])
    assert list(found) == [cluster_id]
    assert (found[cluster_id].last_seen, found[cluster_id].connected) == (None, False)


@pytest.mark.parametrize(
    ("seen", "dropped", "connected"),
    [
        ("1 second", None, True),
        ("3 minutes", None, False),
        ("5 seconds", "2 seconds", True),
        ("30 seconds", "20 seconds", False),
    ],
)
def test_connected_by_the_servers_clock(cluster_id: uuid.UUID, seen: str, dropped: str | None, connected: bool) -> None:
    execute("UPDATE public.link_cluster SET state = 'enrolled' WHERE id = %s", [cluster_id])
    execute(
        "INSERT INTO public.link_liveness (cluster_id, last_seen, dropped_at) "
        "VALUES (%s, now() - %s::interval, now() - %s::interval)",
        [cluster_id, seen, dropped],
    )
    assert services.liveness([cluster_id])[cluster_id].connected is connected


# ---------------------------------------------------------------- inbox


def fill(cluster_id: uuid.UUID, schema_name: str, *uids: str, topic: str = "inventory") -> None:
    for uid in uids:
        execute(
            "INSERT INTO public.link_inbox "
            "(schema_name, topic, cluster_id, kind, uid, op, body, report_seq, created_at) "
            "VALUES (%s, %s, %s, 'Node', %s, 'upsert', '{\"name\": \"n\"}', 1, now() - interval '5 seconds')",
            [schema_name, topic, cluster_id, uid],
        )


def test_claimed_rows_are_gone_when_the_block_ends_well(cluster_id: uuid.UUID, acme) -> None:
    fill(cluster_id, acme.schema_name, "a", "b", "c")
    with services.claim_inbox(schema_name=acme.schema_name, topic="inventory", limit=2) as items:
        assert [(item.uid, item.body, item.op) for item in items] == [
            ("a", {"name": "n"}, "upsert"),
            ("b", {"name": "n"}, "upsert"),
        ]
    assert services.inbox_backlog() == [(acme.schema_name, "inventory", 1)]


def test_a_claim_that_fails_keeps_its_rows(cluster_id: uuid.UUID, acme) -> None:
    fill(cluster_id, acme.schema_name, "a")
    with pytest.raises(RuntimeError), services.claim_inbox(schema_name=acme.schema_name, topic="inventory", limit=2):
        raise RuntimeError("the worker dies here")
    assert services.inbox_backlog() == [(acme.schema_name, "inventory", 1)]


def test_a_tenant_sees_its_own_rows_only(cluster_id: uuid.UUID, acme, globex) -> None:
    fill(cluster_id, globex.schema_name, "theirs")
    with services.claim_inbox(schema_name=acme.schema_name, topic="inventory", limit=9) as items:
        assert items == []


def test_the_sweeper_nudges_the_topics_that_wait(cluster_id: uuid.UUID, acme, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(sweeping, "nudge", lambda task, schema: sent.append((task, schema)))
    fill(cluster_id, acme.schema_name, "a")
    fill(cluster_id, acme.schema_name, "b", topic="unknown-topic")
    sweeping.nudge_topics()
    assert sent == [("clusters.tasks.ingest_inventory", acme.schema_name)]


# ---------------------------------------------------------------- pruning


def test_dropped_tombstones_ask_for_a_full_set(cluster_id: uuid.UUID) -> None:
    put(cluster_id)
    services.delete_desired(cluster_id=cluster_id, key="project/a")
    execute("UPDATE public.link_desired SET deleted_at = now() - interval '15 days'")
    sweeping.prune_documents()
    assert query("SELECT pruned_rev FROM public.link_cluster WHERE id = %s", [cluster_id])[0].pruned_rev == 2


def test_old_results_and_read_logs_go(cluster_id: uuid.UUID) -> None:
    command_id = send(cluster_id)
    execute(
        "UPDATE public.link_command SET state = 'failed', ended_at = now() - interval '8 days' WHERE id = %s",
        [command_id],
    )
    stream_id = services.open_log(cluster_id=cluster_id, target={"namespace": "a", "pod": "p"})
    execute("INSERT INTO public.link_logchunk (stream_id, \"offset\", data) VALUES (%s, 0, 'x')", [stream_id])
    execute("UPDATE public.link_logstream SET ended = true, read_at = now() - interval '2 hours'")
    sweeping.prune_commands()
    sweeping.prune_logs()
    sweeping.prune_rest()
    assert services.command_status(command_ids=[command_id], cluster_ids=[cluster_id]) == {}
    with pytest.raises(NotFound):
        services.read_log(stream_id=stream_id, cluster_ids=[cluster_id])


def test_logs_nobody_reads_are_closed(cluster_id: uuid.UUID) -> None:
    stream_id = services.open_log(cluster_id=cluster_id, target={"namespace": "a", "pod": "p"})
    execute("UPDATE public.link_logstream SET read_at = now() - interval '2 minutes'")
    assert sweeping.close_unread_logs() == 1
    assert sweeping.close_unread_logs() == 0
    kinds = query("SELECT kind FROM public.link_command WHERE cluster_id = %s ORDER BY seq", [cluster_id])
    assert [row.kind for row in kinds] == ["log.open", "log.close"]
    assert query("SELECT closed FROM public.link_logstream WHERE id = %s", [stream_id])[0].closed


def test_reading_a_log_by_offset(cluster_id: uuid.UUID) -> None:
    stream_id = services.open_log(cluster_id=cluster_id, target={"namespace": "a", "pod": "p"})
    for offset, data in ((0, b"0123"), (4, b"456"), (7, b"789")):
        execute(
            'INSERT INTO public.link_logchunk (stream_id, "offset", data) VALUES (%s, %s, %s)',
            [stream_id, offset, data],
        )
    execute("UPDATE public.link_logstream SET next_offset = 10, ended = true WHERE id = %s", [stream_id])

    def read(offset: int, limit: int):
        found = services.read_log(stream_id=stream_id, cluster_ids=[cluster_id], offset=offset, limit=limit)
        return found.data, found.next_offset, found.ended

    assert read(0, 100) == (b"0123456789", 10, True)
    assert read(2, 4) == (b"2345", 6, False)
    assert read(9, 5) == (b"9", 10, True)
    assert read(10, 5) == (b"", 10, True)


def test_nobody_reads_another_clusters_log(cluster_id: uuid.UUID) -> None:
    stream_id = services.open_log(cluster_id=cluster_id, target={"namespace": "a", "pod": "p"})
    with pytest.raises(NotFound):
        services.read_log(stream_id=stream_id, cluster_ids=[uuid.uuid4()])


def test_the_tables_are_in_the_public_schema_only(acme) -> None:
    rows = query("SELECT schemaname FROM pg_tables WHERE tablename LIKE 'link\\_%%' GROUP BY 1")
    assert [row.schemaname for row in rows] == ["public"]
    assert connection.schema_name == acme.schema_name
