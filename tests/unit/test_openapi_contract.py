"""What people build on stays: paths, parameters, status codes and fields of the first description of the API.

`openapi_contract.txt` has a line for each. Lines are added to it; none is taken away without a new version of the API.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.app import create_app
from config.settings import load_settings

CONTRACT = Path(__file__).with_name("openapi_contract.txt")


def promises(document: dict[str, Any]) -> Iterator[str]:
    """`GET /api/v1/agents 200`, `GET /api/v1/agents query limit`, `AgentOut.name`."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status in operation["responses"]:
                yield f"{method.upper()} {path} {status}"
            for parameter in operation.get("parameters", ()):
                yield f"{method.upper()} {path} {parameter['in']} {parameter['name']}"
    for name, shape in document["components"]["schemas"].items():
        for field in shape.get("properties", ()):
            yield f"{name}.{field}"


def test_nothing_that_was_promised_is_gone() -> None:
    settings = {"DATABASE_URL": "postgres://nobody@localhost/none", "REVEILLE_SECRET_KEY": "-" * 32}
    document = json.loads(create_app(load_settings(settings)).test_client().get("/openapi.json").data)
    kept = CONTRACT.read_text(encoding="utf-8").splitlines()
    assert len(kept) > 1000
    assert set(kept) - set(promises(document)) == set()
