"""The fields of a poll for each way of reading."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.errors import InvalidField
from tests.unit.test_poll_config import poll


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"read": "xml"}, "config.read"),
        ({"css": "p"}, "config.css"),
        ({"read": "html", "css": "p["}, "config.css"),
        ({"read": "html", "css": "p", "xpath": "//p"}, "config.xpath"),
        ({"read": "html", "json_path": "$.a"}, "config.json_path"),
        ({"read": "text", "regex": "("}, "config.regex"),
        ({"read": "html", "ignore": ["("]}, "config.ignore"),
        ({"read": "feed", "fire_on": "match", "match_value": "x"}, "config.fire_on"),
        ({"read": "status", "fire_on": "match", "match_value": "503"}, "config.match_value"),
        ({"read": "feed", "max_entries": 0}, "config.max_entries"),
    ],
)
def test_a_field_of_another_read_is_refused(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        poll(**wrong)
    assert refused.value.field == field
