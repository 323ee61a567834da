"""Tags of the console's frame: navigation that knows where it is, palette entries, the scope bar."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse

from access.scoping import KINDS, chosen
from runai_cp.lib.toasts import take_toasts

register = template.Library()


@register.inclusion_tag("layouts/_nav_link.html", takes_context=True)
def nav_link(context: Mapping[str, Any], name: str, label: str, icon: str, key: str) -> dict[str, Any]:
    """One place. A route that does not exist is not shown; the longest match of the path is the current one."""
    href = _href(name)
    path = context["request"].path
    current = href == path or (href != "/" and bool(href) and path.startswith(href))
    counts = context.get("nav_counts") or {}
    return {"href": href, "label": label, "icon": icon, "key": key, "current": current, "count": counts.get(name)}


@register.inclusion_tag("layouts/_palette_link.html")
def palette_link(name: str, label: str, icon: str, key: str, hint: str = "") -> dict[str, Any]:
    return {"href": _href(name), "label": label, "icon": icon, "key": key, "hint": hint}


@register.inclusion_tag("layouts/_scope.html", takes_context=True)
def scope_bar(context: Mapping[str, Any]) -> dict[str, Any]:
    """Cluster, department, project: what is chosen of each; the menus are loaded when opened."""
    now = chosen(context["request"])
    parts = [{"kind": kind.value, "label": kind.label, "name": now.name(kind.value)} for kind in KINDS]
    return {"parts": parts, "request": context["request"]}


@register.inclusion_tag("layouts/_toasts.html", takes_context=True)
def toasts(context: Mapping[str, Any]) -> dict[str, Any]:
    """What the last act said; shown once."""
    return {"toasts": take_toasts(context["request"])}


def _href(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
