"""Console forms: errors of the domain land at their field, and one form is one act however often it is sent."""

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms

from runai_cp.lib.errors import DomainError, Invalid


class ConsoleForm(forms.Form):
    """``FIELDS_OF`` maps a name in the service's errors to the form's field where the two differ. What is wrong with
    one item (``environment[0]``) is said at the list."""

    FIELDS_OF: Mapping[str, str] = {}
    use_required_attribute = True

    idempotency_key = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {})
        kwargs["initial"] = {"idempotency_key": str(uuid.uuid4()), **kwargs["initial"]}
        kwargs.setdefault("auto_id", "f-%s")
        super().__init__(*args, **kwargs)

    def refuse(self, error: DomainError) -> None:
        """Show what a service refused: at its field, or in the summary when it has none here."""
        if not isinstance(error, Invalid) or not error.fields:
            self.add_error(None, error.message)
            return
        for item in error.fields:
            listed = item.field.partition("[")[0]
            name = self.FIELDS_OF.get(listed, listed)
            if name in self.fields:
                self.add_error(name, _sentence(item.message))
            else:
                self.add_error(None, f"{item.field}: {item.message}")


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")
