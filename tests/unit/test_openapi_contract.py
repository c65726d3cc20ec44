"""The stable parts of the API: paths, parameters, status codes, schemas, their fields and allowed values.

`openapi_contract.txt` has a line for each promise of the first description of the API, such as

    GET /api/v1/agents 200 application/json AgentPage
    GET /api/v1/agents query limit: integer
    POST /api/v1/agents body application/json AgentIn
    AgentOut.name: string
    AgentIn.name is required

Lines are only added to it; removing one requires a new version of the API. Nothing optional becomes required.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from config.settings import load_settings

CONTRACT = Path(__file__).with_name("openapi_contract.txt")
REQUIRED = " is required"


def kinds(schema: Mapping[str, Any]) -> set[str]:
    """Returns the allowed values: JSON types, constants, and schemas by name."""
    if "$ref" in schema:
        return {schema["$ref"].rsplit("/", 1)[1]}
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return set().union(*map(kinds, schema[several]))
    if "enum" in schema or "const" in schema:
        return {json.dumps(each) for each in schema.get("enum", [schema.get("const")])}
    if schema.get("type") == "array":
        return {f"[{each}]" for each in kinds(schema.get("items", {}))}
    return {schema.get("type", "any")}


def of_operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """Returns the promises of one operation."""
    for status, response in operation["responses"].items():
        for content_type, body in response.get("content", {"": {}}).items():
            yield from (f"{name} {status} {content_type} {each}" for each in kinds(body.get("schema", {})))
    for content_type, body in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"{name} body {content_type} {each}" for each in kinds(body.get("schema", {})))
    for parameter in operation.get("parameters", ()):
        place = f"{name} {parameter['in']} {parameter['name']}"
        yield from (f"{place}: {each}" for each in kinds(parameter.get("schema", {})))
        if parameter.get("required"):
            yield f"{place}{REQUIRED}"


def promises(document: Mapping[str, Any]) -> Iterator[str]:
    """Returns all promises of a description."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from of_operation(f"{method.upper()} {path}", operation)
    for name, shape in document["components"]["schemas"].items():
        for field, schema in shape.get("properties", {}).items():
            yield from (f"{name}.{field}: {each}" for each in kinds(schema))
        if name.endswith(("In", "Patch", "Runtime")):  # the schemas of requests
            yield from (f"{name}.{field}{REQUIRED}" for field in shape.get("required", ()))


@pytest.fixture(scope="module")
def now() -> set[str]:
    """Returns the promises of the current description."""
    settings = {"DATABASE_URL": "postgres://nobody@localhost/none", "REVEILLE_SECRET_KEY": "-" * 32}
    document = json.loads(create_app(load_settings(settings)).test_client().get("/openapi.json").data)
    return set(promises(document))


@pytest.fixture(scope="module")
def kept() -> set[str]:
    """Returns the promises of the first description."""
    return set(CONTRACT.read_text(encoding="utf-8").splitlines())


def test_nothing_that_was_promised_is_gone(now: set[str], kept: set[str]) -> None:
    assert len(kept) > 1800
    assert {line for line in kept - now if not line.endswith(REQUIRED)} == set()


def test_what_may_be_sent_does_not_become_required(now: set[str], kept: set[str]) -> None:
    known = {line.rsplit(".", 1)[0] for line in kept if " " not in line.split(": ")[0]}
    places = {line.rsplit(" ", 3)[0] for line in kept if " query " in line}
    new = {line for line in now - kept if line.endswith(REQUIRED)}
    of_shapes = {line for line in new if " " not in line.removesuffix(REQUIRED) and line.split(".")[0] in known}
    assert of_shapes == set()
    assert {line for line in new if " query " in line and line.split(" query ")[0] in places} == set()
