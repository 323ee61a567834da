"""kill -9 of the scheduler at named points: just before the API server gets a request, or done and not answered.

At every point the same story is played: one team runs over its quota, two pods share a device, a gang of another team
takes back what is its own, and two pods fit nowhere. Whatever died when, it ends the same, and the audit log is clean.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.agent.live import Live
from tests.faults.stage import Stage, staged
from tests.faults.weather import once

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
HALF = {"gpu-fraction": "0.5"}
SLOW = {"local.run.ai/stop-seconds": "3"}


@dataclass(frozen=True)
class Point:
    """Where the process dies: see ``weather.once``. ``long``: only in the campaign."""

    what: str
    done: bool
    nth: int = 1
    where: str = ""
    words: bytes = b""
    slow: bool = False
    reservations: bool = False
    long: bool = True


BIND, STATUS = "POST pods/binding", "PATCH pods/status"
POINTS = {
    "the lease is asked for": Point("(PUT|POST) leases", done=False),
    "the lease is taken": Point("(PUT|POST) leases", done=True),
    "the lease is renewed": Point("PUT leases", done=True, nth=3),
    "pods are listed": Point("LIST pods", done=False),
    "pods are watched": Point("WATCH pods", done=False),
    "a bind is sent": Point(BIND, done=False),
    "a bind is done": Point(BIND, done=True),
    "a gang's first bind is sent": Point(BIND, done=False, where="/b-"),
    "between the binds of a gang": Point(BIND, done=True, nth=3, where="/b-", long=False),
    "a gang's last bind is done": Point(BIND, done=True, nth=6, where="/b-"),
    "a device is about to be written": Point("PATCH pods", done=False, words=b"runai-gpu-group"),
    "a device is written, its pod not bound": Point("PATCH pods", done=True, words=b"runai-gpu-group"),
    "a share is bound": Point(BIND, done=True, where="/h-"),
    "a reservation is asked for": Point("POST pods", done=False, reservations=True),
    "a reservation is made": Point("POST pods", done=True, reservations=True),
    "a device is told to its pod": Point("PATCH pods", done=True, words=b"runai-gpu-group", reservations=True),
    "a victim is about to be marked": Point(STATUS, done=False, words=b"DisruptionTarget"),
    "a victim is marked, not deleted": Point(STATUS, done=True, words=b"DisruptionTarget", long=False),
    "an eviction is sent": Point("DELETE pods", done=False, where="/a-"),
    "an eviction is done": Point("DELETE pods", done=True, where="/a-"),
    "between evictions": Point("DELETE pods", done=True, nth=2, where="/a-"),
    "a place is named": Point(STATUS, done=True, words=b"nominatedNodeName", slow=True),
    "a reason is written": Point(STATUS, done=True, words=b"Unschedulable"),
    "a waiting group is stored": Point("POST podgroups", done=True),
    "a group's reason is written": Point("PATCH podgroups/status", done=True),
    "a queue's status is written": Point("PATCH queues/status", done=True),
    "an Event is sent": Point("POST events", done=False),
}
MARKED = [pytest.param(name, marks=pytest.mark.long if point.long else ()) for name, point in POINTS.items()]


async def story(stage: Stage, notes: dict[str, str]) -> None:
    scene = stage.scene
    await scene.queue("d-a", 8)
    await scene.queue("d-b", 8)
    await scene.submit("stranger", scheduler="somebody")
    await scene.submit("a", 12, queue="d-a", notes=notes)
    await stage.bound(a=12)
    await scene.submit("h", 2, gpu=0, notes=HALF)
    await stage.bound(a=12, h=2)
    await stage.held_devices(1 if stage.reservations else 0)
    await scene.submit("big", gpu=9)
    await scene.submit("alone", gpu=9, notes={"pod-group-name": ""})
    await scene.submit("b", 6, minimum=6, queue="d-b", priority="build")
    await stage.bound(a=9, h=2, b=6, stranger=0)
    await stage.told("big", "9")
    await stage.told("alone", "9")


@pytest.mark.parametrize("name", MARKED)
async def test_whatever_dies_the_story_ends_the_same(name: str, live_cluster: Live) -> None:
    point = POINTS[name]
    async with staged(live_cluster, reservations=point.reservations) as stage:
        rule = once(point.what, stage.kill, done=point.done, nth=point.nth, where=point.where, words=point.words)
        stage.proxy.rules.append(rule)
        stage.run()
        await story(stage, SLOW if point.slow else {})
        await stage.died()
        await stage.bound(a=9, h=2, b=6)
        assert stage.deaths == 1, stage.logs()
        await stage.clean()
