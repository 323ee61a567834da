"""A short message for the next page: kept in the session over the redirect that ends a POST."""

from typing import Any

from django.http import HttpRequest

ICONS = {"ok": "st-completed", "bad": "st-failed", "wait": "st-pending", "info": "info"}


def toast(request: HttpRequest, text: str, detail: str = "", tone: str = "ok") -> None:
    said = request.session.get("toasts", [])
    request.session["toasts"] = [*said[-4:], {"text": text, "detail": detail, "tone": tone, "icon": ICONS[tone]}]


def take_toasts(request: HttpRequest) -> list[dict[str, Any]]:
    """The messages to show now; each is shown once."""
    if "toasts" not in request.session:
        return []
    said: list[dict[str, Any]] = request.session.pop("toasts")
    return said
