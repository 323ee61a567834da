"""Worlds that the fault tests share."""

from tests.agent.conftest import live_cluster
from tests.faults.operator_world import plant, world
from tests.link.conftest import link_server, rig

__all__ = ["link_server", "live_cluster", "plant", "rig", "world"]
