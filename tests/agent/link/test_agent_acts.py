"""What the link role does in a cluster: documents applied, objects deleted, commands carried out, logs resumed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.kube.cache import Store
from agent.kube.errors import Forbidden, KubeError, Unreachable
from agent.kube.resources import POD, PROJECT, WORKLOAD
from agent.link.applier import KINDS, Applier, holds, prepare
from agent.link.client import LinkError, Reply
from agent.link.documents import Documents
from agent.link.executor import Executor
from agent.link.identity import Identity
from agent.link.logs import LogStreams
from agent.link.memory import Memory, TakenOver
from agent.wire import labels
from agent.wire.codec import to_json
from agent.wire.messages import Command, Cursor, Desired, DesiredItem, LogAnswer, LogOrder, LogTarget
from tests.agent.fake_kube import FakeKube

ME = "c-1"


def manifest(name: str, kind: str = "Project", api: str = "run.ai/v1", **meta: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **meta}, "spec": {"displayName": name}}


def ours(name: str, key: str) -> dict[str, Any]:
    marks = {labels.CLUSTER_ID: ME, labels.MANAGED_BY: labels.MANAGED_BY_CONTROL_PLANE}
    return manifest(name, labels=marks, annotations={labels.DESIRED_KEY: key, labels.DESIRED_REV: "1"})


class Desk:
    """An applier on a cluster in memory, its caches filled by hand."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.kube = FakeKube(*objects)
        self.stores = {resource: Store() for resource in KINDS}
        for obj in self.kube.all(PROJECT):
            self.stores[PROJECT].put(obj)
        self.documents = Documents(ME, Cursor(desired_rev=1))
        identity = Identity.new().enrolled(ME, "g")
        self.applier = Applier(self.kube, self.stores, self.documents, identity, self.fetch)

    async def fetch(self, address: str) -> bytes:
        raise LinkError(404, None, "no blob")

    async def take(self, *items: DesiredItem) -> None:
        self.documents.take(Desired(1, 9, items=items))
        for item in self.documents.due(0, 99):
            await self.applier.apply(item, lambda: 0)

    @property
    def failures(self) -> dict[str, str]:
        return {item.key: item.code for item in self.documents.report().failed}


def put(key: str, body: dict[str, Any] | None, rev: int = 2) -> DesiredItem:
    return DesiredItem(key, rev, "put", ME, body=body)


async def test_a_document_carries_our_marks() -> None:
    desk = Desk()
    await desk.take(put("project/a", manifest("a", labels={"team": "x"})))
    meta = desk.kube.all(PROJECT)[0]["metadata"]
    assert meta["labels"] == {"team": "x", labels.CLUSTER_ID: ME, labels.MANAGED_BY: "control-plane"}
    assert meta["annotations"][labels.DESIRED_KEY] == "project/a"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (manifest("x", "Secret", "v1"), "invalid_document"),
        (manifest("x", "ClusterRoleBinding", "rbac.authorization.k8s.io/v1"), "invalid_document"),
        (manifest("x", "Unheard", "v1"), "invalid_document"),
        ({"apiVersion": "run.ai/v1", "kind": "Project"}, "invalid_document"),
        (None, "invalid_document"),
    ],
)
async def test_only_our_kinds_are_applied(body: dict[str, Any] | None, code: str) -> None:
    desk = Desk()
    await desk.take(put("project/x", body))
    assert desk.failures == {"project/x": code}
    assert not [call for call in desk.kube.calls if call[0] == "apply"]


async def test_what_the_cluster_holds_already_is_left_alone() -> None:
    desk = Desk()
    await desk.take(put("project/a", manifest("a")))
    desk.stores[PROJECT].put(desk.kube.all(PROJECT)[0])
    await desk.applier.apply(put("project/a", manifest("a")), lambda: 0)
    assert desk.kube.calls["apply", "Project"] == 1


async def test_what_somebody_changed_in_the_cluster_is_set_right() -> None:
    desk = Desk()
    await desk.take(put("project/a", manifest("a")))
    changed = desk.kube.all(PROJECT)[0]
    changed["spec"]["displayName"] = "hijacked"
    desk.stores[PROJECT].put(changed)
    await desk.applier.apply(put("project/a", manifest("a")), lambda: 0)
    assert desk.kube.calls["apply", "Project"] == 2


