"""The examples on the models page are accepted unchanged."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.api import running_api

PAGE = Path(__file__).resolve().parents[3] / "docs/models.md"


def test_the_examples_of_the_page_are_taken(database_url: str) -> None:
    small, local, runtime = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)
    )
    with running_api(database_url, allow_private_hosts="127.0.0.1") as api:
        made = api.post("/models", {**small, "key": small["key"].replace("…", "1")})
        assert made["output_price"] == small["output_price"]
        api.post("/models", local)
        agent = api.agent(runtime={**runtime, "model_id": made["id"]})
    assert agent["runtime"]["instructions"] == runtime["instructions"]
