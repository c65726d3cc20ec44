"""Watches what is logged while tests run, in this process and in services that helpers start, for secrets.

A secret is every token that was generated and every text that was encrypted here, and what helpers add.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from loguru import logger

from config.logging import redact
from scheduler.storage.secrets import SecretBox

SHORTEST = 12
"""A shorter text may stand in a log by chance."""
WORD = re.compile(r"[^\s\"'<>{}(),;]{12,}")
PLAIN = re.compile(r"[a-z ._:/-]*")
"""Test secrets that are words, such as an address: they may be part of what is told."""


class LogWatch:
    """What was logged, and which secrets there were."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self._words: set[str] = set()
        self._directory: Path | None = None

    def start(self) -> None:
        """Begin to watch. Handlers may come and go: lines are taken before any of them."""
        logger.configure(
            patcher=lambda record: self.add_line(record["message"], record["extra"], record["exception"])
        )
        generate, encrypt = secrets.token_urlsafe, SecretBox.encrypt

        def generated(size: int | None = None) -> str:
            token = generate(size)
            self.secrets.add(token)
            return token

        def encrypted(box: SecretBox, text: str) -> bytes:
            self.secrets.update(texts_in(text))
            return encrypt(box, text)

        secrets.token_urlsafe = generated  # type: ignore[assignment]
        SecretBox.encrypt = encrypted  # type: ignore[assignment, method-assign]

    def new_log(self) -> Path:
        """A file for what a started process logs."""
        self._directory = self._directory or Path(tempfile.mkdtemp(prefix="reveille-logs-"))
        return self._directory / secrets.token_hex(8)

    def add_line(self, *parts: object) -> None:
        """Take a line as it would be written."""
        self._words.update(WORD.findall(redact(" ".join(str(part) for part in parts if part))))

    def leaks(self) -> list[str]:
        """The words of logs that hold a secret. Removes the files."""
        if self._directory is not None:
            for log in self._directory.iterdir():
                self.add_line(log.read_text(encoding="utf-8", errors="replace"))
            shutil.rmtree(self._directory)
            self._directory = None
        return sorted(found_in(self._words, self.secrets))


WATCH = LogWatch()


def texts_in(secret: str) -> Iterator[str]:
    """A secret, or the secrets in it: several are stored as JSON."""
    try:
        held = json.loads(secret)
    except ValueError:
        held = secret
    if isinstance(held, dict | list):
        for each in held.values() if isinstance(held, dict) else held:
            yield from texts_in(each if isinstance(each, str) else json.dumps(each))
    elif isinstance(held, str):
        yield held


def found_in(words: Iterable[str], known: Iterable[str]) -> set[str]:
    """The words that hold one of the secrets; each is looked up by its beginning."""
    by_start: dict[str, list[str]] = {}
    for secret in known:
        if len(secret) >= SHORTEST and not PLAIN.fullmatch(secret):
            by_start.setdefault(secret[:SHORTEST], []).append(secret)
    return {
        word
        for word in words
        for at in range(len(word) - SHORTEST + 1)
        for secret in by_start.get(word[at : at + SHORTEST], ())
        if word.startswith(secret, at)
    }
