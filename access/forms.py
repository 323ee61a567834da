"""Forms of the access room: strings in, typed values out; they save nothing."""

from typing import Any

from django import forms

from access.models import Scope
from access.models.user import Theme
from access.roles import ROLE_TITLES
from runai_cp.lib.console_forms import ConsoleForm


class LoginForm(forms.Form):
    email = forms.EmailField(widget=forms.EmailInput(attrs={"autocomplete": "username"}))
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}), strip=False, max_length=200
    )


class CodeForm(ConsoleForm):
    FIELDS_OF = {"otp": "code"}

    code = forms.CharField(
        label="Code",
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True, "spellcheck": "false"}
        ),
    )


class ConfirmForm(ConsoleForm):
    """The password once more, and the code of the second factor where there is one."""

    FIELDS_OF = {"currentPassword": "password"}

    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class NewPasswordForm(ConsoleForm):
    FIELDS_OF = {"password": "new"}

    new = forms.CharField(
        label="New password",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters, and none of the common ones.",
    )
    again = forms.CharField(
        label="New password again",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("new") and data.get("again") and data["new"] != data["again"]:
            self.add_error("again", "The two differ; type the new password twice.")
        return data


class PasswordForm(NewPasswordForm):
    FIELDS_OF = {"password": "new", "currentPassword": "current"}

    current = forms.CharField(
        label="Current password",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("current", "new", "again")


class PreferencesForm(forms.Form):
    theme = forms.ChoiceField(choices=Theme.choices, required=False)
    density = forms.ChoiceField(choices=[("compact", "Compact"), ("comfortable", "Comfortable")], required=False)


class UserForm(ConsoleForm):
    email = forms.EmailField(label="E-mail", max_length=254)
    name = forms.CharField(label="Name", max_length=200, required=False)
    password = forms.CharField(
        label="First password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters. Tell it to the person yourself; it is not sent anywhere.",
    )
    role = forms.ChoiceField(label="Role", choices=list(ROLE_TITLES.items()), initial="researcher")
    scope = forms.ModelChoiceField(label="Scope", queryset=Scope.objects.none(), empty_label=None)

    def __init__(self, *args: Any, scopes: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].queryset = scopes  # type: ignore[attr-defined]
        self.fields["scope"].label_from_instance = scope_label  # type: ignore[attr-defined]


def scope_label(scope: Scope) -> str:
    return f"{scope.kind} {scope.name}"
