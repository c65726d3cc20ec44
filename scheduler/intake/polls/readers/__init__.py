"""The readers of poll responses, by the config's `read`. A new one is a class and a line here.

Not here: the parsers of documents (scheduler/documents), and the request (scheduler/intake/polls/look.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.intake.polls.readers.base import Reader
from scheduler.intake.polls.readers.feed import FeedReader
from scheduler.intake.polls.readers.json_value import JsonReader
from scheduler.intake.polls.readers.status import StatusReader
from scheduler.intake.polls.readers.texts import HtmlReader, TextReader

READERS: Mapping[str, Reader] = {
    "json": JsonReader(),
    "text": TextReader(),
    "html": HtmlReader(),
    "feed": FeedReader(),
    "status": StatusReader(),
}
