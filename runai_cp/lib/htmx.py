"""Decide once whether a request wants the page or one of the partials the page owns."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

CSRF_INPUT = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"')
"""Masked anew in every answer; what a page shows does not depend on it."""


def wants_partial(request: HttpRequest) -> bool:
    """False too when the request selects from the whole page (``HX-Request-Type: full``)."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and htmx.request_type != "full"


def render_page(
    request: HttpRequest, template: str, context: Mapping[str, Any], partial: str | None = None, status: int = 200
) -> HttpResponse:
    """Render ``template``, or ``template#partial`` for an htmx request that is not boosted.

    A partial carries a weak ETag of its bytes; a refresh that finds nothing new is answered with 304.
    """
    fragment = partial is not None and wants_partial(request)
    response = render(request, f"{template}#{partial}" if fragment else template, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Request-Type"])
    if fragment and status == 200:
        etag = f'W/"{hashlib.blake2b(CSRF_INPUT.sub(b"", response.content), digest_size=12).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            return HttpResponseNotModified(headers={"ETag": etag, "Vary": "HX-Request"})
        response["ETag"] = etag
    return response
