"""Feeds as found on the web: every format and many faults, each a small document."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.documents.feed import read
from scheduler.documents.text import Unreadable

RSS = "<rss version='2.0'><channel><title>News</title><link>https://e.org/</link>{}</channel></rss>"
ITEM = "<item><title>{0}</title><link>/{0}</link><guid isPermaLink='false'>{0}</guid></item>"
RSS_091 = """<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://e.org/x.dtd"><rss version="0.91"><channel>
<title>Old</title><item><title>t</title></item></channel></rss>"""
ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title type="html">A &amp;amp; B</title>
<entry><id>urn:1</id><title>One</title><link href="https://e.org/1"/><updated>2030-01-02T03:04:05Z</updated>
<summary type="html">&lt;p&gt;Hello &lt;b&gt;you&lt;/b&gt;&lt;script&gt;x()&lt;/script&gt;</summary></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel rdf:about="https://e.org/"><title>Old</title></channel>
<item rdf:about="https://e.org/1"><title>One</title><link>https://e.org/1</link></item></rdf:RDF>"""
JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "J",
        "home_page_url": "https://e.org/",
        "items": [{"id": 7, "url": "/7", "content_html": "<p>Seven</p>", "authors": [{"name": "Ada"}]}, "no"],
    }
)


@pytest.mark.parametrize(
    ("document", "title", "entry"),
    [
        (RSS.format(ITEM.format("a")), "News", {"id": "a", "title": "a", "link": "https://e.org/a"}),
        (ATOM, "A & B", {"id": "urn:1", "title": "One", "text": "Hello you"}),
        (RDF, "Old", {"title": "One", "link": "https://e.org/1"}),
        (JSON_FEED, "J", {"id": "7", "link": "https://e.org/7", "text": "Seven", "author": "Ada"}),
        ("\ufeff  " + RSS.format(ITEM.format("b")), "News", {"id": "b"}),
        (RSS.format("<item><title><![CDATA[1 < 2 & 3]]></title></item>"), "News", {"title": "1 < 2 & 3"}),
        (
            RSS.format("<item><guid>d</guid><pubDate>soon, or so</pubDate></item>"),
            "News",
            {"published": "soon, or so"},
        ),
        (RSS.format("<item><title>no link, no id</title></item>"), "News", {"title": "no link, no id"}),
        (RSS.format("<item><title>a & b</title></item>"), "News", {"title": "a & b"}),
        (RSS.format(ITEM.format("cut off"))[:-30], "News", {"title": "cut off"}),
        (
            RSS_091,
            "Old",
            {"title": "t"},
        ),
        (
            RSS.format(f"<item><guid>l</guid><description>{'long ' * 9000}</description></item>"),
            "News",
            {"id": "l"},
        ),
    ],
)
def test_a_feed_is_read_whatever_its_kind_or_its_faults(document: str, title: str, entry: dict[str, str]) -> None:
    told = read(document.encode(), url="https://e.org/feed")
    assert told["title"] == title
    (shown,) = told["entries"]
    assert entry.items() <= shown.items()
    assert all(len(text) <= 2_000 for text in shown.values())


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ("<?xml version='1.0' encoding='windows-1251'?>" + RSS.format(ITEM.format("я")), "text/xml"),
        (RSS.format(ITEM.format("я")), "text/xml; charset=windows-1251"),
    ],
)
def test_a_charset_is_that_of_the_header_or_of_the_declaration(document: str, content_type: str) -> None:
    told = read(document.encode("cp1251"), content_type=content_type)
    assert told["entries"][0]["title"] == "я"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("<html><form action='/login'><input type='password'></form></html>", "asks to sign in"),
        ("<!doctype html><title>Welcome</title>", "web page"),
        ('{"items": []}', "not a JSON Feed"),
        ('{"version": ', "not JSON"),
        ("just words", "not a feed"),
        (
            '<!DOCTYPE z [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
            + RSS.format("<item><title>&b;</title></item>"),
            "declarations",
        ),
        ('<!-- <x> --><!DOCTYPE z [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + RSS.format(""), "declarations"),
        ('<!DOCTYPE z SYSTEM ">" [<!ENTITY a "b">]>' + RSS.format(""), "declarations"),
        ("<rss version='2.0'><channel>" + "<a>" * 100_000, "nested too deeply"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "not a feed"),
        ("PK\x03\x04\x00\x00\x08", "not text"),
    ],
)
def test_what_is_no_feed_is_refused_with_the_reason(document: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(document.encode())


def test_only_what_was_not_there_before_is_new_and_the_rest_is_counted() -> None:
    first = read(RSS.format("".join(map(ITEM.format, "abc"))).encode())
    again = read(RSS.format("".join(map(ITEM.format, "cab"))).encode(), seen=first["keys"])
    assert (again["entries"], again["more"]) == ([], 0)
    more = read(RSS.format("".join(map(ITEM.format, "xyzabc"))).encode(), seen=first["keys"], most=2)
    assert ([each["id"] for each in more["entries"]], more["more"]) == (["x", "y"], 1)
    gone = read(RSS.format(ITEM.format("x")).encode(), seen=more["keys"])
    back = read(RSS.format("".join(map(ITEM.format, "abc"))).encode(), seen=gone["keys"])
    assert back["entries"] == []


def test_an_entry_twice_in_a_feed_is_one() -> None:
    assert read(RSS.format(ITEM.format("a") * 2).encode())["count"] == 1


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                "<rss version='2.0'>",
                "<channel>",
                "<item>",
                "<guid>",
                "&a;",
                "]]>",
                "<![CDATA[",
                "x",
                "</item>",
                "{",
                "<!DOCTYPE",
            ]
        ),
        max_size=30,
    ).map(lambda parts: "".join(parts).encode())
)
def test_whatever_comes_is_a_feed_or_unreadable(document: bytes) -> None:
    with suppress(Unreadable):
        assert read(document)["count"] >= 0


def test_entries_with_an_empty_link_or_none_are_told_apart_by_all_of_them() -> None:
    items = "".join(f"<item><title>{n}</title>{link}</item>" for n in range(3) for link in ("<link/>", ""))
    told = read(RSS.format(items).encode())
    assert [each["title"] for each in told["entries"]] == ["0", "1", "2"]
    assert told["count"] == 3


def test_many_document_types_are_refused_at_once() -> None:
    with pytest.raises(Unreadable, match="not a feed"):
        read(b"<!DOCTYPE " * 20_000)
