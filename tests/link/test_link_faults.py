"""Commands and state against lost answers, ghosts, clones, gaps and unfinished snapshots."""

from __future__ import annotations

import uuid

import pytest

from agent.link.client import LinkError
from agent.wire.codec import to_json
from agent.wire.messages import (
    Ack,
    Cursor,
    LogEnd,
    Result,
    ResultsAnswer,
    ResultsRequest,
    SnapshotPage,
    StateAnswer,
    StateDelta,
)
from link import services, sweeping
from link.services.sql import execute, query
from tests.link.linkrig import Rig, in_db
from tests.link.linktalk import item, load, poll, send_command, session

pytestmark = [pytest.mark.services, pytest.mark.django_db]


async def test_a_lost_answer_costs_one_poll(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        await send_command(cluster_id)
        lost = await poll(link, made.epoch, 1)
        again = await poll(link, made.epoch, 2)
        assert [item.seq for item in lost.commands] == [item.seq for item in again.commands] == [1]
        taken = await poll(link, made.epoch, 3, cursor=Cursor(1), acks=(Ack(again.commands[0].id, "received"),))
        assert (taken.commands, taken.acked) == ((), (again.commands[0].id,))


async def test_an_older_poll_changes_nothing(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        await send_command(cluster_id)
        await poll(link, made.epoch, 5)
        with pytest.raises(LinkError) as refused:
            await poll(link, made.epoch, 4)
    assert refused.value.code == "superseded"


async def test_results_are_taken_once_and_a_contradiction_is_an_anomaly(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        command_id = str(await send_command(cluster_id))
        await poll(link, made.epoch, 1)
        verdicts = []
        for state in ("succeeded", "succeeded", "failed"):
            request = ResultsRequest(made.epoch, (Result(command_id, state),))
            verdicts.append((await link.post("results", request, ResultsAnswer)).items[0].verdict)
    assert verdicts == ["accepted", "duplicate", "conflict"]
    rows = await in_db(lambda: query("SELECT kind FROM public.link_anomaly WHERE cluster_id = %s", [cluster_id]))
    assert [row.kind for row in rows] == ["second_result"]


async def test_a_newer_instance_fences_the_older_but_keeps_its_evidence(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        old = await session(link, "i-1")
        command_id = str(await send_command(cluster_id))
        await poll(link, old.epoch, 1)
        assert (await session(link, "i-2")).epoch == old.epoch + 1
        with pytest.raises(LinkError) as refused:
            await poll(link, old.epoch, 2)
        assert (refused.value.code, refused.value.problem.instance_id) == ("stale_epoch", "i-2")
        late = ResultsRequest(old.epoch, (Result(command_id, "succeeded"),))
        assert (await link.post("results", late, ResultsAnswer)).items[0].verdict == "accepted"
    rows = await in_db(lambda: query("SELECT state, late FROM public.link_command WHERE id = %s", [command_id]))
    assert (rows[0].state, rows[0].late) == ("succeeded", True)


async def test_two_agents_in_turns_are_stopped(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        with pytest.raises(LinkError) as refused:
            for turn in range(8):
                await session(link, f"i-{turn % 2}")
        assert refused.value.code == "revoked"
    events = [load(row.body)["event"] for row in await rig.inbox(cluster_id, "Security")]
    assert events[-1] == "cloned_credential"


async def test_commands_nobody_took_expire(rig: Rig) -> None:
    cluster_id, _ = await rig.enrolled()
    command_id = await send_command(cluster_id, start_within_s=1)
    await in_db(
        lambda: execute("UPDATE public.link_command SET not_after = now() - interval '1 s' WHERE id = %s", [command_id])
    )
    await in_db(sweeping.expire_commands)
    found = await in_db(lambda: services.command_status(command_ids=[command_id], cluster_ids=[cluster_id]))
    assert (found[command_id].state, found[command_id].code) == ("expired", "overdue")


async def test_a_delta_is_taken_once_and_a_gap_is_told(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        delta = StateDelta(made.epoch, 0, (item(1, "a"), item(2, "b")))
        assert (await link.post("state/delta", delta, StateAnswer)).committed == 2
        assert (await link.post("state/delta", delta, StateAnswer)).committed == 2
        with pytest.raises(LinkError) as gap:
            await link.post("state/delta", StateDelta(made.epoch, 5, (item(6, "c"),)), StateAnswer)
    assert (gap.value.code, gap.value.problem.committed) == ("gap", 2)
    assert [row.uid for row in await rig.inbox(cluster_id, "Pod")] == ["a", "b"]


async def test_an_unfinished_snapshot_sweeps_nothing(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        await link.post("state/delta", StateDelta(made.epoch, 0, (item(1, "a"), item(2, "b"))), StateAnswer)
        await link.post("state/snapshot", SnapshotPage(made.epoch, "s1", 0, False, 2, (item(3, "a"),)), StateAnswer)
        assert await held(cluster_id) == ["a", "b"]
        await link.post("state/snapshot", SnapshotPage(made.epoch, "s2", 0, True, 2, (item(3, "a"),)), StateAnswer)
        assert await held(cluster_id) == ["a"]
        # A copy of the finished page that arrives later sweeps nothing that came since.
        await link.post("state/delta", StateDelta(made.epoch, 3, (item(4, "c"),)), StateAnswer)
        await link.post("state/snapshot", SnapshotPage(made.epoch, "s2", 0, True, 2, (item(3, "a"),)), StateAnswer)
        assert await held(cluster_id) == ["a", "c"]
    assert [(row.uid, row.op) for row in await rig.inbox(cluster_id, "Pod")][2:] == [("b", "delete"), ("c", "upsert")]


async def held(cluster_id: uuid.UUID) -> list[str]:
    rows = await in_db(
        lambda: query("SELECT uid FROM public.link_state WHERE cluster_id = %s ORDER BY uid", [cluster_id])
    )
    return [row.uid for row in rows]


async def test_a_report_of_another_tenants_stream_is_refused(rig: Rig) -> None:
    cluster_id, _ = await rig.enrolled()
    _, stranger = await rig.enrolled()
    stream_id = await in_db(lambda: services.open_log(cluster_id=cluster_id, target={"namespace": "a", "pod": "p"}))
    async with rig.client(stranger) as link:
        for path, body in ((f"logs/{stream_id}?offset=0", b"x"), (f"logs/{stream_id}/end", to_json(LogEnd(0)))):
            with pytest.raises(LinkError) as refused:
                await link.send("POST", path, body)
            assert refused.value.status == 404
