"""The tenant's look: the page that sets it, and its picture and colours as files of their own (no inline style)."""

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from access.forms_brand import BrandForm
from access.guard import PUBLIC, allow
from access.models import Logo
from access.roles import Action
from access.services.brand import change_brand, remove_logo, set_logo
from runai_cp.lib.colour import accent
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast
from tenants.context import current_tenant

FOR_EVER = "public, max-age=31536000, immutable"
"""The address of each names its content."""


@allow(Action.SETTINGS_VIEW)
@require_GET
def brand_show(request: HttpRequest) -> HttpResponse:
    return _page(request, BrandForm(tenant=current_tenant()))


@allow(Action.SETTINGS_UPDATE)
@require_POST
def brand_save(request: HttpRequest) -> HttpResponse:
    """Name, colour and picture: all or none."""
    form = BrandForm(request.POST, request.FILES, tenant=current_tenant())
    if form.is_valid():
        data, actor = form.cleaned_data, request.actor  # type: ignore[attr-defined]
        try:
            with transaction.atomic():
                change_brand(actor=actor, name=data["name"], colour=data["colour"])
                if data["logo"]:
                    set_logo(actor=actor, content=data["logo"].read())
                elif data["remove"]:
                    remove_logo(actor=actor)
            toast(request, "The look was saved", "Everybody sees it with their next page")
            return redirect("access:brand")
        except DomainError as error:
            form.refuse(error)
    return _page(request, form)


@allow(PUBLIC)
@require_GET
def brand_logo(request: HttpRequest, digest: str) -> HttpResponse:
    """The picture, for the sign-in page too. Opened by itself it is a picture in a sandbox and nothing else."""
    row = Logo.objects.filter(pk=digest).first()
    if row is None:
        raise Http404("No such picture.")
    answer = HttpResponse(bytes(row.content), content_type=row.media)
    answer["Cache-Control"] = FOR_EVER
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Content-Disposition"] = "inline"
    return answer


@allow(PUBLIC)
@require_GET
def brand_colours(request: HttpRequest, colour: str) -> HttpResponse:
    """A style sheet made of the address alone: tokens for both themes."""
    tokens = "; ".join(f"--{name}: {value}" for name, value in accent(f"#{colour}").items())
    current = "background: var(--accent-soft); color: var(--accent)"
    text = f":root {{ {tokens} }}\n.side li a[aria-current] {{ {current} }}\n"
    return HttpResponse(text, content_type="text/css; charset=utf-8", headers={"Cache-Control": FOR_EVER})


def _page(request: HttpRequest, form: BrandForm) -> HttpResponse:
    context = {"form": form, "tab": "brand"}
    return render_page(request, "access/brand.html", context, status=422 if form.errors else 200)
