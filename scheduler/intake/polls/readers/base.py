"""The interface of poll readers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.domain.json_values import read_json
from scheduler.intake.polls.results import CheckDecision, FoundValue, LookFailed
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError
from scheduler.triggers.poll import NOTHING, PollConfig, SeenValue

MAX_VALUE_CHARS = 1024 * 1024
MAX_PAGE_BYTES = 8 * 1024 * 1024


class Reader:
    """A way to read responses. `read` is called in a thread; a ReveilleError that it raises fails the check."""

    accept: ClassVar[str] = "*/*"
    """The default Accept header."""
    max_bytes: ClassVar[int] = MAX_PAGE_BYTES
    takes_all: ClassVar[bool] = False
    """Whether it reads any response, including errors and none at all; otherwise only 2xx."""
    in_own_process: ClassVar[bool] = True
    """Whether it reads in a separate process."""
    keeps_cursor: ClassVar[bool] = False
    """Whether it returns CheckDecision and a private cursor, or else FoundValue, whose value is the stored state."""

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> FoundValue | CheckDecision | LookFailed:
        """Reads a response; `baseline`: the state from the last check, None at the first."""
        raise NotImplementedError

    def remembered(self, baseline: str) -> SeenValue:
        """Formats the stored state for display."""
        return SeenValue(read_json(baseline)[0]) if baseline else NOTHING


def found_texts(texts: list[str], answer: Answer, note: str) -> FoundValue | LookFailed:
    """Wraps one text, a list of several, or nothing, explained in `note`."""
    seen = SeenValue(texts[0] if len(texts) == 1 else texts) if texts else NOTHING
    text = json.dumps(seen.value, ensure_ascii=False) if texts else ""
    if len(text) > MAX_VALUE_CHARS:
        return LookFailed("More than 1 MiB of text is selected of the answer; select less of it.")
    return FoundValue(seen, text, etag_of(answer), last_modified_of(answer), None if texts else note)


MAX_VALIDATOR_CHARS = 1000
STRONG_AFTER = timedelta(seconds=1)
"""A `Last-Modified` no older than this may belong to two contents of one second (RFC 9110 section 8.8.2.2)."""


def etag_of(answer: Answer) -> str | None:
    """Returns the response's `ETag`."""
    return _validator(answer, "etag")


def last_modified_of(answer: Answer) -> str | None:
    """Returns the `Last-Modified` if it tells two contents apart: it was more than a second old when sent."""
    text = _validator(answer, "last-modified")
    try:
        modified, sent = (_moment(each) for each in (text or "", answer.headers.get("date", "")))
        return text if sent - modified > STRONG_AFTER else None
    except (ValueError, OverflowError):
        return None


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _validator(answer: Answer, name: str) -> str | None:
    """Returns a validator if it can be sent back unchanged."""
    value = answer.headers.get(name, "").strip()
    fits = 0 < len(value) <= MAX_VALIDATOR_CHARS and value.isascii() and value.isprintable()
    return value if fits else None
