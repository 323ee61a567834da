"""Forms below Access: strings in, typed values out; they save nothing."""

from datetime import UTC, datetime
from typing import Any

from django import forms

from access.forms import scope_label
from access.models import Role, Scope
from access.roles import CLUSTER_ROLE_NAMES, PERMISSION_SETS, ROLE_TITLES
from runai_cp.lib.console_forms import ConsoleForm

SUBJECTS = [("user", "A person"), ("group", "A group"), ("application", "A service account")]


class ScopedForm(ConsoleForm):
    """With a choice among the scopes that the person sees."""

    scope = forms.ModelChoiceField(label="Scope", queryset=Scope.objects.none(), empty_label=None)

    def __init__(self, *args: Any, scopes: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].queryset = scopes  # type: ignore[attr-defined]
        self.fields["scope"].label_from_instance = scope_label  # type: ignore[attr-defined]


class UtcField(forms.DateTimeField):
    """A moment that is typed in UTC, as every time of the console is shown."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def to_python(self, value: Any) -> datetime | None:
        found = super().to_python(value)
        return found.astimezone(UTC) if found else None


class RuleForm(ScopedForm):
    FIELDS_OF = {"subjectId": "who", "expiresAt": "expires_at"}

    kind = forms.ChoiceField(label="Who is it", choices=SUBJECTS, initial="user")
    who = forms.CharField(
        label="E-mail or name",
        max_length=254,
        help_text="The e-mail address of a person, or the name of a group or service account.",
    )
    role = forms.ChoiceField(label="Role", initial="researcher")
    expires_at = UtcField(
        label="Ends, UTC", required=False, help_text="Empty: for ever. From that moment the rule gives nothing."
    )

    field_order = ("kind", "who", "role", "scope", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices()  # type: ignore[attr-defined]


class RuleChangeForm(RuleForm):
    """The subject is who the rule is about, and stays."""

    kind = None  # type: ignore[assignment]
    who = None  # type: ignore[assignment]


class GroupForm(ConsoleForm):
    name = forms.CharField(label="Name", max_length=253, help_text="Bindings in the clusters carry it: it stays.")
    description = forms.CharField(label="Description", max_length=500, required=False)
    members = forms.CharField(
        label="Members",
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="E-mail addresses, one a line.",
    )

    def people(self) -> list[str]:
        return self.cleaned_data["members"].replace(",", "\n").split()


class ApplicationForm(ScopedForm):
    name = forms.CharField(label="Name", max_length=100, help_text="Lower-case letters, digits, hyphens.")
    role = forms.ChoiceField(label="First role", required=False)
    field_order = ("name", "role", "scope")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [("", "None yet"), *role_choices()]  # type: ignore[attr-defined]


class KeyForm(ConsoleForm):
    name = forms.CharField(label="Name", max_length=100, help_text="Lower-case letters, digits, hyphens.")


class RoleForm(ConsoleForm):
    FIELDS_OF = {"permissionSets": "sets", "kubernetesPermissions.predefinedRole": "cluster_role"}

    name = forms.CharField(label="Name", max_length=100)
    description = forms.CharField(label="Description", max_length=500, required=False)
    cluster_role = forms.ChoiceField(
        label="With kubectl",
        required=False,
        choices=[("", "Nothing"), *((name, f"As {name}") for name in CLUSTER_ROLE_NAMES)],
        help_text="What it gives in the namespaces of its projects.",
    )
    enabled = forms.BooleanField(label="Enabled", required=False, initial=True)
    sets = forms.MultipleChoiceField(
        label="Permissions",
        choices=[(key, title) for key, (title, _) in PERMISSION_SETS.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    def values(self) -> dict[str, Any]:
        """As ``create_role`` and ``update_role`` take them."""
        data = self.cleaned_data
        return {
            "name": data["name"],
            "description": data["description"],
            "enabled": data["enabled"],
            "permissionSets": data["sets"],
            "kubernetesPermissions": {"predefinedRole": data["cluster_role"]},
        }


def role_choices() -> list[tuple[str, str]]:
    """Predefined roles, then the enabled ones of the tenant."""
    custom = Role.objects.filter(enabled=True).order_by("name").values_list("pk", "name")
    return [*ROLE_TITLES.items(), *((f"custom-{pk}", name) for pk, name in custom)]
