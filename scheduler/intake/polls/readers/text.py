"""text: the whole response, or what a regular expression finds in it."""

from __future__ import annotations

from typing import ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.intake.polls.readers.base import Reader, found_texts
from scheduler.intake.polls.results import FoundValue, LookFailed
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError
from scheduler.triggers.poll import PollConfig


class TextReader(Reader):
    """Reads text responses."""

    accept: ClassVar = "text/plain, */*;q=0.5"

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> FoundValue | LookFailed:
        """Returns the text, or the first match."""
        assert isinstance(answer, Answer)  # noqa: S101  # it takes no other
        texts = reader_processes.read(
            "plain_text",
            answer.body,
            content_type=answer.headers.get("content-type"),
            regex=config.regex,
            ignore=config.ignore,
        )
        return found_texts(texts, answer, "The expression of regex finds nothing in the answer.")
