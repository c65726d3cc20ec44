"""Reads a feed (RSS, Atom or JSON Feed) and finds its new entries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin

from scheduler.documents.feed_xml import Entry, Feed, joined, read_xml
from scheduler.documents.page import plain_text
from scheduler.documents.text import Unreadable, cut, text_of
from scheduler.domain.json_values import read_json

REMEMBERED = 2_000
"""How many entries are remembered after they disappear from the feed."""
MAX_ENTRIES = 20_000
TEXT_CHARS = 40_000
"""The character limit of all entries of a firing together."""
TITLE_CHARS, LINK_CHARS, NAME_CHARS = 300, 1_000, 100
PREFIX = "https://jsonfeed.org/version/"


def read(
    body: bytes,
    *,
    content_type: str | None = None,
    url: str = "",
    seen: Sequence[str] | None = None,
    most: int = 20,
) -> dict[str, Any]:
    """Returns the feed's title, `keys` to remember, and at most `most` entries that are not in `seen`, with a
    count of the rest.

    With `seen` None, on the first check, returns all entries.
    """
    text = text_of(body, content_type).strip().removeprefix("\ufeff")
    feed = _json_feed(text, url) if text.startswith("{") else read_xml(text, url)
    places = {_key(head): place for place, head in enumerate(feed.heads[:MAX_ENTRIES])}
    known = frozenset(seen or ())
    fresh = [key for key in places if key not in known]
    size = max(TEXT_CHARS // most, 200)
    return {
        "title": cut(plain_text(feed.title), TITLE_CHARS),
        "keys": [*fresh, *_kept(seen or (), places)],
        "entries": _entries(feed, [places[key] for key in fresh[:most]], size),
        "more": max(len(fresh) - most, 0),
        "count": len(places),
        "note": feed.note,
    }


def _entries(feed: Feed, places: Sequence[int], size: int) -> list[Entry]:
    """Returns the entries at these places of `heads`, in this order."""
    order = sorted(places)
    whole = dict(zip(order, feed.whole(order) if order else (), strict=True))
    return [_shown(whole[place], size) for place in places]


def _kept(seen: Sequence[str], there: Mapping[str, Any]) -> Iterator[str]:
    """Returns the keys to remember: all current ones and the newest of those that disappeared."""
    gone = 0
    for key in seen:
        gone += key not in there
        if key in there or gone <= REMEMBERED:
            yield key


def _key(entry: Mapping[str, str]) -> str:
    """Returns an entry's key: its id, else its link, else all of its content."""
    known = entry["id"] or entry["link"] or json.dumps(entry, sort_keys=True)
    return sha256(known.encode("utf-8", "replace")).hexdigest()[:20]


def _shown(entry: Mapping[str, str], size: int) -> dict[str, str]:
    whole = {
        "id": cut(entry["id"], LINK_CHARS),
        "title": cut(plain_text(entry["title"]), TITLE_CHARS),
        "link": cut(entry["link"], LINK_CHARS),
        "published": cut(entry["published"], NAME_CHARS),
        "author": cut(plain_text(entry["author"]), NAME_CHARS),
        "text": cut(plain_text(entry["text"][: size * 20]), size),
    }
    return {name: value for name, value in whole.items() if value}


def _json_feed(text: str, url: str) -> Feed:
    try:
        document, _ = read_json(text)
    except ValueError as error:
        raise Unreadable(f"The response is not JSON: {error}.") from None
    version = document.get("version") if isinstance(document, dict) else None
    items = document.get("items") if isinstance(document, dict) else None
    if not (isinstance(version, str) and version.startswith(PREFIX) and isinstance(items, list)):
        raise Unreadable(
            "The response is JSON, but not a JSON Feed: it lacks a version of jsonfeed.org, or items."
        )
    base = urljoin(url, _said(document, "home_page_url"))
    entries = [_json_entry(each, base) for each in items[:MAX_ENTRIES] if isinstance(each, dict)]
    return Feed(_said(document, "title"), entries, lambda chosen: [entries[place] for place in chosen])


def _json_entry(item: Mapping[str, Any], base: str) -> Entry:
    authors = item.get("authors")
    named = [each for each in authors if isinstance(each, dict)] if isinstance(authors, list) else []
    author = item.get("author")
    named += [author] if isinstance(author, dict) else []
    return {
        "id": _said(item, "id"),
        "title": _said(item, "title"),
        "link": joined(base, _said(item, "url") or _said(item, "external_url")),
        "published": _said(item, "date_published") or _said(item, "date_modified"),
        "author": _said(named[0], "name") if named else "",
        "text": _said(item, "summary") or _said(item, "content_text") or _said(item, "content_html"),
    }


def _said(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
