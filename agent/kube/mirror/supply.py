"""Nodes with what foreign pods take of them, node pools and topologies, incrementally."""

from __future__ import annotations

from collections.abc import Iterable

from agent.domain.nodes import DEFAULT_POOL, Node, NodePool, Topology, Usage
from agent.kube.cache import Change
from agent.kube.convert.nodes import NO_USAGE, PoolRule, node_of, node_pool_of, pool_of, topology_of
from agent.kube.convert.pods import sum_usage
from agent.kube.protocol import Obj


class Supply:
    """``nodes()`` are equal objects as long as nothing about them changed."""

    def __init__(self, pool_label: str, gpu_placement: str, cpu_placement: str) -> None:
        self._pool_label = pool_label
        self._default_pool = NodePool(DEFAULT_POOL, gpu_placement, cpu_placement)
        self._objects: dict[str, Obj] = {}
        self._nodes: dict[str, Node] = {}
        self._foreign: dict[str, dict[str, Usage]] = {}
        self._stale: set[str] = set()
        self._pools: dict[str, tuple[NodePool, PoolRule]] = {}
        self._rules: tuple[PoolRule, ...] = ()
        self._topologies: dict[str, Topology] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        """Topology → alias of a level → node label."""

    def on_node(self, change: Change) -> bool:
        """True if the node is another one for scheduling now (a heartbeat is no change)."""
        name = change.key
        if change.new is None:
            self._objects.pop(name, None)
            self._stale.discard(name)
            return self._nodes.pop(name, None) is not None
        self._objects[name] = change.new
        return self._refresh(name)

    def on_node_pool(self, change: Change) -> bool:
        if change.new is None:
            self._pools.pop(change.key, None)
        else:
            self._pools[change.key] = node_pool_of(change.new)
        rules = tuple(rule for _, (_, rule) in sorted(self._pools.items()) if rule.key)
        if rules != self._rules:
            self._rules = rules
            self._stale.update(self._objects)
        return True

    def set_placement(self, gpu: str, cpu: str) -> None:
        """How the default pool is filled, where no NodePool object says it."""
        self._default_pool = NodePool(DEFAULT_POOL, gpu, cpu)

    def on_topology(self, change: Change) -> bool:
        if change.new is None:
            self._topologies.pop(change.key, None)
            self.aliases.pop(change.key, None)
        else:
            self._topologies[change.key], self.aliases[change.key] = topology_of(change.new)
        return True

    def set_foreign(self, uid: str, node: str, usage: Usage | None) -> bool:
        """What a pod of another scheduler takes on a node; None when it takes nothing any more."""
        held = self._foreign.setdefault(node, {})
        if held.get(uid) == usage:
            return False
        if usage is None:
            held.pop(uid)
        else:
            held[uid] = usage
        self._stale.add(node)
        return True

    def nodes(self) -> tuple[Node, ...]:
        for name in list(self._stale):
            self._refresh(name)
        return tuple(self._nodes.values())

    def node(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def pools(self) -> tuple[NodePool, ...]:
        named = [pool for name, (pool, _) in sorted(self._pools.items())]
        return tuple(named) if DEFAULT_POOL in self._pools else (self._default_pool, *named)

    def topologies(self) -> tuple[Topology, ...]:
        return tuple(self._topologies.values())

    def _refresh(self, name: str) -> bool:
        self._stale.discard(name)
        obj = self._objects.get(name)
        if obj is None:
            return False
        pool = pool_of(obj["metadata"].get("labels") or {}, self._rules, self._pool_label)
        held = self._foreign.get(name)
        node = node_of(obj, pool, sum_usage(held.values()) if held else NO_USAGE)
        if self._nodes.get(name) == node:
            return False
        self._nodes[name] = node
        return True


def pool_names(nodes: Iterable[Node]) -> set[str]:
    return {node.pool for node in nodes}
