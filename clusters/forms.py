"""Forms of the clusters room."""

from django import forms

from clusters.services import CreateCluster
from runai_cp.lib.console_forms import ConsoleForm


class ClusterForm(ConsoleForm):
    name = forms.CharField(
        label="Name",
        max_length=63,
        help_text="Letters, digits, spaces, dots and dashes.",
    )
    domain = forms.CharField(
        label="Domain",
        max_length=253,
        required=False,
        help_text="Host name of the cluster's services, if any.",
    )

    def to_request(self) -> CreateCluster:
        return CreateCluster(name=self.cleaned_data["name"], domain=self.cleaned_data["domain"])
