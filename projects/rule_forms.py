"""The part of a department's or project's form that says how long and where its workloads may run."""

from typing import Any

from django import forms

from projects import rules
from projects.durations import ALLOWED, read_duration, write_duration
from projects.models import Department, Project
from runai_cp.lib.console_forms import ConsoleForm

LIMIT_WORDS = {
    "trainingJobTimeLimitSeconds": "Trainings run at most",
    "trainingJobMaxIdleDurationSeconds": "Trainings may be idle for",
    "interactiveJobTimeLimitSeconds": "Workspaces run at most",
    "interactiveJobMaxIdleDurationSeconds": "Workspaces may be idle for",
    "interactiveJobPreemptIdleDurationSeconds": "Preemptible ones may be idle for",
}
"""Limits by the API's names, in the order people look for them."""
assert set(LIMIT_WORDS) == set(rules.LIMITS)
TYPE_WORDS = {"training": "Node types for trainings", "workspace": "Node types for workspaces"}
COMMAS = "Names with commas between; empty makes no choice here."


class RuleForm(ConsoleForm):
    """An empty field sets nothing of its own: what the department says holds. ``clean`` makes ``limits``, ``types`` and
    ``default_pools``."""

    FIELDS_OF = {
        "defaultNodePools": "default_pools",
        **{f"schedulingRules.{name}": name for name in LIMIT_WORDS},
        **{f"nodeTypes.{kind}": f"{kind}_types" for kind in TYPE_WORDS},
    }

    default_pools = forms.CharField(
        label="Default node pools",
        max_length=2000,
        required=False,
        help_text="Where workloads that name none are tried, in this order, with commas between.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in LIMIT_WORDS.items():
            self.fields[name] = forms.CharField(label=label, max_length=40, required=False)
        for kind, label in TYPE_WORDS.items():
            self.fields[f"{kind}_types"] = forms.CharField(
                label=label, max_length=3500, required=False, help_text=COMMAS
            )

    @property
    def limit_fields(self) -> list[tuple[forms.BoundField, str]]:
        """With their width: two of trainings in a row, three of workspaces."""
        return [(self[name], "6" if name.startswith("training") else "4") for name in LIMIT_WORDS]

    @property
    def says_rules(self) -> bool:
        """Whether something of this part is set, or wrong."""
        names = (*LIMIT_WORDS, *(f"{kind}_types" for kind in TYPE_WORDS), "default_pools")
        return any(self[name].value() or self[name].errors for name in names)

    def clean(self) -> dict[str, Any]:
        self.limits = self._limits()
        self.types: rules.Types = {}
        for kind in TYPE_WORDS:
            found, errors = rules.read_types({kind: _listed(self.cleaned_data.get(f"{kind}_types"))})
            self.types |= found
            for error in errors:
                self.add_error(f"{kind}_types", f"It {error.message}.")
        self.default_pools = tuple(_listed(self.cleaned_data.get("default_pools")))
        return self.cleaned_data

    def _limits(self) -> rules.Rules:
        found: rules.Rules = {}
        for name in LIMIT_WORDS:
            text = (self.cleaned_data.get(name) or "").strip()
            try:
                seconds = read_duration(text) if text else None
            except ValueError as error:
                self.add_error(name, f"{error}.")
                continue
            if seconds is not None and not 1 <= seconds <= rules.MAX_SECONDS:
                self.add_error(name, f"It must be {ALLOWED}, from 1 s to {write_duration(rules.MAX_SECONDS)}.")
            elif seconds is not None:
                found[name] = seconds
        for idle, whole in rules.WITHIN.items():
            if idle in found and whole in found and found[idle] >= found[whole]:
                longest = write_duration(found[whole])
                self.add_error(idle, f"It must be shorter than the time to run at most, {longest}.")
        return found


def rule_values(unit: Department | Project) -> dict[str, str]:
    """What the fields of an existing unit hold."""
    values = {name: write_duration(seconds) for name, seconds in unit.scheduling_rules.items() if name in LIMIT_WORDS}
    values |= {f"{kind}_types": ", ".join(unit.node_types.get(kind, ())) for kind in TYPE_WORDS}
    return values | {"default_pools": ", ".join(unit.default_node_pools)}


def _listed(text: str | None) -> list[str]:
    return [item for part in (text or "").split(",") if (item := part.strip())]
