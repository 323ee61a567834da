"""Bricks of our OpenAPI that views and settings use: plain JSON schemas, no framework."""

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
FLAG: dict[str, Any] = {"type": "boolean"}
WHOLE: dict[str, Any] = {"type": "integer"}
MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
ANY_OBJECTS: dict[str, Any] = {"type": "array", "items": OBJECT}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": WHOLE,
        "message": TEXT,
        "details": TEXT,
        "title": TEXT,
        "status": WHOLE,
        "type": TEXT,
        "errors": ANY_OBJECTS,
    },
}
REFUSALS = {
    "400": "A field, filter or page is wrong; ``errors`` names each.",
    "401": "No token, or one that is not valid any more.",
    "403": "Not allowed; the refusal is in the audit trail.",
    "404": "Not there, or not visible to the caller.",
    "409": "The name is taken, or the state does not allow it.",
    "412": "``If-Match`` names another version of the object.",
    "413": "What was sent is too large.",
    "415": "What was sent is of another kind than the operation takes.",
    "429": "Too many requests; ``Retry-After`` says when to come back.",
}


def listed(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def body_schema(fields: dict[str, Any]) -> dict[str, Any]:
    """``{"name*": TEXT}`` → a JSON schema of an object; the star marks what must be given."""
    required = [name[:-1] for name in fields if name.endswith("*")]
    properties = {name.rstrip("*"): schema for name, schema in fields.items()}
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


COMPONENTS = {
    "schemas": {"Problem": PROBLEM},
    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
}
"""For ``SPECTACULAR_SETTINGS``."""
