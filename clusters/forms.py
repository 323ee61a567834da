"""Forms of the clusters room."""

from typing import Any

from django import forms

from agent.wire.labels import NODE_POOL
from clusters.models import NetworkTopology, NodePool
from clusters.pools import PLACEMENTS
from clusters.services import CreateCluster
from clusters.services.clusters import UpdateCluster
from clusters.services.pools import PoolValues
from runai_cp.lib.console_forms import ConsoleForm

_PLACEMENTS = [(name, {"binpack": "Bin-pack: fill nodes", "spread": "Spread over nodes"}[name]) for name in PLACEMENTS]


class ClusterForm(ConsoleForm):
    name = forms.CharField(
        label="Name",
        max_length=63,
        help_text="Letters, digits, spaces, dots and dashes.",
    )
    location = forms.CharField(
        label="Location", max_length=120, required=False, help_text="A site or region, in your words."
    )
    domain = forms.CharField(
        label="Domain",
        max_length=253,
        required=False,
        help_text="Host name of the cluster's services, if any.",
    )

    def to_request(self) -> CreateCluster:
        data = self.cleaned_data
        return CreateCluster(name=data["name"], domain=data["domain"], location=data["location"])


class ClusterUpdateForm(ConsoleForm):
    FIELDS_OF = {"safeMode": "safe_mode"}

    name = forms.CharField(label="Name", max_length=63, help_text="Letters, digits, spaces, dots and dashes.")
    location = forms.CharField(
        label="Location", max_length=120, required=False, help_text="A site or region, in your words."
    )
    safe_mode = forms.BooleanField(
        label="Safe mode: look at the cluster, change nothing in it from here", required=False
    )

    def to_request(self) -> UpdateCluster:
        data = self.cleaned_data
        return UpdateCluster(name=data["name"], location=data["location"], safe_mode=data["safe_mode"])


class NodePoolUpdateForm(ConsoleForm):
    """What may change of a pool; its name is its queues' and stays."""

    FIELDS_OF = {
        "labelKey": "label_key",
        "labelValue": "label_value",
        "placementStrategy.gpu": "placement_gpu",
        "placementStrategy.cpu": "placement_cpu",
        "networkTopologyId": "topology",
    }

    label_key = forms.CharField(label="Node label", max_length=317, help_text="The pool is the nodes with this label…")
    label_value = forms.CharField(label="Its value", max_length=63, help_text="…and this value.")
    placement_gpu = forms.ChoiceField(label="GPU workloads", choices=_PLACEMENTS)
    placement_cpu = forms.ChoiceField(label="CPU workloads", choices=_PLACEMENTS)
    topology = forms.ModelChoiceField(
        label="Network topology", queryset=NetworkTopology.objects.none(), required=False, empty_label="None"
    )

    def __init__(self, *args: Any, topologies: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["topology"].queryset = topologies  # type: ignore[attr-defined]

    @staticmethod
    def values_of(pool: NodePool) -> dict[str, Any]:
        names = ("label_key", "label_value", "placement_gpu", "placement_cpu")
        return {name: getattr(pool, name) for name in names} | {"topology": pool.network_topology_id}

    def settle(self, pool: NodePool) -> None:
        """The label of the pool ``default`` stays: it holds the nodes of no other pool."""
        for name in ("label_key", "label_value") if pool.is_default else ():
            self.fields[name].disabled = True
            self.fields[name].help_text = "The pool default holds the nodes of no other pool."

    def to_values(self) -> PoolValues:
        data = self.cleaned_data
        return PoolValues(
            label_key=data["label_key"],
            label_value=data["label_value"],
            placement_gpu=data["placement_gpu"],
            placement_cpu=data["placement_cpu"],
            topology=data["topology"],
            clear_topology=data["topology"] is None,
        )


class NodePoolForm(NodePoolUpdateForm):
    name = forms.CharField(
        label="Name", max_length=63, help_text="1 to 63 lower-case letters, digits and dashes; it stays."
    )
    field_order = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["initial"] = {"label_key": NODE_POOL, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)


class TopologyForm(ConsoleForm):
    name = forms.CharField(label="Name", max_length=63, help_text="1 to 63 lower-case letters, digits and dashes.")
    levels_text = forms.CharField(
        label="Levels",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One node label a line, from the widest place to the narrowest: block, rack, host.",
    )

    def refuse(self, error: Any) -> None:
        """Problems of single levels stand at the one field that holds them all."""
        self.FIELDS_OF = {item.field: "levels_text" for item in getattr(error, "fields", ()) if "levels" in item.field}
        super().refuse(error)

    def levels(self) -> tuple[str, ...]:
        lines = self.cleaned_data["levels_text"].splitlines()
        return tuple(line.strip() for line in lines if line.strip())