async def test_a_refusal_of_the_cluster_is_told() -> None:
    desk = Desk()
    desk.kube.fail("apply", "Project", Forbidden("no", status=403))
    await desk.take(put("project/a", manifest("a")))
    assert desk.failures == {"project/a": "forbidden"}


async def test_a_delete_finds_what_was_applied_before_the_cache_shows_it() -> None:
    desk = Desk()
    await desk.take(put("project/a", manifest("a")))
    desk.documents.take(Desired(9, 10, items=(DesiredItem("project/a", 10, "delete", ME),)))
    await desk.applier.apply(desk.documents.due(0, 9)[0], lambda: 0)
    assert desk.kube.all(PROJECT) == []


async def test_the_sweep_leaves_what_is_not_ours() -> None:
    foreign = ours("theirs", "project/theirs")
    foreign["metadata"]["labels"][labels.CLUSTER_ID] = "other"
    desk = Desk(ours("old", "project/old"), ours("kept", "project/kept"), foreign, manifest("by-hand"))
    desk.documents.sweep_wanted = frozenset({"project/kept"})
    await desk.applier.sweep(safe_mode=False)
    assert {obj["metadata"]["name"] for obj in desk.kube.all(PROJECT)} == {"kept", "theirs", "by-hand"}


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": [1, {"b": 2, "c": 3}]}, {"a": [1, {"b": 2}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": 1}, {"a": {"b": 1}}, False),
    ],
)
def test_what_counts_as_held(found: Any, wanted: Any, same: bool) -> None:
    assert holds(found, wanted) is same


def test_the_servers_status_and_names_of_managers_are_not_taken() -> None:
    body = manifest("a", uid="forged", ownerReferences=[{"uid": "x"}], finalizers=["x"]) | {
        "status": {"phase": "Ready"}
    }
    made = prepare(body, put("project/a", body))
    assert "status" not in made and set(made["metadata"]) == {"name", "labels", "annotations"}


# ---------------------------------------------------------------- commands


def command(kind: str, **body: Any) -> Command:
    return Command("id", 1, ME, kind, "at_least_once", body)


def cluster() -> tuple[FakeKube, Executor]:
    kube = FakeKube(
        manifest("runai-a", "Namespace", "v1", labels={labels.PROJECT: "a"}),
        manifest("kube-system", "Namespace", "v1"),
        manifest("p", "Pod", "v1", namespace="runai-a", uid="u-1"),
        manifest("dns", "Pod", "v1", namespace="kube-system", uid="u-2"),
        manifest("w", "Workload", namespace="runai-a", uid="u-3"),
    )
    return kube, Executor(kube, LogStreams(kube, FakeLink(), lambda: 10))


@pytest.mark.parametrize(
    ("order", "state", "code"),
    [
        (command("pod.delete", namespace="runai-a", name="p", uid="u-1"), "succeeded", ""),
        (command("pod.delete", namespace="runai-a", name="gone"), "succeeded", ""),
        (command("pod.delete", namespace="runai-a", name="p", uid="another"), "failed", "changed_meanwhile"),
        (command("pod.delete", namespace="kube-system", name="dns"), "failed", "not_ours"),
        (command("pod.delete", namespace="runai-a"), "failed", "bad_body"),
        (command("pod.delete", namespace="nowhere", name="p"), "failed", "not_found"),
        (command("workload.suspend", namespace="runai-a", name="w", suspend=True), "succeeded", ""),
        (command("workload.suspend", namespace="runai-a", name="w", suspend="yes"), "failed", "bad_body"),
        (command("workload.suspend", namespace="runai-a", name="gone"), "failed", "not_found"),
        (command("workload.delete", namespace="runai-a", name="w", uid="u-3"), "succeeded", ""),
        (command("log.open", streamId="s"), "failed", "bad_body"),
        (command("log.close", streamId="unknown"), "succeeded", ""),
    ],
)
async def test_commands(order: Command, state: str, code: str) -> None:
    _, executor = cluster()
    result = await executor.run(order)
    assert (result.state, result.code) == (state, code)


async def test_suspending_sets_one_field() -> None:
    kube, executor = cluster()
    await executor.run(command("workload.suspend", namespace="runai-a", name="w", suspend=True))
    assert kube.all(WORKLOAD)[0]["spec"] == {"displayName": "w", "suspend": True}


