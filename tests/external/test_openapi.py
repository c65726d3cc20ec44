"""Presets against the OpenAPI documents that the products publish: `openapi/NAME.json` or `.yml` below the folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml

from scheduler.domain.clock import SystemClock
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.http_call import Caller
from scheduler.runtimes.http_presets import merged
from tests.external.products import installed
from tests.support.runs import make_request

FOLDER = installed("openapi")
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "letta": ("/v1/agents/{agent_id}/messages", {"parameters": {"agent_id": "agent-1"}}),
    "dify": ("/chat-messages", {"token": "app-1"}),
    "flowise": ("/prediction/{id}", {"parameters": {"chatflow_id": "c1"}}),
}
"""Each with its path in the document, and the settings that it needs."""
UNDOCUMENTED = {"flowise": {"chatId"}}
"""What a product reads although its document lacks it: Flowise's server keeps a conversation by it in every flow."""
Schema = dict[str, Any]


@pytest.fixture(params=PRESETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def document(name: str) -> Schema:
    for path in (FOLDER / f"{name}.json", FOLDER / f"{name}.yml"):
        if path.exists():
            text = path.read_text(encoding="utf-8")
            loaded: Schema = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
            return loaded
    pytest.skip(f"{FOLDER}/{name}.json is not there: CONTRIBUTING.md says where it comes from")


def settings_of(name: str) -> HttpRuntime:
    return merged(
        HttpRuntime.model_validate({"kind": "http", "url": "http://x", "preset": name, **PRESETS[name][1]})
    )


def schema_of(document: Schema, content: Schema) -> Schema:
    found: Schema = content["application/json"]["schema"]
    return resolved(document, found)


def resolved(document: Schema, schema: Schema) -> Schema:
    """Follows a reference."""
    while "$ref" in schema:
        parts = schema["$ref"].removeprefix("#/").split("/")
        schema = document
        for part in parts:
            schema = schema[part]
    return schema


def all_of(document: Schema, schema: Schema) -> Iterator[Schema]:
    """Yields a schema and all its alternatives."""
    schema = resolved(document, schema)
    yield schema
    for kind in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(kind, ()):
            yield from all_of(document, each)


def at(document: Schema, schema: Schema, path: str) -> list[Schema]:
    """Returns the schemas of what a JSONPath of names and of lists selects."""
    found = [schema]
    for part in re.findall(r"\[[^\]]*\]|\.(\w+)|$", path):
        whole = [each for one in found for each in all_of(document, one)]
        if part:
            found = [each["properties"][part] for each in whole if part in each.get("properties", {})]
        elif any("items" in each for each in whole):
            found = [each["items"] for each in whole if "items" in each]
    return found


def test_the_request_is_one_that_the_product_accepts(name: str, document: Schema) -> None:
    path, _ = PRESETS[name]
    call = Caller(settings_of(name), make_request(), SystemClock()).wake()
    assert re.fullmatch(re.sub(r"\\?\{\w+\\?\}", "[^/]+", r".*" + path), call.url)
    operation = document["paths"][path]["post"]
    schema = schema_of(document, operation["requestBody"]["content"])
    assert call.content is not None
    sent = json.loads(call.content)
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.validator_for(whole).validate(sent)
    known = {each for one in all_of(document, schema) for each in one.get("properties", {})}
    assert set(sent) - UNDOCUMENTED.get(name, set()) <= known, "what is sent is a field of the document"


def test_the_fields_that_are_read_are_in_the_response(name: str, document: Schema) -> None:
    settings = settings_of(name)
    schema = schema_of(document, document["paths"][PRESETS[name][0]]["post"]["responses"]["200"]["content"])
    assert settings.reply_path is not None
    for each in filter(None, (settings.reply_path, settings.usage_path, settings.error_path)):
        assert at(document, schema, each), f"there is no {each} in the answer"


def test_the_usage_has_the_names_that_are_counted(name: str, document: Schema) -> None:
    settings = settings_of(name)
    schema = schema_of(document, document["paths"][PRESETS[name][0]]["post"]["responses"]["200"]["content"])
    if settings.usage_path is None:
        pytest.skip(f"{name} tells no usage")
    names = {
        each
        for one in at(document, schema, settings.usage_path)
        for s in all_of(document, one)
        for each in s.get("properties", {})
    }
    assert {"prompt_tokens", "completion_tokens"} <= names
