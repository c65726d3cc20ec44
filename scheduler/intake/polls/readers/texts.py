"""html: the text of what CSS or XPath selects in a page. text: all of it, or what a regular expression finds."""

from __future__ import annotations

from typing import Any, ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.intake.polls.readers.base import Reader, found_texts
from scheduler.intake.polls.results import FoundValue, LookFailed
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError
from scheduler.triggers.poll import PollConfig


class _TextsReader(Reader):
    """Reads texts of a document, without what `ignore` matches."""

    document: ClassVar[str]
    """The reader in `scheduler.documents`."""

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> FoundValue | LookFailed:
        """Returns the selected texts."""
        assert isinstance(answer, Answer)  # noqa: S101  # it takes no other
        texts = reader_processes.read(
            self.document,
            answer.body,
            content_type=answer.headers.get("content-type"),
            ignore=config.ignore,
            **self.selection(config),
        )
        return found_texts(texts, answer, self.nothing(config))

    def selection(self, config: PollConfig) -> dict[str, Any]:
        """Returns what is selected, as arguments of the document's reader."""
        raise NotImplementedError

    def nothing(self, config: PollConfig) -> str:
        """Returns the note of a check that finds nothing."""
        raise NotImplementedError


class HtmlReader(_TextsReader):
    """Reads the texts of the selected nodes of a page, or of its body without a selector."""

    accept: ClassVar = "text/html, application/xhtml+xml, */*;q=0.5"
    document: ClassVar = "page"

    def selection(self, config: PollConfig) -> dict[str, Any]:
        """Returns the selector."""
        return {"css": config.css, "xpath": config.xpath}

    def nothing(self, config: PollConfig) -> str:
        """Names the selector."""
        return f"Nothing on the page matches {config.css or config.xpath or 'its body'}."


class TextReader(_TextsReader):
    """Reads a text, or the first match in it."""

    accept: ClassVar = "text/plain, */*;q=0.5"
    document: ClassVar = "plain_text"

    def selection(self, config: PollConfig) -> dict[str, Any]:
        """Returns the expression."""
        return {"regex": config.regex}

    def nothing(self, config: PollConfig) -> str:
        """Names the setting."""
        return "The expression of regex finds nothing in the answer."