async def test_a_cluster_that_does_not_answer_fails_the_command() -> None:
    kube, executor = cluster()
    kube.fail("delete", "Pod", Unreachable("down"))
    result = await executor.run(command("pod.delete", namespace="runai-a", name="p"))
    assert (result.state, result.code, len(kube.all(POD))) == ("failed", "cluster_error", 2)


# ---------------------------------------------------------------- logs


class FakeLink:
    """The server's side of log streams."""

    def __init__(self, have: bytes = b"") -> None:
        self.data = bytearray(have)
        self.ends: list[bytes] = []
        self.fail = 0

    async def send(self, method: str, path: str, body: bytes = b"", **options: Any) -> Reply:
        if self.fail:
            self.fail -= 1
            raise LinkError(0, None, "down")
        if path.endswith("/end"):
            self.ends.append(body)
        else:
            offset = int(path.partition("offset=")[2])
            assert offset <= len(self.data)
            self.data += body[len(self.data) - offset :]
        return Reply(200, {}, to_json(LogAnswer(len(self.data))))

    @staticmethod
    def read(cls: Any, reply: Reply) -> LogAnswer:
        return LogAnswer(int(reply.body.split(b'"next":')[1].split(b"}")[0]))


class BreakingKube(FakeKube):
    """Its log stream breaks once in the middle."""

    async def logs(self, namespace: str, pod: str, **options: Any) -> AsyncIterator[bytes]:
        text = self.log_text[namespace, pod]
        if not self.calls["broken", "Pod"]:
            self.calls["broken", "Pod"] += 1
            yield text[:7]
            raise KubeError("connection lost")
        yield text


async def stream(kube: FakeKube, link: FakeLink, **order: Any) -> None:
    streams = LogStreams(kube, link, lambda: 1)
    streams.open(LogOrder("s", LogTarget("runai-a", "p"), **order))
    await next(iter(streams._tasks.values()))


async def test_a_log_goes_on_at_the_exact_byte_after_a_restart() -> None:
    kube, link = FakeKube(manifest("p", "Pod", "v1", namespace="runai-a")), FakeLink(b"0123")
    kube.log_text["runai-a", "p"] = b"0123456789"
    await stream(kube, link, next_offset=4)
    assert (bytes(link.data), len(link.ends)) == (b"0123456789", 1)


async def test_a_broken_log_is_read_on_without_a_gap_or_a_repeat() -> None:
    kube, link = BreakingKube(), FakeLink()
    kube.log_text["runai-a", "p"] = b"0123456789"
    await stream(kube, link)
    assert bytes(link.data) == b"0123456789"


async def test_a_link_that_is_away_loses_no_byte() -> None:
    kube, link = FakeKube(manifest("p", "Pod", "v1", namespace="runai-a")), FakeLink()
    kube.log_text["runai-a", "p"] = b"0123456789"
    link.fail = 2
    await stream(kube, link)
    assert bytes(link.data) == b"0123456789"


async def test_where_a_tail_cannot_go_on_exactly_a_line_says_so() -> None:
    kube, link = FakeKube(manifest("p", "Pod", "v1", namespace="runai-a")), FakeLink(b"xyz")
    kube.log_text["runai-a", "p"] = b"0123456789"
    await stream(kube, link, next_offset=3, tail=5)
    assert b"interruption" in link.data and link.data.endswith(b"0123456789")


# ---------------------------------------------------------------- memory


async def test_who_loses_the_race_for_the_journal_has_been_replaced() -> None:
    kube = FakeKube()
    old, new = Memory(kube), Memory(kube)
    journal = await old.load_journal()
    await old.write_journal(journal)
    await new.load_journal()
    await new.write_journal(type(journal)(instance_id="new"))
    with pytest.raises(TakenOver):
        await old.write_journal(type(journal)(instance_id="old"))


async def test_a_damaged_journal_is_noticed() -> None:
    kube = FakeKube()
    memory = Memory(kube)
    await memory.load_journal()
    await memory.write_journal(type(await memory.load_journal())(instance_id="a"))
    (stored,) = [obj for obj in kube.objects.values() if obj["kind"] == "ConfigMap"]
    stored["data"]["journal"] = stored["data"]["journal"].replace("a", "b", 1)
    assert (await Memory(kube).load_journal()).instance_id == ""


async def test_the_identity_survives_its_secret() -> None:
    kube = FakeKube()
    identity = Identity.new().enrolled(ME, "g")
    await Memory(kube).store_identity(identity)
    assert await Memory(kube).identity() == identity
    assert identity.private_pem not in repr(identity)
