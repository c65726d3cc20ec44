"""Every shared conformance case that a tool can decide, through the tool's own process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.acceptance.tools import feed_json
from tests.support import conformance

CRON = conformance.load("cron/cases.json")
JSONPATH = conformance.load("jsonpath/cts.json")["tests"]
URLS = conformance.load("ssrf/urls.json")
VECTORS = conformance.load("webhooks/vectors.json")["cases"]
FOLLOWED_TIERS = {"must", "vixie-dst", "nickname"}
"""The others are dialects that contradict each other; the tests of the schedule cover which of them are followed."""

Row = Mapping[str, Any]


def preview_line(row: Row, count: int) -> dict[str, Any]:
    config = {"expr": row["expr"], **({"seconds": "first"} if len(row["expr"].split()) == 6 else {})}
    after = row.get("base", "2024-01-01T00:00:00")
    return {"type": "cron", "config": config, "timezone": row.get("tz"), "after": after, "count": count}


def test_preview_gives_the_expected_times_of_every_cron_case() -> None:
    rows = [row for row in CRON["valid"] if row["tier"] in FOLLOWED_TIERS]
    answers = feed_json("preview", [preview_line(row, len(row["expected_next"])) for row in rows])
    expected = {row["id"]: row["expected_next"] for row in rows}
    assert {row["id"]: answer.get("fire_times") for row, answer in zip(rows, answers, strict=True)} == expected


@pytest.mark.parametrize("kind", ["invalid", "unreachable"])
def test_preview_refuses_every_cron_case_that_is_invalid_or_never_fires(kind: str) -> None:
    rows = [row for row in CRON[kind] if row["tier"] == "must"]
    answers = feed_json("preview", [preview_line(row, 1) for row in rows])
    assert [row["id"] for row, answer in zip(rows, answers, strict=True) if "error" not in answer] == []


def test_json_path_gives_a_permitted_result_for_every_selector() -> None:
    answers = feed_json(
        "json-path", [{"path": row["selector"], "document": row.get("document")} for row in JSONPATH]
    )
    wrong = [row["name"] for row, answer in zip(JSONPATH, answers, strict=True) if not _is_permitted(row, answer)]
    assert wrong == []


def test_check_url_decides_every_url() -> None:
    rows = [row for row in URLS["cases"] if "dns_sequence" not in row]
    answers = feed_json("check-url", [{"url": row["url"], "resolve": URLS["dns"]} for row in rows])
    wrong = [
        (row["id"], row["url"], answer)
        for row, answer in zip(rows, answers, strict=True)
        if answer.get("verdict") not in _verdicts(row["expect"])
    ]
    assert wrong == []


def test_verify_signature_decides_every_vector() -> None:
    answers = feed_json("verify-signature", VECTORS)
    wrong = [
        (row["id"], answer)
        for row, answer in zip(VECTORS, answers, strict=True)
        if row["expect"] != "either" and answer.get("verdict") != row["expect"]
    ]
    assert wrong == []
    assert all("verdict" in answer or "error" in answer for answer in answers)


def _is_permitted(row: Row, answer: Row) -> bool:
    if row.get("invalid_selector"):
        return "error" in answer
    return answer.get("values") in row.get("results", [row.get("result")])


def _verdicts(expect: str) -> set[str]:
    return {"block": {"block"}, "allow": {"allow"}}.get(expect, {"allow", "block"})
