"""The promises of the link (agent-link.md section 5.2) over thousands of seeded schedules of losses and crashes."""

from __future__ import annotations

import itertools

import pytest

from agent.wire.digest import StateDigest
from link.protocol.commands import ENDED, CommandState
from tests.link.linksim_agent import play
from tests.link.linksim_world import CLUSTER, World

MOST_POLLS = 500
"""Of a schedule; some 30 are usual. Answers that come at once without anything new would make thousands."""


def broken_promises(world: World) -> list[str]:
    server, cluster = world.server, world.cluster
    effects = [name for name, _ in cluster.ledger.effects]
    wrong: list[str] = []
    for name, row in server.rows.items():
        done = effects.count(name)
        if row.state not in ENDED:
            wrong.append(f"I1 {name} never ended: {row.state}")
        if done > 1:
            wrong.append(f"I2 {name} took effect {done} times")
        if done and row.state in {CommandState.EXPIRED, CommandState.CANCELLED}:
            wrong.append(f"I3 {name} took effect but is {row.state}")
        if not done and row.state is CommandState.SUCCEEDED:
            wrong.append(f"I3 {name} succeeded without effect")
    for key in ("a", "b"):
        order = [server.rows[name].seq for name in effects if world.sent[name][0] == key]
        wrong += [f"I4 {key}: {pair}" for pair in itertools.pairwise(order) if pair[0] > pair[1]]
    if server.anomalies or server.terminal_changes:
        wrong.append(f"I5 {server.anomalies} {server.terminal_changes}")
    wrong += [f"I6 {name} for {owner}" for name, owner in cluster.ledger.effects if owner != CLUSTER]
    wrong += _unequal_state(world)
    owed = {key: doc.rev for key, doc in server.docs.items() if doc.body is not None}
    if cluster.objects != owed:
        wrong.append(f"I8 the cluster holds {cluster.objects}, owed are {owed}")
    if cluster.ledger.foreign_deletes:
        wrong.append("I8 deleted what is not ours")
    if server.applied_rev != server.last_rev:
        wrong.append(f"I8 applied {server.applied_rev} of {server.last_rev}")
    if server.polls > MOST_POLLS:
        wrong.append(f"I9 {server.polls} polls: they are answered at once again and again")
    return wrong


def _unequal_state(world: World) -> list[str]:
    held = {uid: stored.obj["n"] for (_, uid), stored in world.server.state.items()}
    if held != world.cluster.things:
        return [f"I7 the server holds {held}, the cluster {world.cluster.things}"]
    mine = StateDigest.of((kind, uid, stored.hash) for (kind, uid), stored in world.server.state.items())
    alive = [agent for agent in world.agents if agent.in_session and not agent.dead]
    digest = alive[-1].outbox.digest() if alive else None
    return [] if digest is not None and digest.root == mine.root() else ["I7 digests differ"]


def run_seeds(first: int, count: int) -> None:
    for seed in range(first, first + count):
        wrong = broken_promises(play(seed))
        assert not wrong, f"seed {seed}: {wrong}"


@pytest.mark.parametrize("block", range(4))
def test_promises_hold(block: int) -> None:
    run_seeds(block * 500, 500)


@pytest.mark.long
@pytest.mark.parametrize("block", range(50))
@pytest.mark.timeout(1200)
def test_promises_hold_long(block: int) -> None:
    run_seeds(100_000 + block * 1000, 1000)


def test_a_seed_is_a_schedule() -> None:
    first, again = play(7), play(7)
    assert first.cluster.ledger.effects == again.cluster.ledger.effects
    assert first.counts == again.counts


def test_faults_really_happen() -> None:
    totals: dict[str, int] = {}
    for seed in range(80):
        for name, count in play(seed).counts.items():
            totals[name] = totals.get(name, 0) + count
    assert all(totals[name] > 20 for name in ("lost", "duplicated", "crashed", "stalled", "wakes lost")), totals
