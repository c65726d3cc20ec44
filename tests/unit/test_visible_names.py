"""Real names, and deceptive ones."""

from __future__ import annotations

import pytest

from scheduler.domain.text import is_visible


@pytest.mark.parametrize(
    "name",
    [
        "خانه\u200cهای من",
        "👨\u200d👩\u200d👧\u200d👦",
        "❤\ufe0f\u200d🔥",
        "🏳\ufe0f\u200d🌈 team",
        "क्\u200dष",
        "രാജന്\u200d",
        "രാജന്\u200d നായര്\u200d",
        "Zoë",
        "部署",
    ],
)
def test_joiners_that_a_script_or_an_emoji_needs_are_part_of_a_name(name: str) -> None:
    assert is_visible(name)


@pytest.mark.parametrize(
    "name",
    [
        "a\u202eda",
        "a\u2066da",
        "\u200fada",
        "a\u200bda",
        "a\ufeffda",
        "a\u00adda",
        "a\u2060da",
        "a\x00da",
        "a\nda",
        "a\x9bda",
        "a\U000e0061da",
        "\u200dada",
        "ada\u200d",
        "ada \u200d",
        "ada\u200d lovelace",
        "a\u200d\u200cda",
        "\u200d",
        "\ud800",
    ],
)
def test_what_is_not_seen_is_no_part_of_a_name(name: str) -> None:
    assert not is_visible(name)
