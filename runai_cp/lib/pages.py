"""Domain errors that leave a console view become pages that name the next step; fragments get status and sentence."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from runai_cp.lib.errors import DomainError

TEMPLATES = {403: "403.html", 404: "404.html"}


def error_page(request: HttpRequest, error: DomainError) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")
    context = {"message": error.message, "title": error.title}
    return render(request, TEMPLATES.get(error.status, "409.html"), context, status=error.status)


class ErrorPagesMiddleware:
    """For views that are not API views: those answer errors themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return error_page(request, error) if isinstance(error, DomainError) else None
