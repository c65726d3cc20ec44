"""The fields of a poll for each way of reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.documents.reader_child import READERS as KINDS_OF_DOCUMENTS
from scheduler.documents.reader_child import reader_of
from scheduler.documents.reader_process import ReaderProcesses
from scheduler.domain.errors import InvalidField
from scheduler.intake.polls.readers import READERS
from scheduler.intake.polls.results import FoundValue
from scheduler.net.client import Answer
from tests.unit.test_poll_config import poll


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"read": "xml"}, "config.read"),
        ({"css": "p"}, "config.css"),
        ({"read": "html", "css": "p["}, "config.css"),
        ({"read": "html", "css": "p", "xpath": "//p"}, "config.xpath"),
        ({"read": "html", "json_path": "$.a"}, "config.json_path"),
        ({"read": "text", "regex": "("}, "config.regex"),
        ({"read": "html", "ignore": ["("]}, "config.ignore"),
        ({"read": "feed", "fire_on": "match", "match_value": "x"}, "config.fire_on"),
        ({"read": "status", "fire_on": "match", "match_value": "503"}, "config.match_value"),
        ({"read": "feed", "max_entries": 0}, "config.max_entries"),
    ],
)
def test_a_field_of_another_read_is_refused(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        poll(**wrong)
    assert refused.value.field == field


@pytest.fixture(scope="module")
def reader_processes() -> Iterator[ReaderProcesses]:
    processes = ReaderProcesses()
    yield processes
    processes.close()


@pytest.mark.parametrize(
    ("config", "body", "text"),
    [
        ({"read": "json", "json_path": "$.price"}, b'{"price": 10}', "10"),
        ({"read": "text"}, b"10 EUR", '"10 EUR"'),
        ({"read": "text", "regex": "([0-9]+) EUR"}, b"now 10 EUR", '"10"'),
        ({"read": "html", "css": "p"}, b"<p>10 EUR</p>", '"10 EUR"'),
    ],
)
def test_each_way_of_reading_reads_in_its_process(
    config: dict[str, Any], body: bytes, text: str, reader_processes: ReaderProcesses
) -> None:
    answer = Answer(200, {}, body, truncated=False, url="http://127.0.0.1/")
    found = READERS[config["read"]].read(poll(**config), answer, None, reader_processes)
    assert isinstance(found, FoundValue)
    assert found.text == text


def test_each_kind_of_document_has_its_reader() -> None:
    assert all(callable(reader_of(each).read) for each in KINDS_OF_DOCUMENTS)
