"""Words, numbers and parts of the console: filters for units and ages, tags for status, meters, fields and charts.

Knows no model. Every tag renders a template of ``templates/components``; no markup is written in Python.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, Select
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from runai_cp.lib import drawing
from runai_cp.lib.vocabulary import STATUS, TYPES, Look

register = template.Library()
KIB = 1024


@lru_cache(maxsize=4096)
def drawn(template_name: str, *values: tuple[str, Any]) -> SafeString:
    """A part that depends on nothing but its few values, rendered once: lists repeat the same icons and bars."""
    return mark_safe(render_to_string(template_name, dict(values)))  # noqa: S308 - a template's own output


@register.filter
def duration(seconds: float | None) -> str:
    """``48 s``, ``14 min``, ``3 h 12 min``, ``6 d``: the two largest units that say something."""
    if seconds is None:
        return "–"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60:02d} min" if minutes % 60 else f"{hours} h"
    return f"{days} d"


@register.filter
def age(moment: datetime | str | None) -> str:
    """How long ago ``moment`` was (a datetime or RFC 3339 text)."""
    at = as_time(moment)
    return "–" if at is None else duration((timezone.now() - at).total_seconds())


@register.filter
def clock(moment: datetime | str | None) -> str:
    """``10:28:21`` today, ``2026-11-23 10:28`` before; UTC."""
    at = as_time(moment)
    if at is None:
        return "–"
    at = at.astimezone(UTC)
    return at.strftime("%H:%M:%S" if at.date() == timezone.now().date() else "%Y-%m-%d %H:%M")


@register.filter
def as_time(moment: datetime | str | None) -> datetime | None:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


@register.filter
def milli(value: float | None) -> str:
    """Thousandths as the number people say: 4000 → ``4``, 500 → ``0.5``, -1000 and less → ``no limit``."""
    if value is None:
        return "–"
    if value < 0:
        return "no limit"
    return f"{value / 1000:,.3f}".rstrip("0").rstrip(".").replace(",", "\u202f")


@register.filter
def size(value: float | None) -> str:
    """Bytes with a binary unit: ``512 MiB``, ``1.5 GiB``."""
    if value is None:
        return "–"
    if value < 0:
        return "no limit"
    number, units = float(value), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units[:-1]:
        if number < KIB:
            return f"{number:.3g} {unit}" if number < 100 else f"{number:.0f} {unit}"
        number /= KIB
    return f"{number:.3g} {units[-1]}"


@register.filter
def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"


@register.filter
def plural(count: int, words: str) -> str:
    """``{{ n|plural:"node,nodes" }}`` → ``1 node``, ``3 nodes``, ``10 000 nodes``."""
    one, many = words.split(",")
    return f"{grouped(count)} {one if count == 1 else many}"


@register.filter
def grouped(count: int) -> str:
    """Thousands apart by a narrow space that does not break."""
    return f"{count:,}".replace(",", "\u202f")


@register.filter
def ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


@register.filter
def initials(name: str) -> str:
    letters = [part[0] for part in name.split("@")[0].replace(".", " ").replace("-", " ").split() if part]
    return ("".join(letters[:2]) if len(letters) > 1 else name[:2]).upper()


@register.filter
def item(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key) if mapping else None


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """``{% icon "plus" "icon-s muted" %}``: one symbol of the sprite; decoration, its words stand beside it."""
    return drawn("components/icon.html", ("name", name), ("extra", extra))


@register.simple_tag
def status(word: str) -> SafeString:
    """A phase or state by the table of ``vocabulary``: a tinted badge when it asks for something, else bare."""
    found = STATUS.get(word, STATUS["Unknown"])
    return _status(word, found, found.form)


@register.simple_tag
def badge(word: str) -> SafeString:
    """Always tinted: beside a page title."""
    return _status(word, STATUS.get(word, STATUS["Unknown"]), "tinted")


def _status(word: str, look: Look, form: str) -> SafeString:
    values = (("word", word), ("icon", look.icon), ("tone", look.tone), ("form", form))
    return drawn("components/status.html", *values)


@register.filter
def type_icon(kind: str) -> str:
    return TYPES.get(kind, ("training", kind))[0]


@register.filter
def type_word(kind: str) -> str:
    return TYPES.get(kind, ("training", kind.capitalize()))[1]


@register.simple_tag
def phase_icon(word: str) -> SafeString:
    found = STATUS.get(word, STATUS["Unknown"])
    return icon(found.icon, f"icon-s {found.tone}")


@register.filter
def before_at(name: str) -> str:
    """``dana@acme.example`` → ``dana``: the address stands in the title."""
    return name.partition("@")[0]


@register.simple_tag
def mid(name: str, keep: int = 6) -> str:
    """A long name is cut in the middle and keeps its end."""
    if len(name) <= 20:
        return conditional_escape(name)
    name += ""  # plain: what a cached part says depends on its values alone, never on whether one was marked safe
    return drawn("components/mid.html", ("name", name), ("head", name[:-keep]), ("tail", name[-keep:]))


@register.simple_tag
def meter(label: str, total: float, used: float = 0, quota: float | None = None, off: bool = False) -> SafeString:
    """One bar: ``used`` of ``total``; beyond ``quota`` it is hatched and the quota is a tick. Any one unit."""
    return _meter(label + "", total, used, quota, off)


@lru_cache(maxsize=4096)
def _meter(label: str, *values: Any) -> SafeString:
    return mark_safe(render_to_string("components/meter.html", {"label": label, **drawing.meter(*values)}))  # noqa: S308


@register.inclusion_tag("components/meter.html")
def pool_bar(label: str, total: float, parts: Mapping[str, float]) -> dict[str, Any]:
    """Segments in the order in quota, over, idle, free, out of service; ``parts`` by those words."""
    return {"label": label, **drawing.pool_bar(total, parts)}


@register.inclusion_tag("components/meter.html")
def ask_bar(label: str, total: float, used: float, asked: float, quota: float | None) -> dict[str, Any]:
    return {"label": label, **drawing.ask_bar(total, used, asked, quota)}


@register.simple_tag
def gpus(label: str, cells: Sequence[Mapping[str, Any]]) -> SafeString:
    """One square per device. A cell has ``state`` (in, over, idle, free, off) and ``milli`` allocated of it."""
    plain = label + ""  # not one that counts as safe: both are one key, and one drawing would stand for the other
    return _gpus(plain, *((cell["state"], cell.get("milli", 0)) for cell in cells))


@lru_cache(maxsize=4096)
def _gpus(label: str, *cells: tuple[str, int]) -> SafeString:
    values = drawing.gpus([{"state": state, "milli": milli} for state, milli in cells])
    return mark_safe(render_to_string("components/gpus.html", {"label": label, **values}))  # noqa: S308


@register.simple_tag
def spark(values: Sequence[float | None] | None) -> SafeString:
    """Percents over the last while, with the newest as a number; nothing measured says so."""
    return _spark(tuple(values or ()))


@lru_cache(maxsize=1024)
def _spark(values: tuple[float | None, ...]) -> SafeString:
    return mark_safe(render_to_string("components/spark.html", drawing.spark(values)))  # noqa: S308


@register.inclusion_tag("components/chart.html")
def chart(figure: "drawing.Figure") -> dict[str, Any]:
    """Axes, grid, lines, gaps and the table with the same numbers."""
    return {"figure": figure, "drawn": drawing.draw(figure)}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, span: str = "12", unit: str = "", mono: bool = False, **attrs: Any) -> dict[str, Any]:
    """Label, control, hint and error of one form field; the error and hint are tied to the control."""
    named = [f"{bound.auto_id}-e"] if bound.errors else []
    if bound.help_text:
        named.append(f"{bound.auto_id}-h")
    kind = "select" if isinstance(bound.field.widget, Select) else "input"
    values = {"class": f"{kind} mono" if mono else kind, "aria-describedby": " ".join(named) or None}
    if bound.errors:
        values["aria-invalid"] = "true"
    values |= {name.replace("_", "-"): value for name, value in attrs.items()}
    box = isinstance(bound.field.widget, CheckboxInput)
    if box:
        values.pop("class")
    return {
        "bound": bound,
        "span": span,
        "unit": unit,
        "box": box,
        "optional": kind == "input" and not bound.field.required,
        "control": bound.as_widget(attrs={k: v for k, v in values.items() if v is not None}),
    }


@register.inclusion_tag("components/cell_input.html")
def cell_input(bound: BoundField) -> dict[str, Any]:
    """A number in a table cell: its label is for those who hear the page, its error stands below."""
    values = {"class": "input tnum cell-input", "inputmode": "decimal", "autocomplete": "off"}
    if bound.errors:
        values |= {"aria-invalid": "true", "aria-describedby": f"{bound.auto_id}-e"}
    return {"bound": bound, "control": bound.as_widget(attrs=values)}


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: Any) -> str:
    """The present query string with some parameters changed; None or "" drops one. Starts with ``?``."""
    request: HttpRequest = context["request"]
    params = request.GET.copy()
    for name, value in changes.items():
        params.pop(name, None)
        if value not in (None, ""):
            params[name] = str(value)
    return "?" + params.urlencode()
