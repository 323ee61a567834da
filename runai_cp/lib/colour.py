"""An accent of the console from one colour that somebody chose, readable in both themes. Pure.

Contrast is WCAG 2.2's (relative luminance of sRGB). The hue stays; the colour is mixed with black or white until text
has 4.5:1 on every surface of ``static/css/tokens.css`` and a filled button has 4.5:1 to its white words.
"""

import re
from collections.abc import Callable, Iterable

HEX = re.compile(r"#[0-9a-f]{6}")
TEXT, SHAPE = 4.5, 3.0
"""Least contrast of words, and of what can be operated."""
Rgb = tuple[float, float, float]
WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
LIGHT = ("#ffffff", "#f4f5f8", "#eff1f5", "#f3f5f9")
DARK = ("#151920", "#0d1015", "#10141a", "#1b2029", "#1b212a")


def accent(colour: str) -> dict[str, str]:
    """Token → value, in the words of ``tokens.css``. ``colour`` is ``#rrggbb``; raises ``ValueError`` for others."""
    if not HEX.fullmatch(colour):
        raise ValueError("a colour is #rrggbb in lower case")
    base = _read(colour)
    day, night = [_read(text) for text in LIGHT], [_read(text) for text in DARK]
    fill = _until(base, BLACK, lambda rgb: contrast(rgb, WHITE) >= TEXT)
    night_fill = _until(fill, WHITE, lambda rgb: contrast(rgb, night[0]) >= SHAPE)
    ink = _until(base, BLACK, lambda rgb: _reads(rgb, [*day, mix(WHITE, rgb, 0.12)]))
    night_ink = _until(base, WHITE, lambda rgb: _reads(rgb, [*night, mix(night[0], rgb, 0.2)]))
    soft, night_soft = mix(WHITE, ink, 0.1), mix(night[0], night_ink, 0.17)
    pairs = {
        "accent": (ink, night_ink),
        "accent-soft": (soft, night_soft),
        "accent-fill": (fill, night_fill),
        "accent-fill-hover": (mix(fill, BLACK, 0.18), mix(night_fill, BLACK, 0.12)),
        "focus": (ink, night_ink),
        "selected": (mix(WHITE, ink, 0.08), mix(night[0], night_ink, 0.13)),
    }
    return {name: f"light-dark({_write(a)}, {_write(b)})" for name, (a, b) in pairs.items()}


def contrast(one: Rgb, other: Rgb) -> float:
    """1 to 21."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """``share`` of ``other``, 0 to 1."""
    a, b, c = (x + (y - x) * share for x, y in zip(one, other, strict=True))
    return (a, b, c)


def _until(rgb: Rgb, towards: Rgb, good: Callable[[Rgb], bool]) -> Rgb:
    return next((found for step in range(101) if good(found := mix(rgb, towards, step / 100))), towards)


def _reads(rgb: Rgb, surfaces: Iterable[Rgb]) -> bool:
    return all(contrast(rgb, surface) >= TEXT for surface in surfaces)


def _luminance(rgb: Rgb) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _read(text: str) -> Rgb:
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return (red, green, blue)


def _write(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in rgb)
