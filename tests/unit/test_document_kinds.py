"""Documents as found in public places, each small: feeds, pages, calendars, and queue entries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.documents import calendar, feed, page, plain_text
from scheduler.triggers.queue import _occurrence
from scheduler.triggers.queues.base import Entry
from tests.support.processor import spends_less_than

MEDIA = 'xmlns:media="http://search.yahoo.com/mrss/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
MEDIA += 'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'


def rss(item: str, head: str = "<title>T</title>", encoding: str = "utf-8") -> bytes:
    start = f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0" {MEDIA}><channel>{head}'
    return f"{start}<item>{item}</item></channel></rss>".encode(encoding)


def atom(entry: str) -> bytes:
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><entry>{entry}</entry></feed>'.encode()


FEEDS: list[tuple[bytes, dict[str, str]]] = [
    (  # a blog engine: CDATA, content:encoded, dc:creator
        rss(
            "<title><![CDATA[Tea & cake]]></title><dc:creator><![CDATA[Ada]]></dc:creator><guid>https://e.org/?p=1</guid>"
            "<content:encoded><![CDATA[<p>All of it.</p><img src='x' onerror='y()'>]]></content:encoded>"
        ),
        {"title": "Tea & cake", "author": "Ada", "id": "https://e.org/?p=1", "text": "All of it."},
    ),
    (  # a podcast
        rss(
            "<title>Episode 7</title><itunes:summary>We talk.</itunes:summary><enclosure url='https://e.org/7.mp3'/>"
        ),
        {"title": "Episode 7", "text": "We talk."},
    ),
    (  # a video site
        atom("<id>yt:video:a1</id><link rel='alternate' href='https://e.org/watch?v=a1&amp;t=2'/>"),
        {"id": "yt:video:a1", "link": "https://e.org/watch?v=a1&t=2"},
    ),
    (  # releases of a Git server
        atom("<id>tag:e.org:1/v1.2</id><content type='html'>&lt;h2&gt;Fixes&lt;/h2&gt;&lt;li&gt;One</content>"),
        {"id": "tag:e.org:1/v1.2", "text": "Fixes\nOne"},
    ),
    (rss("<title>Привет</title><guid>1</guid>", encoding="windows-1251"), {"title": "Привет"}),
    (rss("<title>東京</title><guid>1</guid>", encoding="shift_jis"), {"title": "東京"}),
    (rss("<title>Grüße</title><guid>1</guid>", encoding="utf-16"), {"title": "Grüße"}),
    (rss("<title>d</title><pubDate>32 Foo 2026 99:00</pubDate>"), {"published": "32 Foo 2026 99:00"}),
    (rss("<title>d</title><pubDate>2026-13-45</pubDate><guid></guid><link/>"), {"title": "d"}),
    (rss("<title>R&D; caf&eacute; &nbsp;x</title>"), {"title": "R&D; café x"}),
    (rss("<title>a\x0bb\x1b</title>"), {"title": "a"}),
    (rss("<title>&lt;b&gt;bold&lt;/b&gt; <i>it</i></title>"), {"title": "bold"}),
    (b"\n\n  " + rss("<title>late start</title>"), {"title": "late start"}),
    (rss("<title>t</title><link>http://[bad</link>"), {"link": "http://[bad"}),
]


@pytest.mark.parametrize(("document", "told"), FEEDS, ids=range(len(FEEDS)))
def test_a_feed_of_the_wild_is_read(document: bytes, told: dict[str, str]) -> None:
    (entry,) = feed.read(document, url="https://e.org/feed")["entries"]
    assert {name: entry[name][: len(text)] for name, text in told.items()} == told


def test_a_feed_of_5_mb_is_read() -> None:
    items = "".join(
        f"<item><guid>{n}</guid><title>{n}</title><description>{'x' * 480}</description></item>"
        for n in range(9_500)
    )
    document = f"<rss version='2.0'><channel><title>L</title>{items}</channel></rss>".encode()
    assert len(document) > 5_000_000
    told = feed.read(document, most=3)
    assert (len(told["entries"]), told["more"], told["count"]) == (3, 9_497, 9_500)


NONCES = """<!doctype html><html><head><meta charset=utf-8><script nonce="{n}">var t="{n}"</script>
<style>.ad{{}}</style></head><body data-build="{n}"><!-- built {n} --><header>Menu</header>
<main><h1>Price list</h1><p>Tea&nbsp; 4.50 €</p><noscript>{n}</noscript><template>{n}</template></main>
<aside class="ad"><iframe src="//ads/{n}">{n}</iframe><script>{n}</script></aside>
<input type="hidden" name="csrf" value="{n}"><svg><text>{n}</text></svg><footer>Visit no. {n}</footer></body></html>"""
PAGES: list[tuple[bytes, dict[str, Any], list[str]]] = [
    (NONCES.format(n="a1b2").encode(), {"css": "main"}, ["Price list\nTea 4.50 €"]),
    (NONCES.format(n="77").encode(), {"xpath": "//main/p"}, ["Tea 4.50 €"]),
    (NONCES.format(n="77").encode(), {"css": "footer", "ignore": [r"\d+"]}, ["Visit no."]),
    ("<p>Привет".encode("cp1251"), {"css": "p", "content_type": "text/html; charset=windows-1251"}, ["Привет"]),
    (
        b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'><p>" + "Да".encode("koi8-r"),
        {"css": "p"},
        ["Да"],
    ),
    (b"<table><tr><td>a<td>b<tr><td>c</table>", {"css": "td"}, ["a", "b", "c"]),
    (b"<ul><li>1<li>2<ul><li>3</ul></ul>", {"css": "li"}, ["1", "2\n3", "3"]),
    (b"<p>x<p>y<script>document.write('<p>z</p>')</script>", {"css": "p"}, ["x", "y"]),
    (b"<div id=a>&lt;b&gt; &amp;amp; &#8364; &notanentity;</div>", {"css": "#a"}, ["<b> &amp; € ¬anentity;"]),
    (
        b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><body><p>xhtml</p></body></html>",
        {"css": "p"},
        ["xhtml"],
    ),
    (b"<p>a<br>b<wbr>c</p>", {"css": "p"}, ["a\nbc"]),
    (b"<p>never closed <b>bold <i>both", {"css": "p"}, ["never closed bold both"]),
]


@pytest.mark.parametrize(("document", "how", "texts"), PAGES, ids=range(len(PAGES)))
def test_a_page_of_the_wild_is_read(document: bytes, how: dict[str, Any], texts: list[str]) -> None:
    assert page.read(document, **how) == texts


def test_a_page_with_other_nonces_and_ads_is_the_same() -> None:
    one, other = (page.read(NONCES.format(n=n).encode(), css="body", ignore=[r"no\. \w+"]) for n in ("a1", "b2"))
    assert one == other


def ics(start: str, *more: str, zone: str = "") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *zone.split("|"), "BEGIN:VEVENT", "UID:1"]
    return "\r\n".join([*filter(None, lines), start, *more, "END:VEVENT", "END:VCALENDAR", ""]).encode()


OFFSET = "BEGIN:VTIMEZONE|TZID:{0}|BEGIN:STANDARD|DTSTART:16010101T000000|TZOFFSETFROM:{1}|TZOFFSETTO:{1}|"
OFFSET += "END:STANDARD|END:VTIMEZONE"
CALENDARS = [
    ics("DTSTART;TZID=Asia/Kolkata:20300102T143000"),
    ics("DTSTART;TZID=Australia/Eucla:20300102T174500"),
    ics("DTSTART;TZID=Pacific/Chatham:20300102T224500"),
    ics("DTSTART;TZID=America/St_Johns:20300102T053000"),
    ics('DTSTART;TZID="(UTC+05:30) Chennai":20300102T143000', zone=OFFSET.format("(UTC+05:30) Chennai", "+0530")),
    ics("DTSTART;TZID=India Standard Time:20300102T143000"),
    ics(
        'DTSTART;TZID="tzone://Microsoft/Custom":20300102T123000',
        zone=OFFSET.format("tzone://Microsoft/Custom", "+0330"),
    ),
    ics(
        "DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20300102T100000",
        zone=OFFSET.format("/freeassociation.sourceforge.net/Europe/Berlin", "+0100"),
    ),
    ics(
        "DTSTART:20300102T090000Z", "DESCRIPTION:folded \r\n over\\, lines\\n", 'ATTENDEE;CN="A, B":mailto:a@e.org'
    ),
    ics("DTSTART:20200102T090000Z", "RRULE:FREQ=WEEKLY;BYDAY=WE;UNTIL=20400101T000000Z"),
    ics("DTSTART;TZID=Europe/Lisbon:20250102T090000", "RRULE:FREQ=MONTHLY;BYMONTHDAY=2"),
    ics("DTSTART:20300102T090000Z", "DURATION:PT1H", "RDATE:20310101T000000Z", "X-ODD;X=1:\\;\\,"),
]


@pytest.mark.parametrize("document", CALENDARS, ids=range(len(CALENDARS)))
def test_a_calendar_of_the_wild_is_read(document: bytes) -> None:
    day = datetime(2030, 1, 2, tzinfo=UTC)
    told = calendar.read(document, start=day.isoformat(), end=day.replace(hour=23).isoformat(), zone="UTC")
    assert [each["start"] for each in told["occurrences"].values()] == ["2030-01-02T09:00:00+00:00"]


@settings(max_examples=80)
@given(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=200)), max_size=20))
def test_whatever_an_entry_of_a_queue_holds_it_is_a_firing(fields: list[tuple[bytes, bytes]]) -> None:
    fired = _occurrence(Entry("1-1", fields), "s")
    assert fired.key == _occurrence(Entry("1-1", list(fields)), "s").key
    assert fired.data["id"] == "1-1"


@settings(max_examples=60)
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda each: each.decode("latin-1")))
def test_whatever_a_text_is_it_is_read_in_a_second(text: str) -> None:
    with spends_less_than(1):
        if "\0" not in text:
            assert (
                len(plain_text.read(text.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8"))
                == 1
            )
