"""Tags of the one console list: a cell, and a column's head."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.template.base import Template
from django.template.context import Context
from django.template.loader import get_template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from runai_cp.lib.tables import Asked, Column
from runai_cp.lib.templatetags.ui import age, clock

register = template.Library()


@register.simple_tag(takes_context=True)
def list_cell(context: Context, column: Column, row: Any) -> SafeString:
    """What stands in a cell: the column's template, or its value; a time says how long ago it was."""
    value = column.value(row)
    if column.template:
        # In the page's own context, as an include would be: fifty rows are hundreds of cells.
        with context.push(row=row, value=value):
            return SafeString(_template(column.template).render(context).strip())
    if value is None or value == "":
        return format_html('<span class="muted" aria-hidden="true">–</span><span class="vh">{}</span>', "nothing")
    if isinstance(value, datetime):
        return format_html('<span title="{} UTC">{} ago</span>', clock(value), age(value))
    if isinstance(value, bool):
        return conditional_escape("yes" if value else "no")
    return conditional_escape(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value)


@register.simple_tag
def list_sort(asked: Asked, column: Column) -> dict[str, str]:
    """``href`` and ``direction`` of a head that sorts."""
    ours = asked.table.listing.fields[column.sort].path
    default = asked.table.listing.default_sort[0]
    mine = asked.query.sort_by == column.sort or (not asked.query.sort_by and default.lstrip("-") == ours)
    descending = asked.query.descending if asked.query.sort_by else default.startswith("-")
    order = ("desc" if descending else "asc") if mine else ""
    turned = {"asc": "desc", "desc": "asc"}.get(order, column.start)
    return {
        "href": asked.address(sort=column.sort, order=turned, page=None),
        "direction": {"asc": "ascending", "desc": "descending"}.get(order, ""),
    }


@lru_cache(maxsize=256)
def _template(name: str) -> Template:
    return get_template(name).template  # type: ignore[attr-defined, no-any-return]
