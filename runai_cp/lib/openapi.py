"""Our own OpenAPI out of what views declare: ``listing`` for questions, ``accepts`` for bodies, ``allow`` for methods.

A view says ``accepts = {"POST": {"name*": TEXT}}``; a name with ``*`` behind it must be given. A view without takes any
object. Everything may answer the problem shape of ``runai_cp.lib.api``.
"""

from typing import Any

from drf_spectacular.openapi import AutoSchema

from runai_cp.lib.listing import OPERATORS, Listing
from runai_cp.lib.openapi_parts import OBJECT, REFUSALS, TEXT, WHOLE, body_schema, listed, one_of


def parameters(listing: Listing, *, paged: bool) -> list[dict[str, Any]]:
    """The query parameters of a list; a count has those that narrow it only."""
    fields = sorted(name for name, item in listing.fields.items() if item.filterable)
    grammar = f"FIELD OPERATOR VALUE, by commas. Fields: {fields}. Operators: {' '.join(OPERATORS)}"
    rows = [
        ("filterBy", listed(TEXT), grammar),
        ("search", TEXT, "Text anywhere in the row's names"),
    ]
    if paged:
        sortable = sorted(name for name, item in listing.fields.items() if item.sortable)
        rows += [
            ("sortBy", one_of(*sortable), "Field to sort by"),
            ("sortOrder", one_of("asc", "desc"), "Direction"),
            ("offset", {**WHOLE, "minimum": 0}, "Rows to skip"),
            ("limit", {**WHOLE, "minimum": 1, "maximum": listing.max_limit}, "Rows of a page"),
            ("cursor", TEXT, "Pages that do not slip: empty for the first, then ``nextCursor`` of the answer"),
        ]
    return [
        {"in": "query", "name": name, "schema": schema, "description": text, **_style(schema)}
        for name, schema, text in rows
    ]


def _style(schema: dict[str, Any]) -> dict[str, Any]:
    return {"style": "form", "explode": False} if schema.get("type") == "array" else {}


class Schema(AutoSchema):  # type: ignore[misc]
    """drf-spectacular asks this for each method of each view. ``answers`` of a view names its good status by method."""

    def get_operation_id(self) -> str:
        return f"{self.method.lower()}_{'_'.join(_words(self.path))}"

    def get_tags(self) -> list[str]:
        words = [word for word in self.path.strip("/").split("/") if word not in ("api", "v1", "v2", "k8s")]
        return [words[0] if words else "api"]

    def get_description(self) -> str:
        own = type(self.view).__dict__.get("__doc__") or ""
        return " ".join((getattr(getattr(self.view, self.method.lower(), None), "__doc__", "") or own).split())

    def get_auth(self) -> list[dict[str, list[str]]]:
        return [{"bearer": []}] if self.view.allow.get(self.method) != "public" else [{}]

    def get_override_parameters(self) -> list[Any]:
        return []

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        listing = getattr(self.view, "listing", None)
        if operation is not None and isinstance(listing, Listing) and self.method == "GET":
            paged = not self.path.endswith("/count")
            operation.setdefault("parameters", []).extend(parameters(listing, paged=paged))
        return operation

    def get_request_serializer(self) -> Any:
        if self.method not in ("POST", "PUT", "PATCH"):
            return None
        accepts = getattr(self.view, "accepts", {}).get(self.method, OBJECT)
        media = getattr(self.view, "media", "application/json")
        return {media: accepts if accepts.get("type") == "object" else body_schema(accepts)}

    def get_response_serializers(self) -> Any:
        return {}

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        good = getattr(self.view, "answers", {}).get(self.method, "204" if self.method == "DELETE" else "2XX")
        content = {} if str(good) == "204" else {"content": {"application/json": {"schema": {}}}}
        problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        refusals = {code: {"description": text, "content": problem} for code, text in REFUSALS.items()}
        return {str(good): {"description": "Done.", **content}, **refusals}


def _words(path: str) -> list[str]:
    return [part.strip("{}").replace("-", "_") for part in path.strip("/").split("/") if part != "api"]
