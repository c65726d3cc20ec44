"""Shows untrusted content in pages: as plain text, shortened, or only its size."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from scheduler.storage.read_models.history import read_contents
from scheduler.storage.read_models.history_rows import FiringRow

SHOWN_BYTES = 2_000
"""How much of each payload is shown on a page with several."""


@dataclass(frozen=True, slots=True)
class Content:
    """A payload on a page. `text` None: it is not UTF-8."""

    text: str | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ShownFiring:
    """A firing and its content: its payload, and as JSON a poll's values or messages."""

    row: FiringRow
    payload: Content | None
    data: Content | None


def show_firings(conn: Connection, rows: Sequence[FiringRow]) -> list[ShownFiring]:
    """Returns firings with the beginnings of their content."""
    carried = read_contents(conn, [row.id for row in rows], SHOWN_BYTES)
    return [
        ShownFiring(
            row,
            readable(carried[row.id].head, row.payload_size),
            shown_data(carried[row.id].data, SHOWN_BYTES),
        )
        for row in rows
    ]


def readable(head: bytes | None, size: int | None) -> Content | None:
    """Decodes the first bytes of a payload of `size` bytes; omits a character cut in two."""
    if head is None:
        return None
    is_cut = size is not None and size > len(head)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=not is_cut)
    except UnicodeDecodeError:
        return Content(None, is_cut)
    return Content(text, is_cut)


def shown_data(data: dict[str, Any] | None, length: int | None = None) -> Content | None:
    """Formats `data` as indented JSON, its first `length` characters."""
    if data is None:
        return None
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return Content(text[:length], length is not None and len(text) > length)
