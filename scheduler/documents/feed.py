"""Reads a feed (RSS, Atom or JSON Feed) and finds its new entries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin

import feedparser  # type: ignore[import-untyped]

from scheduler.documents.errors import Unreadable
from scheduler.documents.page import plain_text
from scheduler.documents.text import cut, text_of
from scheduler.domain.json_values import read_json

REMEMBERED = 2_000
"""How many entries are remembered after they disappear from the feed."""
MAX_ENTRIES = 20_000
MAX_DEPTH = 1_000
TEXT_CHARS = 40_000
"""The character limit of all entries of a firing together."""
TITLE_CHARS, LINK_CHARS, NAME_CHARS = 300, 1_000, 100
PREFIX = "https://jsonfeed.org/version/"

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ASIDE = re.compile(r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)
_TAG = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<(/)?(?:[^\W\d]|:)[^<>]*?(/)?(>)", re.DOTALL)
_ROOT = re.compile(r"<[^!?]")
_DECLARES = re.compile(r"<!DOCTYPE[^>]*\[|<!ENTITY", re.IGNORECASE)


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
    title, entries, note = _json_feed(text, url) if text.startswith("{") else _xml_feed(text, url)
    keyed = {_key(each): each for each in entries[:MAX_ENTRIES]}
    known = frozenset(seen or ())
    fresh = [key for key in keyed if key not in known]
    size = max(TEXT_CHARS // most, 200)
    return {
        "title": cut(plain_text(title), TITLE_CHARS),
        "keys": [*fresh, *_kept(seen or (), keyed)],
        "entries": [_shown(keyed[key], size) for key in fresh[:most]],
        "more": max(len(fresh) - most, 0),
        "count": len(keyed),
        "note": note,
    }


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


def _xml_feed(text: str, url: str) -> tuple[str, list[dict[str, str]], str | None]:
    _refuse_declarations(text)
    _refuse_depth(text)
    known = feedparser.parse(
        _DECLARATION.sub("", text, count=1).encode("utf-8", "replace"),
        sanitize_html=False,
        resolve_relative_uris=False,
        response_headers={"content-type": "application/xml; charset=utf-8"},
    )
    if not known.get("version"):
        raise Unreadable(_no_feed(text))
    note = None
    if known.bozo and not known.entries:
        raise Unreadable(f"The feed is broken: {known.get('bozo_exception')}.")
    if known.bozo:
        note = f"The feed is not well-formed; it was read as far as it can be: {known.get('bozo_exception')}."
    base = urljoin(url, known.feed.get("link") or "")
    return str(known.feed.get("title") or ""), [_xml_entry(each, base) for each in known.entries], note


def _refuse_declarations(text: str) -> None:
    """Raises Unreadable for a DTD with declarations: entities can expand without end or name files."""
    bare = _ASIDE.sub("", text)
    root = _ROOT.search(bare)
    if _DECLARES.search(bare[: root.start() if root else None]):
        raise Unreadable("The feed has a DTD with declarations, which are not supported.")


def _refuse_depth(text: str) -> None:
    """Raises Unreadable for a text nested too deeply: the time that the parser takes grows with the square of it."""
    depth = 0
    for tag in _TAG.finditer(text):
        depth += -1 if tag[1] else 0 if tag[2] or tag[3] is None else 1
        if depth > MAX_DEPTH:
            raise Unreadable("The feed is nested too deeply.")


def _no_feed(text: str) -> str:
    if re.search(r"<(!doctype\s+html|html|head|body)\b", text[:10_000], re.IGNORECASE):
        asked = " that asks to sign in" if re.search(r"type\s*=\s*[\"']?password", text, re.IGNORECASE) else ""
        return f"The answer is a web page{asked}, not a feed (RSS, Atom or JSON Feed)."
    return "The answer is not a feed (RSS, Atom or JSON Feed)."


def _xml_entry(entry: Any, base: str) -> dict[str, str]:
    contents = [each.get("value") or "" for each in entry.get("content") or ()]
    return {
        "id": str(entry.get("id") or ""),
        "title": str(entry.get("title") or ""),
        "link": _joined(base, str(entry.get("link") or "")),
        "published": str(entry.get("published") or entry.get("updated") or ""),
        "author": str(entry.get("author") or ""),
        "text": str(entry.get("summary") or next(iter(contents), "")),
    }


def _json_feed(text: str, url: str) -> tuple[str, list[dict[str, str]], str | None]:
    try:
        document, _ = read_json(text)
    except ValueError as error:
        raise Unreadable(f"The answer is not JSON: {error}.") from None
    version = document.get("version") if isinstance(document, dict) else None
    items = document.get("items") if isinstance(document, dict) else None
    if not (isinstance(version, str) and version.startswith(PREFIX) and isinstance(items, list)):
        raise Unreadable("The answer is JSON, but not a JSON Feed: it lacks a version of jsonfeed.org, or items.")
    base = urljoin(url, _said(document, "home_page_url"))
    return _said(document, "title"), [_json_entry(each, base) for each in items if isinstance(each, dict)], None


def _json_entry(item: Mapping[str, Any], base: str) -> dict[str, str]:
    authors = item.get("authors")
    named = [each for each in authors if isinstance(each, dict)] if isinstance(authors, list) else []
    author = item.get("author")
    named += [author] if isinstance(author, dict) else []
    return {
        "id": _said(item, "id"),
        "title": _said(item, "title"),
        "link": _joined(base, _said(item, "url") or _said(item, "external_url")),
        "published": _said(item, "date_published") or _said(item, "date_modified"),
        "author": _said(named[0], "name") if named else "",
        "text": _said(item, "summary") or _said(item, "content_text") or _said(item, "content_html"),
    }


def _said(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link) if link else ""
    except ValueError:
        return link
