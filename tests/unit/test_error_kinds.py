"""Errors that differ only in what varies are of one kind, others are not."""

from __future__ import annotations

import pytest

from scheduler.storage.read_models.failures import kind_of, longest_part


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The agent answered 503.", "The agent  answered 503."),
        ("Timed out after 600 s", "Timed out after 12.5 s"),
        ("No model 'gpt-x'", "No model 'claude-y'"),
        ("Run 0198c0de-0000-7000-8000-00000000000a failed", "Run 0198c0de-1111-7000-8000-00000000000b failed"),
        ("Not before 2030-01-31T09:00:00Z", "Not before 2031-02-01 10:00:00.5+02:00"),
        ("Commit deadbeef01 is unknown", "Commit 1234567890abcdef is unknown"),
    ],
)
def test_texts_that_differ_in_details_are_of_one_kind(one: str, other: str) -> None:
    assert kind_of(one) == kind_of(other)
    assert longest_part(kind_of(one)) in one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The agent answered 503.", "The agent answered 404."),
        ("HTTP 500", "HTTP 502"),
        ("The connection was refused", "The connection was reset"),
        ("Timed out after 600 s", "Timed out after 600 tokens"),
    ],
)
def test_texts_that_differ_otherwise_are_of_different_kinds(one: str, other: str) -> None:
    assert kind_of(one) != kind_of(other)


def test_a_text_of_details_alone_has_a_kind() -> None:
    assert kind_of("12") == "…"
    assert longest_part("…") == ""
    assert len(kind_of("x" * 10_000)) == 200
