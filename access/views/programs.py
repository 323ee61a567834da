"""Let a program sign in as you: the page that its browser flow opens, and the page where a device's code is typed."""

import uuid
from urllib.parse import urlencode, urlsplit

from csp.constants import SELF
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from access.guard import SIGNED_IN, allow
from access.services.authorizations import Ask, answer_device, approve_ask, find_device, read_ask
from access.services.refresh import end_program
from runai_cp.lib.errors import DomainError
from runai_cp.lib.htmx import render_page
from runai_cp.lib.toasts import toast


@allow(SIGNED_IN)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """``/authorize/?client_id=runai-cli&…``: approve, and the code goes to the program on this machine.

    Approving is always a press of a button: a page that another site opened must not hand out anything by itself.
    """
    ask = read_ask(request.GET.dict())
    if request.method == "POST":
        if request.POST.get("answer") == "yes":
            code = approve_ask(actor=request.actor, ask=ask)  # type: ignore[attr-defined]
            return _back(ask, code=code)
        return _back(ask, error="access_denied")
    response = render_page(request, "access/authorize.html", {"ask": ask})
    # A form's redirect counts as its action (CSP 3): the program's own address has to be named, and nothing else.
    response._csp_update = {"form-action": [SELF, _origin(ask.redirect_uri)]}  # type: ignore[attr-defined]
    return response


def _back(ask: Ask, **values: str) -> HttpResponse:
    return HttpResponseRedirect(f"{ask.redirect_uri}?{urlencode({**values, 'state': ask.state})}")


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@allow(SIGNED_IN)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """Type the code, see who asks and from where, say yes or no."""
    typed = (request.POST.get("code") or request.GET.get("code") or "")[:20]
    context = {"typed": typed, "row": None, "problem": "", "answered": ""}
    actor, answer = request.actor, request.POST.get("answer", "")  # type: ignore[attr-defined]
    try:
        if request.method == "POST" and answer in ("yes", "no"):
            context["row"] = answer_device(actor=actor, typed=typed, approve=answer == "yes")
            context["answered"] = answer
        elif request.method == "POST":
            context["row"] = find_device(actor=actor, typed=typed)
    except DomainError as error:
        context["problem"] = error.message
    return render_page(request, "access/device.html", context, status=422 if context["problem"] else 200)


@allow(SIGNED_IN)
@require_POST
def program_end(request: HttpRequest, family: uuid.UUID) -> HttpResponse:
    """Sign out a program of one's own, such as the command on a machine that was lost."""
    end_program(actor=request.actor, family=family)  # type: ignore[attr-defined]
    toast(request, "The program was signed out")
    return HttpResponseRedirect("/account/#programs")
