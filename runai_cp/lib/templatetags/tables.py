"""Tags of the one console list: the cells of a row, and a column's head."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.template.base import NodeList
from django.template.context import Context
from django.template.loader import get_template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from runai_cp.lib.tables import Asked, Column
from runai_cp.lib.templatetags.ui import age, clock

register = template.Library()
NOTHING = '<span class="muted" aria-hidden="true">–</span><span class="vh">nothing</span>'


@register.simple_tag(takes_context=True)
def list_cells(context: Context, asked: Asked, row: Any, ticked: bool) -> SafeString:
    """All cells of a row, the first its head; ``ticked`` says that a box stands before it.

    The markup of a cell is written here and its template rendered in the page's own context, as if it stood here:
    fifty rows are hundreds of cells, and a template's loop over them cost as much as all they say.
    """
    head = "stick stick-2" if ticked else "stick"
    made = []
    with context.push(row=row, value=None):
        for column in asked.columns:
            content = _content(context, column, column.value(row))
            if made:
                made.append(f'<td class="{column.extra}">{content}</td>' if column.extra else f"<td>{content}</td>")
            else:
                made.append(f'<th scope="row" class="{head} {column.extra}">{content}</th>')
    return SafeString("".join(made))


def _content(context: Context, column: Column, value: Any) -> str:
    """What stands in a cell: the column's template, or its value, escaped; a time says how long ago it was."""
    if column.template:
        context["value"] = value
        return _nodes(column.template).render(context).strip()
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, datetime):
        return format_html('<span title="{} UTC">{} ago</span>', clock(value), age(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
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
def _nodes(name: str) -> NodeList:
    return get_template(name).template.nodelist  # type: ignore[attr-defined, no-any-return]
