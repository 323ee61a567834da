"""Nodes that offer more than they have."""

from __future__ import annotations

import pytest

from agent.kube.convert.capacity import room_of


@pytest.mark.parametrize(
    ("offered", "has", "counts"),
    [
        ({"cpu": "4"}, {"cpu": "8"}, {"cpu": "4"}),
        ({"cpu": "7900m"}, {"cpu": "8"}, {"cpu": "7900m"}),
        ({"cpu": "8000m"}, {"cpu": "8"}, {"cpu": "8000m"}),
        ({"cpu": "8"}, {}, {"cpu": "8"}),
        ({"nvidia.com/gpu": "nonsense"}, {"nvidia.com/gpu": "8"}, {"nvidia.com/gpu": "nonsense"}),
        ({}, {"cpu": "8"}, {}),
    ],
)
def test_what_an_honest_node_offers(offered, has, counts):
    assert room_of({"allocatable": offered, "capacity": has}) == (counts, None)


def test_a_lie_is_cut_to_the_truth_and_named():
    room, wrong = room_of(
        {"allocatable": {"cpu": "4", "nvidia.com/gpu": "64"}, "capacity": {"cpu": "8", "nvidia.com/gpu": "8"}}
    )
    assert room == {"cpu": "4", "nvidia.com/gpu": "8"}
    assert wrong is not None
    assert wrong.text == "allocatable nvidia.com/gpu of the node is 64, allowed is at most its capacity of 8"
