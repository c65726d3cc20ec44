"""The watch over the suite's logs finds what it is for."""

from __future__ import annotations

import json

from loguru import logger

from scheduler.storage.secrets import SecretBox
from tests.support.log_watch import LogWatch, found_in, texts_in


def test_a_secret_within_a_word_is_found_and_words_alone_are_none() -> None:
    assert found_in({"key=rvl_4Hs8kPq2ZxT9wB!", "nothing-of-it"}, {"4Hs8kPq2ZxT9wB", "short"}) == {
        "key=rvl_4Hs8kPq2ZxT9wB!"
    }
    assert found_in({"https://a.example/x"}, {"https://a.example/x"}) == set()
    assert set(texts_in(json.dumps({"a": {"b": "one"}, "c": ["two"], "d": None}))) >= {"one", "two"}


def test_lines_and_secrets_of_this_process_are_watched() -> None:
    watch = LogWatch()
    watch.secrets.add("Zx81-Spectrum+2A")
    watch.add_line("the agent said Zx81-Spectrum+2A", {}, None)
    watch.add_line("Bearer 0123456789abcdefXYZ", {}, None)
    watch.new_log().write_text("a line of a process: Zx81-Spectrum+2A\n", encoding="utf-8")
    assert watch.leaks() == ["Zx81-Spectrum+2A"]


def test_what_is_encrypted_counts_as_a_secret() -> None:
    from tests.support.log_watch import WATCH

    SecretBox("k" * 32).encrypt(json.dumps({"url": "https://t.example/T0/B0/x9Y8z7"}))
    assert "https://t.example/T0/B0/x9Y8z7" in WATCH.secrets
    logger.info("said for the watch")
