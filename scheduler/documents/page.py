"""Reads a web page: the text that CSS or XPath selects. Scripts, styles and comments are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cssselect import HTMLTranslator, SelectorError
from lxml import etree

from scheduler.documents.text import Unreadable, normalised, text_of, without

MAX_SELECTOR_CHARS = 1_000
MAX_NODES = 10_000
SILENT = ("script", "style", "noscript", "template", "iframe", "object", "svg")
"""Elements whose content is not shown as text."""
LINES = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "div", "dl", "dt"}
    | {"fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"}
    | {"html", "legend", "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary", "table", "tbody"}
    | {"tfoot", "thead", "title", "tr", "ul"}
)
"""Elements that start a new line."""
CELLS = frozenset({"td", "th"})


@lru_cache(maxsize=256)
def compile_selector(*, css: str | None, xpath: str | None) -> etree.XPath:
    """Compiles a selector. Raises ValueError with the reason when it is invalid."""
    written = css if css is not None else xpath or "//body"
    if len(written) > MAX_SELECTOR_CHARS:
        raise ValueError(f"is longer than {MAX_SELECTOR_CHARS} characters")
    try:
        path = HTMLTranslator().css_to_xpath(css) if css is not None else written
        return etree.XPath(path, regexp=False, smart_strings=False)
    except (SelectorError, etree.XPathError) as error:
        raise ValueError(f"cannot be used: {error}") from None
    except (RecursionError, ValueError):
        raise ValueError("is nested too deeply, or contains characters that cannot occur in a page") from None


def read(
    body: bytes,
    *,
    content_type: str | None = None,
    css: str | None = None,
    xpath: str | None = None,
    ignore: Sequence[str] = (),
) -> list[str]:
    """Returns the text of each selected node in page order. Raises Unreadable."""
    page = parse(text_of(body, content_type))
    try:
        found: Any = compile_selector(css=css, xpath=xpath)(page)
    except (etree.XPathError, ValueError) as error:
        raise Unreadable(f"The selector cannot be used on this page: {error}.") from None
    nodes = found if isinstance(found, list) else [found]
    if len(nodes) > MAX_NODES:
        raise Unreadable(f"The selector finds {len(nodes)} nodes; make it more precise.")
    return [normalised(without(_text(node), ignore)) for node in nodes]


def parse(text: str) -> etree._Element:
    """Parses a page and removes what is not text. Raises Unreadable."""
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=False)
    try:
        page = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        page = None
    if any("depth" in entry.message for entry in parser.error_log):
        raise Unreadable("The page is nested too deeply.")
    if page is None:
        raise Unreadable("The page is empty.")
    etree.strip_elements(page, *SILENT, with_tail=False)
    return page


def plain_text(html: str) -> str:
    """Returns the text of an HTML fragment; empty when it cannot be parsed."""
    if "<" not in html and "&" not in html:
        return normalised(html)
    try:
        return normalised(_text(parse(f"<div>{html}</div>")))
    except Unreadable:
        return ""


def _text(node: Any) -> str:
    if isinstance(node, float):
        return f"{node:.15g}"
    if isinstance(node, bool):
        return str(node).lower()
    if not isinstance(node, etree._Element):  # noqa: SLF001  # there is no other name for it
        return str(node)
    parts: list[str] = []
    for event, each in etree.iterwalk(node, events=("start", "end")):
        around = "\n" if each.tag in LINES else " " if each.tag in CELLS else ""
        parts.append(around)
        if event == "start":
            parts.append(each.text or "")
        elif each is not node:
            parts.append(each.tail or "")
    return "".join(parts)
