"""Names that people and programs read: bounded, visible, and hard to mistake for another. Pure."""

import re
import unicodedata

from runai_cp.lib.errors import FieldError, Invalid

ACCOUNT = re.compile(r"[a-z][-_a-z0-9]*[a-z0-9]")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
"""Scripts with letters that look like those of another one."""


def display_name(value: object, field: str = "name", *, longest: int = 100) -> str:
    """A name in any language, in normal form (NFKC) and trimmed. Raises ``Invalid``.

    Refused are control and invisible characters, those that turn the direction of text, and letters of two scripts
    that look alike (a Cyrillic "a" in a Latin word).
    """
    if not isinstance(value, str):
        raise Invalid(FieldError(field, f"must be text of 1 to {longest} characters", value))
    if len(value) > 4 * longest:
        raise Invalid(FieldError(field, f"must have 1 to {longest} characters, not {len(value)}", value[:40]))
    text = unicodedata.normalize("NFKC", value).strip()
    if not 1 <= len(text) <= longest:
        raise Invalid(FieldError(field, f"must have 1 to {longest} characters, not {len(text)}", value))
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for letter in text):
        raise Invalid(FieldError(field, "must not hold control or invisible characters", value))
    scripts = {script for letter in text for script in _SCRIPTS if unicodedata.name(letter, "").startswith(script)}
    if len(scripts) > 1:
        mixed = " and ".join(sorted(script.title() for script in scripts))
        raise Invalid(FieldError(field, f"must not mix letters of {mixed}: they look alike", value))
    return text


def account_name(value: object, field: str = "name", *, longest: int = 100) -> str:
    """A program's name: lower-case letters, digits, hyphens and underscores. Raises ``Invalid``."""
    if not isinstance(value, str) or len(value) > longest or not ACCOUNT.fullmatch(value):
        message = (
            f"must start with a lower-case letter, end with a letter or digit, hold only lower-case letters, digits, "
            f"'-' and '_', and have 2 to {longest} characters"
        )
        raise Invalid(FieldError(field, message, str(value)[:100], ACCOUNT.pattern))
    return value
