"""Fuzz of our own OpenAPI: whatever is sent to any operation, no 500, no status that we do not declare, and no success
for what the schema forbids.

A short seeded part runs in ``make test``; ``make test-long`` asks every operation many times, in parts. Each request
runs as the administrator in a transaction that is rolled back.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema
import pytest
import schemathesis
from django.db import connection, transaction
from django.test import override_settings
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

from tests.fixtures_rooms import make_cluster, make_project, make_workload

pytestmark = pytest.mark.services
RATES = {"read": 10**9, "write": 10**9, "token": 10**9}
GOOD = {200, 201, 202, 204, 207, 301, 302, 304}
DONE = {200, 201, 202, 204, 207}
PARTS = 8
"""Of the long round: each takes minutes."""
REFUSED = {400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, 501, 503}


@pytest.fixture(scope="module")
def operations(django_db_setup, django_db_blocker) -> list[Any]:
    """All operations of the schema that a tenant serves; each (method, path) once."""
    document = SchemaGenerator(urlconf="runai_cp.urls").get_schema(request=None, public=True)
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document, default=str)))
    return [result.ok() for result in schema.get_all_operations()]


def forbidden(case: Any) -> str:
    """What its schema forbids of a case; "" when nothing. Bodies in JSON, whole numbers, words of a list."""
    raw = case.operation.definition.raw
    media = raw.get("requestBody", {}).get("content", {}).get("application/json")
    if media and case.method != "GET" and not isinstance(case.body, (bytes, type(None))) and not _absent(case.body):
        wrong = next(jsonschema.Draft202012Validator(media["schema"]).iter_errors(case.body), None)
        if wrong is not None:
            return f"body: {wrong.message[:200]}"
    for item in raw.get("parameters", []):
        given = (case.query or {}).get(item["name"]) if item["in"] == "query" else None
        if isinstance(given, str) and given and not _fits(item["schema"], given):
            return f"{item['name']}={given!r}"
    return ""


def _absent(body: Any) -> bool:
    return "NotSet" in type(body).__name__


def _fits(schema: dict[str, Any], text: str) -> bool:
    if "enum" in schema:
        return text in schema["enum"]
    if schema.get("type") != "integer":
        return True
    if not text.isascii() or not text.lstrip("-").isdigit():
        return False
    return schema.get("minimum", -(10**30)) <= int(text) <= schema.get("maximum", 10**30)


def send(client: Any, case: Any) -> Any:
    """One case through Django's test client."""
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = urlencode([(k, v) for k, vs in (case.query or {}).items() for v in (vs if isinstance(vs, list) else [vs])])
    body = case.body if isinstance(case.body, (str, bytes)) else json.dumps(case.body, default=str)
    if _absent(case.body):
        body = b""
    headers = {k: str(v).encode("latin-1", "ignore").decode("latin-1") for k, v in (case.headers or {}).items()}
    media = case.media_type or "application/json"
    with transaction.atomic():
        answer = client.generic(case.method, f"{path}?{query}", body, content_type=media, headers=headers)
        transaction.set_rollback(True)
    return answer


def fuzz(client: Any, operation: Any, examples: int) -> None:
    """Both what the schema allows and what it forbids."""

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            strategy = operation.as_strategy(generation_mode=mode)
        except Exception:
            if mode == GenerationMode.POSITIVE:
                raise
            continue  # there is nothing that such an operation forbids

        @seed(7)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def run(case: Any) -> None:
            answer = send(client, case)
            told = (answer.status_code, case.method, case.path, case.query, case.body)
            assert answer.status_code in GOOD | REFUSED, told
            wrong = forbidden(case) if answer.status_code in DONE else ""
            assert wrong == "", (wrong, *told)

        run()


@pytest.fixture
def furnished(acme, monkeypatch):
    """A tenant with one of most things; nothing is sent to clusters' logs or the outside."""
    make_workload(make_project(make_cluster()))
    return acme.api("alice@example.test")


@override_settings(API_RATES=RATES)
def test_a_short_round_over_every_operation_finds_no_500(furnished, operations):
    assert len(operations) > 150
    _all(furnished, operations, 1)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("part", range(PARTS))
@override_settings(API_RATES=RATES)
def test_a_long_round_over_every_operation_finds_no_500(furnished, operations, part):
    _all(furnished, operations[part::PARTS], int(os.environ.get("FUZZ_EXAMPLES", "60")))


def _all(client: Any, operations: list[Any], examples: int) -> None:
    schema, found = connection.schema_name, []
    for operation in operations:
        try:
            fuzz(client, operation, examples)
        except AssertionError as error:
            found.append(str(error)[:400])
        except Exception as error:
            found.append(f"{operation.method} {operation.path}: {type(error).__name__}: {error}"[:400])
        assert connection.schema_name in (schema, "public")
    assert found == [], "\n".join(found)
