"""html: the text of what CSS or XPath selects in a page."""

from __future__ import annotations

from typing import ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.intake.polls.readers.base import Reader, found_texts
from scheduler.intake.polls.results import FoundValue, LookFailed
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError
from scheduler.triggers.poll import PollConfig


class HtmlReader(Reader):
    """Reads pages."""

    accept: ClassVar = "text/html, application/xhtml+xml, */*;q=0.5"

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> FoundValue | LookFailed:
        """Returns the texts of the selected nodes, or of the body without a selector."""
        assert isinstance(answer, Answer)  # noqa: S101  # it takes no other
        texts = reader_processes.read(
            "page",
            answer.body,
            content_type=answer.headers.get("content-type"),
            css=config.css,
            xpath=config.xpath,
            ignore=config.ignore,
        )
        return found_texts(
            texts, answer, f"Nothing on the page matches {config.css or config.xpath or 'its body'}."
        )
