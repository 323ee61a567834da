"""What the scheduler sees, as a file: redacted, compressed, and good for a replay; sent when it changed."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

from agent.domain.constraints import Constraints, PodTerm, Requirement
from agent.domain.groups import PodGroup
from agent.domain.nodes import Node
from agent.domain.pods import Pod, Request
from agent.domain.queues import Queue, Share
from agent.link.client import LinkError
from agent.loops.snapshot_shipping import ship_snapshots
from agent.loops.snapshots import Board, document, redacted
from agent.scheduler import replay
from agent.scheduler.saved import load
from agent.scheduler.snapshot import Snapshot

GPU = Share(8000, 8000)
SNAPSHOT = Snapshot(
    nodes=(Node("n", cpu=4000, memory=10**9, gpus=1, max_pods=10),),
    queues=(Queue("q", gpu=GPU, cpu=GPU, memory=Share(10**12, 10**12)),),
    groups=(PodGroup("ns", "g", "q"),),
    pods=(Pod("u", "ns", "p", "ns/g", request=Request(gpus=1), labels={"app": "a", "user": "ann@example.org"}),),
)


def test_labels_of_people_do_not_leave():
    assert redacted(SNAPSHOT).pods[0].labels == {}


def test_labels_that_other_pods_look_at_stay():
    term = PodTerm("zone", (Requirement("app", "In", ("a",)),))
    other = replace(SNAPSHOT.pods[0], uid="v", name="v", constraints=Constraints(pod_anti_affinity=(term,)))
    assert redacted(replace(SNAPSHOT, pods=(*SNAPSHOT.pods, other))).pods[0].labels == {"app": "a"}


def test_equal_snapshots_are_equal_files():
    assert document(SNAPSHOT, 5) == document(replace(SNAPSHOT), 5)


def test_the_file_is_the_snapshot():
    found, now, *_ = load(gzip.decompress(document(SNAPSHOT, 5)).decode())
    assert (found, now) == (redacted(SNAPSHOT), 5)


def test_replay_reads_it(tmp_path, capsys):
    file = tmp_path / "snapshot.gz"
    file.write_bytes(document(SNAPSHOT, 5))
    assert replay.main([str(file)]) == 0
    assert "bind u to n" in capsys.readouterr().out


def test_replay_says_that_a_file_is_cut(tmp_path, capsys):
    file = tmp_path / "snapshot.gz"
    file.write_bytes(document(SNAPSHOT, 5)[:40])
    assert replay.main([str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_a_board_without_a_scheduler_is_empty():
    assert Board().read() is None


class Link:
    """Remembers what was sent; the first ``refusals`` are refused."""

    def __init__(self, refusals: int = 0) -> None:
        self.sent: list[bytes] = []
        self.refusals = refusals

    async def send(self, method: str, path: str, body: bytes, *, content_type: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LinkError(503, None, "busy")
        assert (method, path) == ("PUT", "scheduler")
        self.sent.append(body)


async def shipped(link: Link, read, leading: bool = True) -> int:
    task = asyncio.create_task(ship_snapshots(link, read, lambda: leading, every_s=0.01))
    await asyncio.sleep(0.15)
    task.cancel()
    return len(link.sent)


async def test_it_is_sent_once_while_nothing_changes():
    assert await shipped(Link(), lambda: replace(SNAPSHOT)) == 1


async def test_it_is_sent_again_when_it_changed():
    changes = iter(range(1000))
    assert await shipped(Link(), lambda: replace(SNAPSHOT, queues=(Queue(f"q{next(changes)}"),))) > 1


async def test_what_was_refused_is_sent_later():
    assert await shipped(Link(refusals=2), lambda: SNAPSHOT) == 1


async def test_only_the_leader_sends():
    assert await shipped(Link(), lambda: SNAPSHOT, leading=False) == 0
