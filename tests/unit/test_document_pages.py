"""Pages and texts as found on the web, the separate process that reads them, and diffs of two texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.documents import page, plain_text, reader_process
from scheduler.documents.reader_process import ReaderProcesses
from scheduler.documents.text import Unreadable
from scheduler.domain.text import MARK, unified_diff


@pytest.mark.parametrize(
    ("document", "how", "texts"),
    [
        ("<p>Hello <b>you</b></p><p>two</p>", {}, ["Hello you\ntwo"]),
        ("<p id=price>  12 \n €</p>", {"css": "#price"}, ["12\n€"]),
        ("<li>a<li>b<li>c", {"css": "li"}, ["a", "b", "c"]),
        ("<a href=/x>1</a><a href=/y>2</a>", {"xpath": "//a/@href"}, ["/x", "/y"]),
        ("<p>1<p>2", {"xpath": "count(//p)"}, ["2"]),
        ("<p>1<p>2", {"xpath": "//p[2]/text()"}, ["2"]),
        ("<div>a<script nonce=r4nd>x()</script><style>b{}</style><!-- t -->b</div>", {"css": "div"}, ["ab"]),
        ("<div>a<noscript>Turn on</noscript><iframe src=ad>ad</iframe></div>", {"css": "div"}, ["a"]),
        ("<p>Views: 1,204. Fine.</p>", {"ignore": [r"Views: [\d,]+\."]}, ["Fine."]),
        ("<table><tr><td>a<td>b<tr><td>c</table>", {"css": "table"}, ["a b\nc"]),
        ("<p>a&nbsp;b &lt;c&gt; &eacute;</p>", {}, ["a b <c> é"]),
        ("<p>never closed <div><b>mixed</p></b>", {"css": "b"}, ["mixed"]),
        (
            "<?xml version='1.0' encoding='utf-8'?><html xmlns='http://www.w3.org/1999/xhtml'><p>x</p></html>",
            {},
            ["x"],
        ),
        ("<p>x", {"css": ".gone"}, []),
    ],
)
def test_a_page_is_its_text(document: str, how: dict[str, Any], texts: list[str]) -> None:
    assert page.read(document.encode(), **how) == texts


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        ("", "text/html; charset=windows-1251"),
        ("<meta charset=windows-1251>", "text/html"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">', None),
    ],
)
def test_a_page_has_the_charset_of_its_header_or_its_meta(head: str, content_type: str | None) -> None:
    assert page.read(f"{head}<p>Привет".encode("cp1251"), content_type=content_type, css="p") == ["Привет"]


@pytest.mark.parametrize(
    ("selector", "how"),
    [
        ("p[", "css"),
        ("::before", "css"),
        ("p:hover(", "css"),
        ("//p[", "xpath"),
        ("a" * 1001, "css"),
        ("p" + ":not(p" * 160, "css"),
    ],
)
def test_a_selector_that_cannot_be_used_says_so(selector: str, how: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be used|longer than|nested"):
        page.compile_selector(**{"css": None, "xpath": None, how: selector})


@pytest.mark.parametrize(
    ("text", "how", "texts"),
    [
        ("a\r\n b  c \n\n", {}, ["a\nb c"]),
        ("Version 1.2.3 of today", {"regex": r"Version (\S+)"}, ["1.2.3"]),
        ("Version 1.2.3", {"regex": r"\d+\.\d+"}, ["1.2"]),
        ("none", {"regex": r"\d+"}, []),
        ("at 12:00 fine", {"ignore": [r"at \d+:\d+"]}, ["fine"]),
    ],
)
def test_a_text_is_the_whole_or_what_is_looked_for(text: str, how: dict[str, Any], texts: list[str]) -> None:
    assert plain_text.read(text.encode(), **how) == texts


def test_an_expression_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(Unreadable, match="takes too long"):
        plain_text.read(b"a" * 40 + b"!", regex="(a|a)+$")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReaderProcesses]:
    """A separate process with little time."""
    monkeypatch.setattr(reader_process, "PROCESSOR_SECONDS", 0.5)
    reader = ReaderProcesses()
    yield reader
    reader.close()


@pytest.mark.parametrize(
    ("document", "how", "why"),
    [
        (b"<div>" * 100_000, {}, "nested too deeply"),
        (b"<p>x</p>" * 20_000, {"xpath": "//*[count(//*[count(//*)>1])>1]"}, "processor time"),
        (b"<p>x", {"xpath": "$undefined"}, "cannot be used"),
        (b"<p>x", {"xpath": "document('file:///etc/passwd')"}, "cannot be used"),
        (b"<p>x</p>" * 10_001, {"css": "p"}, "more precise"),
        (b"\x00\x01\x02", {}, "not text"),
        (b"<!-- -->", {}, "empty"),
    ],
)
def test_a_page_that_cannot_be_read_says_why_and_stops_nobody(
    reading: ReaderProcesses, document: bytes, how: dict[str, str], why: str
) -> None:
    with pytest.raises(Unreadable, match=why):
        reading.read("page", document, **how)
    assert reading.read("page", b"<p>fine", css="p") == ["fine"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text("<>/!-=p \"'&;", max_size=100).map(str.encode))
def test_whatever_comes_is_a_page_or_unreadable(document: bytes) -> None:
    with suppress(Unreadable):
        assert all(isinstance(text, str) for text in page.read(document))


def test_a_difference_shows_what_went_and_came_where_it_is() -> None:
    old, new = [f"line {n}" for n in range(50)], [f"line {n}" for n in range(50)]
    new[25:26] = ["-- new", "newer"]
    assert unified_diff(old, new).split("\n") == [
        "@@ -24,5 +24,6 @@",
        " line 23",
        " line 24",
        "-line 25",
        "+-- new",
        "+newer",
        " line 26",
        " line 27",
    ]
    assert unified_diff([], ["a"]) == "@@ -0,0 +1 @@\n+a"


def test_a_long_difference_is_cut_with_a_mark() -> None:
    told = unified_diff([f"old {n}" for n in range(5_000)], [f"new {n}" for n in range(5_000)])
    assert told.endswith(MARK)
    assert len(told) < 9_000
