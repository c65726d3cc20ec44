"""json: the value at a JSON path."""

from __future__ import annotations

import json
from typing import ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.domain.charsets import charset_of
from scheduler.domain.json_values import deeper_than, read_json, write_json
from scheduler.intake.polls.readers.base import MAX_VALUE_CHARS, Reader, etag_of, last_modified_of
from scheduler.intake.polls.results import FoundValue, LookFailed
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError
from scheduler.triggers.poll import PollConfig, SeenValue

MAX_ANSWER_BYTES = 1024 * 1024
MAX_DEPTH = 100
TOO_DEEP = f"The response is nested too deeply; the value may be {MAX_DEPTH} levels deep."


class JsonReader(Reader):
    """Reads JSON."""

    accept: ClassVar = "application/json, */*;q=0.5"
    max_bytes: ClassVar = MAX_ANSWER_BYTES
    in_own_process: ClassVar = False

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> FoundValue | LookFailed:
        """Evaluates the config's path on the body, decoded by its charset. A path may take a second."""
        assert isinstance(answer, Answer)  # noqa: S101  # it takes no other
        try:
            document, doubled = read_json(_text(answer))
            seen = config.select(document)
            text = write_json(seen.value) if seen.is_there else ""
        except RecursionError:
            return LookFailed(TOO_DEEP)
        except ValueError as error:  # codec errors too
            return LookFailed(f"The response is not JSON: {error}.")
        if deeper_than(MAX_DEPTH, seen.value):
            return LookFailed(TOO_DEEP)
        if len(text) > MAX_VALUE_CHARS:
            return LookFailed("The JSON path selects more than 1 MiB of the answer; make it more precise.")
        return FoundValue(seen, text, etag_of(answer), last_modified_of(answer), _note(config, seen, doubled))


def _text(answer: Answer) -> str:
    """Decodes the body by byte order mark or declared charset, else as UTF-8 (RFC 8259)."""
    seen = json.detect_encoding(answer.body)
    declared = charset_of(answer.headers.get("content-type")) if seen == "utf-8" else None
    if declared is not None:
        try:
            return answer.body.decode(declared)
        except UnicodeError:  # many servers declare a charset and send UTF-8
            pass
    return answer.body.decode(seen, "surrogatepass")


def _note(config: PollConfig, seen: SeenValue, doubled: str | None) -> str | None:
    if not seen.is_there:
        return f"The response has nothing at {config.json_path}."
    return (
        None
        if doubled is None
        else f"The response has the key {doubled!r} twice in one object; the last one counts."
    )
