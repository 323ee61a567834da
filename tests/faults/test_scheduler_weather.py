"""What the network and the machine do to the scheduler: a server that is away, broken watches, storms, wrong clocks.

The story of ``test_scheduler_kills`` is played in each; it ends the same, and the audit log is clean.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest

from tests.agent.live import Live
from tests.faults.stage import Stage, staged
from tests.faults.test_scheduler_kills import story
from tests.faults.weather import Call, Fault, Rule, once

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
LONG = pytest.mark.long


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=LONG)])
async def test_the_api_server_goes_away_and_comes_back(seconds: int, live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        stage.run()
        await stage.scene.submit("before", 4)
        await stage.bound(before=4)
        stage.proxy.down()
        await stage.scene.submit("gang", 6, minimum=6)
        await stage.scene.submit("single", 6)
        await asyncio.sleep(seconds)
        assert (await stage.scene.counts())["single"] == 0
        stage.proxy.up()
        await stage.bound(before=4, gang=6, single=6)
        assert stage.deaths == 0, stage.logs()
        await stage.clean()


async def test_watches_that_break_each_second_are_resumed(live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        stage.proxy.rules.append(lambda call: Fault(lasts=1.0) if call.what.startswith("WATCH") else None)
        stage.run()
        await stage.called("WATCH pods", 2)
        await story(stage, {})
        await stage.called("WATCH pods", 4)
        await stage.scene.remove("a")
        await stage.scene.submit("more", 9)
        await stage.bound(more=9, h=2, b=6)
        assert stage.proxy.calls["LIST pods"] == 1, "a broken watch is resumed where it was, not listed anew"
        await stage.clean()


def storm(statuses: tuple[int, ...], seed: int) -> Rule:
    """Three of ten calls are refused; of those that fail with 500 half are done all the same."""
    dice = random.Random(seed)

    def rule(call: Call) -> Fault | None:
        if call.what.startswith("WATCH") or dice.random() > 0.3:
            return None
        status = dice.choice(statuses)
        return Fault(status, done=status == 500 and dice.random() < 0.5)

    return rule


STORMS = [((409, 429, 500), 1)]
HEAVY = [((status,), seed) for status in (409, 429, 500, 503) for seed in (1, 2)]


@pytest.mark.parametrize(("statuses", "seed"), [*STORMS, *(pytest.param(*case, marks=LONG) for case in HEAVY)], ids=str)
async def test_a_storm_of_errors_loses_nothing(statuses: tuple[int, ...], seed: int, live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        stage.proxy.rules.append(storm(statuses, seed))
        stage.run()
        await story(stage, {})
        await stage.clean(grace_s=30)


def jump(stage: Stage, number: signal.Signals) -> None:
    for process in stage.processes:
        os.kill(process.pid, number)


@pytest.mark.parametrize(
    "jumps", [(signal.SIGUSR2,), pytest.param((signal.SIGUSR1,), marks=LONG)], ids=["an hour back", "an hour ahead"]
)
async def test_a_clock_that_is_set_changes_nothing(jumps: tuple[signal.Signals, ...], live_cluster: Live) -> None:
    async with staged(live_cluster, program=("-m", "tests.faults.jumping_clock")) as stage:
        stage.proxy.rules.append(once("POST pods/binding", lambda: None, done=False))
        stage.run()
        await stage.scene.submit("first")  # its bind fails, so it is held back for a second
        await stage.called("POST pods/binding", 1)
        for number in jumps:
            jump(stage, number)
        await stage.bound(first=1, within=15)
        await stage.scene.remove("first")
        await story(stage, {})
        assert stage.deaths == 0, stage.logs()
        await stage.clean()


@LONG
async def test_of_two_schedulers_one_works(live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        stage.run(2)
        await stage.scene.submit("first")
        await stage.bound(first=1)
        await stage.scene.remove("first")
        await story(stage, {})
        assert stage.deaths == 0, stage.logs()
        await stage.clean()


@LONG
async def test_a_leader_that_hangs_and_wakes_up_binds_nothing_more(live_cluster: Live) -> None:
    async with staged(live_cluster) as stage:
        hung: list[int] = []

        def hang() -> None:
            hung.append(stage.processes[0].pid)
            os.kill(hung[0], signal.SIGSTOP)

        stage.start()
        await stage.scene.submit("first")
        await stage.bound(first=1)
        await stage.scene.remove("first")
        stage.proxy.rules.append(once("POST pods/binding", hang, done=True, nth=3, where="/b-"))
        stage.run()
        playing = asyncio.create_task(story(stage, {}))
        while not hung:
            await asyncio.sleep(0.1)
        await asyncio.sleep(8)
        os.kill(hung[0], signal.SIGCONT)
        await playing
        await stage.clean(grace_s=15)
