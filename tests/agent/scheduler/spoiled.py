"""Makes sound snapshots bad in random places: fields of every object, objects lost, doubled, or pointing nowhere."""

import random
from dataclasses import fields, is_dataclass, replace

from agent.scheduler import Snapshot

JUNK = (-1, -(1 << 40), 1 << 70, float("nan"), float("inf"), 0.5, None, "", "nowhere", (), (("x", -1),))
KINDS = ("nodes", "queues", "groups", "pods", "pools", "topologies", "slices", "claims")


def spoiled(roll: random.Random, snapshot: Snapshot) -> Snapshot:
    """The snapshot with one to three things wrong."""
    for _ in range(roll.randrange(1, 4)):
        kind = roll.choice(KINDS)
        objects = list(getattr(snapshot, kind))
        if objects:
            index = roll.randrange(len(objects))
            what = roll.random()
            if what < 0.15:
                objects.pop(index)
            elif what < 0.3:
                objects.append(objects[index])
            else:
                objects[index] = _bad(roll, objects[index])
            snapshot = replace(snapshot, **{kind: tuple(objects)})
    return snapshot


def _bad(roll: random.Random, one: object) -> object:
    """The object with one field, or one field of a part of it, that makes no sense."""
    name = roll.choice([field.name for field in fields(one)])
    value = getattr(one, name)
    if is_dataclass(value) and roll.random() < 0.9:
        return replace(one, **{name: _bad(roll, value)})
    return replace(one, **{name: roll.choice(JUNK)})
