"""Generates TypeScript types from the API's description."""

from __future__ import annotations

import json
from typing import Any


def types_of(document: dict[str, Any]) -> str:
    """Generates one interface per shape."""
    text = "// The shapes of Reveille's API. Written by tools/client from its description; do not edit.\n"
    for name, schema in document["components"]["schemas"].items():
        if "enum" in schema:
            text += f"\nexport type {name} = {typescript_type(schema)};\n"
            continue
        required = schema.get("required", ())
        is_out = not name.endswith(("In", "Patch", "Range"))
        lines = [
            f"  {key}{'' if key in required or is_out else '?'}: {typescript_type(value)};\n"
            for key, value in schema.get("properties", {}).items()
        ]
        text += f"\nexport interface {name} {{\n{''.join(lines)}}}\n"
    return text


def typescript_type(schema: dict[str, Any]) -> str:
    """`{"type": "integer"}` -> `number`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return " | ".join(map(json.dumps, schema.get("enum", [schema.get("const")])))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(map(typescript_type, schema[union])))
    match schema.get("type"):
        case "array":
            return f"Array<{typescript_type(schema.get('items', {}))}>"
        case "object":
            values = schema.get("additionalProperties", {})
            return f"Record<string, {typescript_type(values) if isinstance(values, dict) else 'unknown'}>"
        case plain:
            return {
                "string": "string",
                "integer": "number",
                "number": "number",
                "boolean": "boolean",
                "null": "null",
            }.get(plain, "unknown")
