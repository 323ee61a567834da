"""Events are written last: fewer while binds are on their way, warnings first, each once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.kube.errors import KubeError
from agent.kube.resources import EVENT
from agent.loops import events as module
from agent.loops.events import EventWriter
from agent.loops.wording import event
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import until


def about(name: str, *, warning: bool = False) -> dict:
    pod = {"kind": "Pod", "metadata": {"name": name, "namespace": "ns", "uid": name}}
    return event(pod, kind="Pod", reason="R", message=name, warning=warning, key="k", now=0.0)


class Scene:
    def __init__(self) -> None:
        self.kube, self.busy, self.leading = FakeKube(), False, True
        self.writer = EventWriter(self.kube, leading=lambda: self.leading, busy=lambda: self.busy)

    @property
    def told(self) -> list[str]:
        return [item["message"] for item in self.kube.all(EVENT)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.writer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_all_are_written_when_nothing_else_is_going_on():
    scene = Scene()
    async with scene.running():
        for number in range(50):
            scene.writer.put(about(f"p{number}"))
        await until(lambda: len(scene.told) == 50)
    assert len(scene.writer) == 0


async def test_only_a_few_are_written_while_binds_are_on_their_way(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 3600.0)
    scene = Scene()
    scene.busy = True
    for number in range(50):
        scene.writer.put(about(f"p{number}"))
    async with scene.running():
        await until(lambda: len(scene.told) == module.TRICKLE)
        await asyncio.sleep(0)
    assert len(scene.told) == module.TRICKLE


async def test_those_that_waited_long_are_written_faster(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 3600.0)
    monkeypatch.setattr(module, "LATE_S", -1.0)
    scene = Scene()
    scene.busy = True
    for number in range(50):
        scene.writer.put(about(f"p{number}"))
    async with scene.running():
        await until(lambda: len(scene.told) == module.AT_ONCE)


async def test_warnings_go_first():
    scene = Scene()
    for number in range(module.AT_ONCE):
        scene.writer.put(about(f"p{number}"))
    scene.writer.put(about("bad", warning=True))
    async with scene.running():
        await until(lambda: scene.told)
    assert scene.told[0] == "bad"


async def test_a_warning_that_was_told_is_not_sent_again():
    scene = Scene()
    async with scene.running():
        for _ in range(5):
            scene.writer.put(about("bad", warning=True))
        scene.writer.put(about("end"))
        await until(lambda: "end" in scene.told)
    assert scene.kube.calls["create", "Event"] == 2


async def test_who_does_not_lead_says_nothing(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    scene = Scene()
    scene.leading = False
    scene.writer.put(about("p"))
    async with scene.running():
        await asyncio.sleep(0.02)
        assert scene.told == []
        scene.leading = True
        await until(lambda: scene.told == ["p"])


def test_of_too_many_normal_ones_the_oldest_are_left_out(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    scene = Scene()
    for number in range(5):
        scene.writer.put(about(f"p{number}"))
    assert (len(scene.writer), scene.writer.dropped) == (3, 2)


async def test_trouble_with_one_does_not_stop_the_others():
    scene = Scene()
    scene.kube.fail("create", "Event", KubeError("no", status=500))
    async with scene.running():
        scene.writer.put(about("lost"))
        scene.writer.put(about("told"))
        await until(lambda: scene.told == ["told"])
