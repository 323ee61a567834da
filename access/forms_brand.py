"""The form of the tenant's look. What a picture may be is the service's to say."""

from typing import Any

from django import forms

from access.services.brand import LARGEST, LONGEST, brand_of
from runai_cp.lib.console_forms import ConsoleForm
from tenants.models import Tenant


class BrandForm(ConsoleForm):
    name = forms.CharField(
        label="Product name",
        max_length=LONGEST,
        required=False,
        help_text="In the head, on the sign-in page, in titles.",
    )
    colour = forms.CharField(
        label="Colour",
        max_length=7,
        required=False,
        help_text="#rrggbb, for links and buttons. It is darkened or lightened until it reads well in both themes.",
    )
    logo = forms.FileField(
        label="Logo",
        required=False,
        allow_empty_file=False,
        help_text=f"PNG, JPEG or WebP, at most {LARGEST // 1024} KiB. At most 24 pixels high; on white in dark themes.",
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    remove = forms.BooleanField(label="Remove the logo", required=False)

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        now = brand_of(tenant)
        kwargs["initial"] = {"name": now.name, "colour": now.colour}
        super().__init__(*args, **kwargs)
        if not now.logo:
            del self.fields["remove"]
        else:
            self.fields["remove"].group = "Without a logo"  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        return {"remove": False, **(super().clean() or {})}
