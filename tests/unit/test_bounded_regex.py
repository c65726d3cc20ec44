"""Regular expressions that would exhaust the process merely by compiling them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.bounded_regex import compile_bounded
from tests.support.processor import spends_less_than

PIECES = [
    "a",
    "b",
    ".",
    "|",
    "(",
    "(?:",
    "(?P<n>",
    "(?=",
    "(?<!",
    ")",
    "*",
    "+",
    "?",
    "{2}",
    "{,3}",
    "{4,}",
    "[^a]",
]
PIECES += ["\\", "\\1", "\\w", "\\p{L}", "[", "]", "{", "}", "^", "$", "(?i)", "(?#", "é", "++", "*?", "(?1)"]


@pytest.mark.parametrize("depth", [12, 20, 49])
@pytest.mark.parametrize("repeat", ["+", "++", "{1,}", "{2,3}", "{3}", "+?"])
@pytest.mark.parametrize("group", ["(", "(?:", "(?P<n{0}>", "(?>", "(?i:"])
def test_nested_repetitions_are_refused_before_they_are_written_out(group: str, repeat: str, depth: int) -> None:
    pattern = "".join(group.replace("{0}", str(n)) for n in range(depth)) + "ab" + f"){repeat}" * depth
    with spends_less_than(0.5), pytest.raises(ValueError, match="is too large"):
        compile_bounded(pattern)


@pytest.mark.parametrize("pattern", ["a{2001}", "(?:abc){1000}", "(a{50}){50}", "(" * 51 + ")" * 51])
def test_a_large_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is too large"):
        compile_bounded(pattern)


@pytest.mark.parametrize(
    "pattern", ["a{1000}", "(?:a{0,99999})*", "((a+)+)+", "[+]{9}", r"\(+" * 99, "[](+]+" * 99]
)
def test_a_reasonable_pattern_is_compiled(pattern: str) -> None:
    assert compile_bounded(pattern).fullmatch("b", timeout=1) is None


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.integers(0, 40))
def test_any_text_compiles_fast_or_is_refused(pattern: str, wraps: int) -> None:
    with spends_less_than(1), suppress(ValueError):
        compile_bounded("(" * wraps + pattern + ")+" * wraps)
