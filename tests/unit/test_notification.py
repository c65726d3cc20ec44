"""What people are told of a run."""

from __future__ import annotations

import pytest

from scheduler.domain.notification import SUMMARY_LENGTH, Cause, content_of, summary_of


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Cause("daily", "Look at the queue.", "Your queue"), "Your queue"),
        (Cause("daily", "Look at\n  the queue.", None), "Look at the queue."),
        (Cause("daily", "Look at the queue.", "  "), "Look at the queue."),
        (Cause("daily", "", None), "Woken by daily"),
        (Cause("daily", " \n", None), "Woken by daily"),
    ],
)
def test_the_summary_is_the_first_of_its_own_the_reason_and_a_default(cause: Cause, expected: str) -> None:
    assert summary_of([cause], "en") == expected


def test_the_default_is_in_the_agents_language() -> None:
    assert summary_of([Cause("每日", "", None)], "zh") == "由 每日 唤醒"
    assert summary_of([Cause("daily", "", None)], "xx") == "Woken by daily"


def test_a_reason_is_cut_at_eighty_characters_with_a_mark() -> None:
    assert summary_of([Cause("t", "x" * 80, None)], "en") == "x" * 80
    assert summary_of([Cause("t", "x" * 81, None)], "en") == "x" * 79 + "…"


def test_several_triggers_are_joined_each_text_once_and_cut() -> None:
    causes = [Cause("a", "", "One"), Cause("b", "Two", None), Cause("c", "", "One")]
    assert summary_of(causes, "en") == "One · Two"
    many = summary_of([Cause(str(number), f"reason {number}", None) for number in range(100)], "en")
    assert len(many) <= SUMMARY_LENGTH
    assert many.startswith("reason 0 · reason 1")
    assert many.endswith("…")


def test_the_message_is_the_marked_summary_and_the_reply_as_it_is() -> None:
    assert content_of("Your queue", "Well-focused work, on time") == "⚡ Your queue\n\nWell-focused work, on time"
