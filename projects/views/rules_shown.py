"""What a department or project says, and what holds in the end, in words: time limits, node pools, node types."""

from dataclasses import dataclass

from projects import rules
from projects.durations import write_duration
from projects.models import Department, Project
from projects.rule_forms import LIMIT_WORDS, TYPE_WORDS


@dataclass(frozen=True, slots=True)
class Rule:
    """``inherited``: the value is the department's, not the project's own."""

    label: str
    value: str
    inherited: bool = False


def rules_shown(unit: Department | Project) -> list[Rule]:
    """Every rule that holds for workloads of the unit; a project's department must be loaded."""
    parent = unit.department if isinstance(unit, Project) else None
    parent_rules, parent_types = (parent.scheduling_rules, parent.node_types) if parent else ({}, {})
    limits = rules.effective_rules(unit.scheduling_rules, parent_rules)
    found = [
        Rule(label, write_duration(limits[name]), unit.scheduling_rules.get(name) != limits[name])
        for name, label in LIMIT_WORDS.items()
        if name in limits
    ]
    pools = unit.default_node_pools or (parent.default_node_pools if parent else [])
    if pools:
        found.append(Rule("Default node pools", ", ".join(pools), not unit.default_node_pools))
    types = rules.effective_types(unit.node_types, parent_types)
    return found + [
        Rule(label, ", ".join(types[kind]) or "none", kind not in unit.node_types)
        for kind, label in TYPE_WORDS.items()
        if kind in types
    ]
